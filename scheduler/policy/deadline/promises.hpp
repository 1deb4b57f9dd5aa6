#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "scheduler/policy/deadline/deadline_job.hpp"

namespace ds::scheduler {

/// Whether a deadline is accepted.
struct DeadlineAnswer {
  /// What the job is promised; none: it is refused.
  std::optional<Promise> promise{};
  /// When refused: the earliest deadline, in whole seconds, that was found to be acceptable now. None when no
  /// deadline would be.
  std::optional<double> earliest_s{};
};

/// The jobs whose deadlines are accepted and what each is promised.
///
/// After ElasticFlow (Gu et al., ASPLOS 2023): the jobs get slots in the order of their deadlines, each the
/// share that costs the fewest slot-seconds of those that end it in time, in each round as much of it as the
/// ones before it leave free. A job is admitted when all promises can be kept with its own beside them. Once
/// given, promises are only exchanged for others that keep all deadlines too, so an admitted job is late only
/// if slots are lost or steps take longer than was said. Pure: equal input, equal promises.
class Promises {
 public:
  /// `promises` are those given before, one for each of `jobs`, which are kept as long as all hold.
  Promises(std::uint32_t total, const RoundClock& clock, std::vector<DeadlineJob> jobs,
           std::vector<Promise> promises);

  const std::vector<DeadlineJob>& jobs() const { return jobs_; }
  const std::vector<Promise>& promises() const { return promises_; }

  /// Looks for promises that need fewer slots than the present ones, now that time has passed.
  void renew();
  /// A newcomer, which belongs to `jobs` from then on if it is admitted.
  DeadlineAnswer admit(const DeadlineJob& job);

  /// The slots of each job in this round: what is promised, and what is left goes one step at a time to the
  /// job whose promise becomes the cheapest for each slot, if it stays in time.
  std::vector<std::uint32_t> share_round() const;

 private:
  std::optional<std::vector<Promise>> find_for(const DeadlineJob& newcomer) const;
  std::optional<double> find_earliest_s(DeadlineJob newcomer) const;

  std::uint32_t total_;
  RoundClock clock_;
  std::vector<DeadlineJob> jobs_;
  std::vector<Promise> promises_;
};

}  // namespace ds::scheduler
