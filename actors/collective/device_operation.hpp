#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "actors/collective/call.hpp"
#include "actors/collective/device_rounds.hpp"
#include "actors/collective/fold_plan.hpp"
#include "kernels/device.hpp"

namespace ds::collective {

/// A collective call of one member on vectors in its GPU's memory.
struct DeviceCall {
  Signature signature;
  std::vector<const void*> inputs;  ///< of a reduction: one a hosted leaf; else the own vector or slice
  void* output = nullptr;           ///< all elements; of a reduce_scatter the own slice
  kernels::DeviceMark mark;         ///< reached when the vectors are ready
  std::optional<Error> mistake;     ///< why this member cannot take part
};

/// Memory on a GPU that only grows: calls that follow each other use the same.
class DeviceScratch {
 public:
  explicit DeviceScratch(std::shared_ptr<kernels::Device> device) : device_(std::move(device)) {}
  /// What was given before is void; aligned for every element.
  kernels::DeviceResult<std::byte*> reserve(std::size_t bytes);

 private:
  std::shared_ptr<kernels::Device> device_;
  std::shared_ptr<void> memory_;
  std::size_t bytes_ = 0;
};

/// What a member has for all its operations. Used by one thread.
struct DeviceMember {
  Exchange* exchange = nullptr;  ///< none: a gang of one
  std::uint32_t rank = 0;
  GroupPlan plan;  ///< of all members
  std::unique_ptr<kernels::DeviceQueue> queue;
  std::optional<DeviceScratch> scratch;
  kernels::GiveUp give_up;

  std::uint32_t world_size() const { return static_cast<std::uint32_t>(plan.members.size()); }
};

/// Carries a call out and returns when all members have their results. All members fail alike when one cannot
/// take part or they called differently; else a failure is this member's own, and others have to be told.
///
/// A reduction: member r gets slice r of everybody's maximal subtrees, finishes the tree for it, and sends
/// the result to all, unless each keeps its own (reduce_scatter). Each member sends about (S + 1) * (P - 1) /
/// P vectors, S being its number of subtrees.
Result<void> carry_out(DeviceMember& member, const DeviceCall& call, OperationName name);

}  // namespace ds::collective
