#include "actors/train/divergence.hpp"

#include <fmt/format.h>

namespace ds::train {

Error divergence(const scheduler::JobSpec& spec, const std::vector<TensorSlot>& slots, const NotFinite& what,
                 std::uint64_t step, double skipped) {
  std::string name = what.loss ? "the loss" : "a buffer of the model";
  for (const TensorSlot& slot : slots) {
    if (!what.gradient || *what.gradient < slot.offset || *what.gradient >= slot.offset + slot.size) continue;
    name = what.loss ? fmt::format("the loss, and the gradient of {},", slot.name)
                     : fmt::format("the gradient of {}", slot.name);
  }
  return {ErrorCode::invalid_argument,
          fmt::format("step {}: {} is not finite: training diverged{}", step, name,
                      spec.on_nan.skip ? fmt::format(", after {} skipped steps", skipped) : ""),
          "lower optimizer.lr, or set optimizer.clip_norm"};
}

}  // namespace ds::train
