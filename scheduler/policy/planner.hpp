#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scheduler/policy/forecast.hpp"
#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/told_job.hpp"

namespace ds::scheduler {

struct GangJob;
class GangPlanner;
class Planning;

/// Of so many jobs that are asked for at once it is looked at who exactly has the room that they wait for; of
/// more only while that is no more steps, each for a waiting job and one with workers.
inline constexpr std::size_t kMaxExactlyExplained = 8, kMaxExactSteps = std::size_t{1} << 11;

/// So many jobs with a promise wait at a time; no other is promised anything then.
inline constexpr std::size_t kMaxWaitingPromises = 16;

/// `plan_jobs` for a cluster that changes by and by: it keeps what it knows from plan to plan, so that a plan
/// costs what it changes, not what there is. What it plans depends on what it was told last, not on the way
/// there: `plan_jobs` is this, told all at once.
///
/// What becomes of a plan (leases granted, workers told to stop) it has to be told as well. Not thread-safe.
class Planner {
 public:
  explicit Planner(TenantTree tenants = {});
  ~Planner();
  Planner(const Planner&) = delete;
  Planner& operator=(const Planner&) = delete;

  /// All nodes, in any order; names are unique. Costs as `change_nodes`, and a look at each.
  void set_nodes(std::vector<NodeView> nodes);
  /// Nodes that are new, or other than before, and the names of those that are gone: costs what is on them,
  /// and what becomes possible by it, or impossible.
  void change_nodes(std::vector<NodeView> changed, std::span<const std::string> gone = {});
  /// Costs as much as telling it everything again, unless nothing changed. Who has more than it may have now
  /// keeps it (`release_over_quota` says who gives what back).
  void set_tenants(TenantTree tenants);
  /// All there is to know of a job from now on. Without a demand it has ended, or may have no workers;
  /// without leases as well it is forgotten.
  void set_job(const std::string& job, std::optional<Demand> demand, std::vector<Lease> leases);

  /// All there is, to one that knows no jobs.
  void tell_all(std::span<const NodeView> nodes, std::span<const Lease> leases,
                std::span<const Demand> demands);
  /// What it was told of the job last.
  ToldJob told(const std::string& job) const;
  /// Workers that are stopping.
  std::uint64_t count_releasing() const;

  /// Leaves `waits` empty: that is what `explain` is for.
  Plan plan(std::span<const PastUse> past = {}, std::int64_t now_ms = 0);
  /// Why those of these jobs wait that would in a plan made now; the others are left out. Of more than
  /// `kMaxExactlyExplained` jobs those with workers anywhere count as in the way.
  std::vector<Wait> explain(std::span<const std::string> jobs, std::span<const PastUse> past = {},
                            std::int64_t now_ms = 0);
  /// `plan`, and in `waits` why those of these jobs wait that do, where nobody asks who is in the way: those
  /// with workers anywhere count.
  Plan plan_and_explain_roughly(std::span<const std::string> jobs, std::span<const PastUse> past = {},
                                std::int64_t now_ms = 0);
  /// When this job, which waits, starts; none when it runs, or can't start whoever ends.
  std::optional<StartForecast> forecast(const std::string& job, const GangEnds& ends,
                                        std::span<const PastUse> past, std::int64_t now_ms);
  /// From which moment on this job has its minimum for certain, if no node is lost or closed, no gang loses a
  /// worker, and no minimum is made larger; whoever else comes, if the job has a promise (`Demand`). Among
  /// tenants only within what its queue is guaranteed.
  /// `leaving_ms`: for so long workers may stop. None: nobody knows, also where one with a promise that waits
  /// may not start by when it was promised to; or `kMaxWaitingPromises` others wait, among tenants any.
  std::optional<std::int64_t> promised_start(const std::string& job, std::int64_t leaving_ms,
                                             std::span<const PastUse> past, std::int64_t now_ms);
  /// Whether the job could ever start: with all nodes there are, and nobody else on them, within its quota.
  bool could_ever_start(const std::string& job) const;
  /// `plan`, and `explain` of all jobs.
  Plan plan_and_explain(std::span<const PastUse> past = {}, std::int64_t now_ms = 0);

 private:
  bool may_explain_exactly(std::size_t jobs) const;
  std::vector<const GangJob*> find_all(std::span<const std::string> jobs) const;
  Plan finish(Planning& planning, std::span<const PastUse> past, std::int64_t now_ms);

  TenantTree tenants_;
  std::unique_ptr<GangPlanner> state_;
};

}  // namespace ds::scheduler
