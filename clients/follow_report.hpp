#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "clients/progress_line.hpp"

namespace ds::clients {

/// Turns the job as it is polled into what somebody who watches wants to read. No I/O and no clock.
class FollowReport {
 public:
  /// Lines worth keeping since the last call: a change of state or of the reason to wait, a new gang, an
  /// evaluation (once each), the finished epochs of a job without evaluations. `now_s` may be any clock that
  /// only grows.
  std::vector<std::string> observe(const nlohmann::json& job, double now_s);

  /// The line that moves, see `format_progress`; of the job observed last.
  std::string progress(std::optional<std::size_t> width) const;

 private:
  void observe_state(std::vector<std::string>& lines);
  void observe_gang(std::vector<std::string>& lines);
  void observe_epochs(std::vector<std::string>& lines);

  nlohmann::json job_ = nlohmann::json::object();
  std::string state_;
  std::string reason_;
  std::int64_t generation_ = 0;
  std::int64_t restarts_ = 0;
  std::size_t workers_ = 0;
  std::int64_t epoch_ = 0;
  std::int64_t evaluated_step_ = -1;
  EtaEstimate eta_;
};

/// What a job came to, as lines for standard output: state, held-out accuracy against the majority baseline,
/// the checkpoint, and what to do next. Pure.
std::string format_outcome(const nlohmann::json& job);

}  // namespace ds::clients
