#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// What workers have had, times seconds. Nobody else had it meanwhile, so it counts from the lease's grant to
/// its end: also while a worker starts, stands still or leaves.
struct Use {
  double slot_s = 0, gpu_s = 0, memory_byte_s = 0;

  Use& operator+=(const Use& more);
  bool operator==(const Use&) const = default;
};

/// What tenants' queues and jobs have used since the ledger began, whatever became of the jobs since. Of the
/// last `kDays` days (UTC) to its last use it is known by day of each queue. A plain value.
class UseAccounts {
 public:
  static constexpr std::int64_t kDayMs = 86'400'000;
  static constexpr std::int64_t kDays = 92;
  static constexpr std::size_t kMostQueues = 1000;    ///< of the others, all together, see `kOthers`
  using Queue = std::pair<std::string, std::string>;  ///< tenant and queue
  /// Those of the longest unused queues, where there are too many.
  static const Queue kOthers;

  struct Account {
    Use total;
    std::map<std::int64_t, Use> days;  ///< by the day's number since 1970
    bool operator==(const Account&) const = default;
  };

  /// From then on all is counted, unless it has been since earlier.
  void begin(std::int64_t at_ms);
  /// Counts what the lease had until `to_ms`: once it has ended, or in a copy as of now. Workers' leases
  /// only.
  void add(const Lease& lease, std::int64_t to_ms);
  /// What the queues have is kept.
  void forget_job(std::string_view job);

  /// Unix time; 0: nothing was ever leased.
  std::int64_t begun_ms() const { return begun_ms_; }
  const std::map<Queue, Account>& queues() const { return queues_; }
  /// Of the leases that were added.
  Use of_job(std::string_view job) const;
  /// The same without the jobs, to add what is leased now.
  UseAccounts of_queues() const;

  /// All but the jobs', of which there may be many.
  nlohmann::json to_json() const;
  /// Null: it has had nothing.
  nlohmann::json to_json(std::string_view job) const;
  /// Of these forms; they throw nlohmann's exceptions where it is none.
  void take(const nlohmann::json& document);
  void take_job(const std::string& job, const nlohmann::json& document);
  bool operator==(const UseAccounts&) const = default;

 private:
  Account& account_of(const Queue& queue);

  std::int64_t begun_ms_ = 0;
  std::map<Queue, Account> queues_;
  std::map<std::string, Use, std::less<>> jobs_;
};

/// What the lease had between these moments, of its time.
Use use_between(const Lease& lease, std::int64_t from_ms, std::int64_t to_ms);

}  // namespace ds::scheduler
