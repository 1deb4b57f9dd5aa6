#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace ds::clients {

/// `[#####.....]`, `width` columns in all. `part` outside 0 to 1 is clipped.
std::string format_bar(double part, std::size_t width);

/// One line about a job that runs, at most `width` columns; fields that do not fit are left out from the
/// right:
///
///     RUNNING [#####.....]  45%  step 900/2,000  epoch 3/5  loss 0.412  accuracy 87.1%  4 workers  5,231
///     samples/s  ETA 42s
///
/// Without `width` there is no bar and no cut. A job that does not train yet shows its state and reason.
/// Pure.
std::string format_progress(const nlohmann::json& job, std::optional<std::int64_t> eta_s,
                            std::optional<std::size_t> width);

/// Estimates the time left from how fast steps went lately.
class EtaEstimate {
 public:
  /// Tells that `step` was seen at `now_s` (any clock that only grows). A step smaller than before (the job
  /// went back to a checkpoint) starts over.
  void observe(std::int64_t step, double now_s);
  /// Seconds until `total_steps`; none until two different steps were seen.
  std::optional<std::int64_t> seconds_left(std::int64_t total_steps) const;

 private:
  std::int64_t step_ = -1;
  double now_s_ = 0;
  double steps_per_s_ = 0;
};

}  // namespace ds::clients
