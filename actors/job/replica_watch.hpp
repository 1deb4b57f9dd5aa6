#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ds::job {

/// Which replicas of a served model take too long: to say that they run, to load their model, to come back
/// after their link was lost, to leave. Without it one that hangs would be waited for without end. Pure;
/// times are of any clock that goes steadily.
class ReplicaWatch {
 public:
  using Time = std::chrono::milliseconds;

  struct Limits {
    Time hello{60'000};  ///< from its lease, or from when a new head began to watch, to its hello
    Time load{900'000};  ///< from then until it is ready
    Time back{10'000};   ///< after its link was lost, to say hello again
    Time leave{10'000};  ///< after it was told to; the job's `drain` included
    Time again{10'000};  ///< what is late is told of so often
  };
  struct Lease {
    std::uint64_t worker = 0;
    bool releasing = false;
  };
  struct Late {
    std::uint64_t worker = 0;
    std::string why;
    bool is_leaving = false;  ///< it has nothing more to do
    bool is_at_fault = false;
    bool operator==(const Late&) const = default;
  };

  explicit ReplicaWatch(Limits limits) : limits_(limits) {}

  /// It says that it runs, `ready`: and that its model is loaded.
  void on_hello(std::uint64_t worker, bool ready, Time now);
  void on_lost(std::uint64_t worker, Time now);
  /// `leases`: all of the job's. Those that are late, who are to be ended.
  std::vector<Late> look(const std::vector<Lease>& leases, Time now);

 private:
  enum class Stage { starting, loading, ready };
  struct Replica {
    Stage stage = Stage::starting;
    Time since{0};  ///< in this stage
    std::optional<Time> lost_at = {}, leaves_at = {}, told_at = {};
  };
  /// Empty: it is not late.
  std::string lateness(const Replica& replica, Time now) const;

  Limits limits_;
  std::map<std::uint64_t, Replica> replicas_;
};

}  // namespace ds::job
