#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ds::scheduler {

/// Something that happened to a job, or to a node, as people read it.
struct Happening {
  /// `submitted`, `state`, `placed`, `told_to_leave`, `left`, `crashed`, `cancel`, `pause`, `resume`,
  /// `retry`, `priority`, `scale`, `time_limit`, `deadline_promised`, `promise_broken`, `deadline_missed`,
  /// `ended_late`, `drain`, `undrain`, `cordon`, `quarantine`, `quarantine_lifted`, `joined`, `back`, `lost`,
  /// `stopped`, `head_started`, `model_version`, `model_promote`, `model_rollback`, `model_removed`,
  /// `file_served`, `rollout_stopped`, `tenants`.
  std::string what = {};
  std::string job = {};  ///< empty: it happened to none
  /// As in the journal's event; of several, `by` is the first's, and of several nodes `why` what all have.
  std::string by = {}, why = {};
  std::string value = {};  ///< the new state, priority, `MIN:MAX`, deadline, lateness or version
  std::uint32_t workers = 0;
  std::vector<std::pair<std::string, std::uint32_t>> nodes = {};  ///< of these, the first few; or the node
  std::uint32_t nodes_count = 0;  ///< of several nodes to which it happened at once: how many; else 0
  std::int64_t at_ms = 0;
  std::uint64_t number = 0;  ///< from 1, in the order in which things happened
  bool operator==(const Happening&) const = default;
};

/// What has happened lately, and what to each job: the newest only, so that it has a bound. What happens to
/// workers of a job at once, for one reason, is one thing. Of many nodes that join or are lost at once the
/// first few are told one by one, and the others together; of a head that starts again and again the newest.
class History {
 public:
  static constexpr std::size_t kMaxRecent = 1024;
  static constexpr std::size_t kMaxOfJob = 64;
  static constexpr std::size_t kMaxEnded = 10'000;  ///< of jobs that have ended, those that ended last
  static constexpr std::size_t kMaxNodes = 8;       ///< that one happening names

  /// It gets the next number.
  void add(Happening happening);
  /// The job has ended: it is forgotten when many others have ended after it.
  void end_job(const std::string& job);
  /// It goes on after all.
  void retry_job(const std::string& job);
  /// Nobody will ask what happened to it.
  void forget_job(const std::string& job);

  struct Page {
    std::vector<Happening> happenings;  ///< in order
    bool has_gap = false;               ///< older ones, after the number that was asked for, are forgotten
    std::uint64_t last = 0;             ///< the newest number there is
  };
  /// What happened after that number; of all, or of one job, whose submission is not kept here.
  Page recent(std::uint64_t after) const;
  Page of_job(std::string_view job, std::uint64_t after) const;

  /// The job whose end is forgotten when the next one ends; empty: none.
  std::string first_to_go() const { return ended_.size() < kMaxEnded ? std::string() : ended_.front(); }

  /// All but what happened to each job.
  nlohmann::json to_json() const;
  /// What happened to this job; null: nothing that is kept.
  nlohmann::json to_json(std::string_view job) const;
  /// Both take what these gave, or, of an earlier version, all at once. Throw what the JSON library throws.
  void take(const nlohmann::json& document);
  void take_job(const std::string& job, const nlohmann::json& document);

 private:
  struct OfJob {
    std::deque<Happening> happenings;
    std::uint64_t forgotten = 0;  ///< the newest number of those that are not kept
  };
  static bool belong_together(const Happening& before, const Happening& now);
  bool is_of_many_nodes(const Happening& now) const;
  static void merge(Happening& into, const Happening& more);

  std::deque<Happening> recent_;
  std::uint64_t forgotten_ = 0;  ///< of `recent_`
  std::map<std::string, OfJob, std::less<>> jobs_;
  std::deque<std::string> ended_;
  std::uint64_t next_ = 1;
};

}  // namespace ds::scheduler
