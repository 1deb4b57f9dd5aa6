#include "actors/collective/shared_operation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "actors/collective/agreement.hpp"
#include "kernels/reduce_tree.hpp"

namespace ds::collective {
namespace {

/// As it stands in the table of names: never 0.
std::uint64_t posted_name(const Task& task) {
  return std::uint64_t{1} << 63U | task.name << 1U | task.stage;
}

}  // namespace

std::vector<kernels::TreeInput>& SharedOperation::tree_inputs() {
  thread_local std::vector<kernels::TreeInput> inputs;
  inputs.clear();
  return inputs;
}

SharedOperation::SharedOperation(SharedGroup& group, const Task& task, std::uint32_t slot,
                                 Interruption& interruption)
    : group_(group),
      task_(task),
      slot_(slot),
      interruption_(interruption),
      me_(group.me_),
      size_(group.size()),
      name_(posted_name(task)) {
  // The same on all members, as long as they agree; what else they would choose is found out before it is
  // used.
  const std::size_t subtrees = std::max<std::size_t>(1, group_.plan_.max_subtrees);
  const std::size_t results = std::max<std::size_t>(1, group_.plan_.results.size());
  const std::size_t most = std::max(size_ * subtrees, results) * accumulator_bytes();
  stage_elements_ = kStageBytes / most;
  if (stage_elements_ > 64) stage_elements_ = stage_elements_ / 64 * 64;
}

Result<void> SharedOperation::run() {
  const bool small = is_small();
  if (Result<void> described = describe_own(); !described) return described;
  if (!task_.failure) {
    if (small) {
      write_inline();
    } else {
      if (Result<void> chosen = choose_own_places(); !chosen) return chosen;
      copy_in(0);
    }
  }
  publish();
  if (Result<void> found = find_peers(); !found) return found;
  if (Result<void> agreed = agree(); !agreed) return agreed;
  Result<void> done = small ? finish_small() : run_chunks();
  if (done) acknowledge();
  return done;
}

bool SharedOperation::is_small() const {
  if (reduces_input()) {
    const std::size_t subtrees = std::max<std::size_t>(1, group_.plan_.max_subtrees);
    return task_.signature.elements <= kInlineBytes / (subtrees * accumulator_bytes());
  }
  std::size_t most = 0;
  for (const Slice& slice : task_.owned) most = std::max(most, slice.size());
  return most <= kInlineBytes / element_bytes();
}

// ---- what this member says ---------------------------------------------------------------------

Result<void> SharedOperation::describe_own() {
  SlotHeader& own = group_.control(me_).slots[slot_];
  own.elements = task_.signature.elements;
  own.root = task_.signature.root;
  own.kind = static_cast<std::uint8_t>(task_.signature.kind);
  own.op = static_cast<std::uint8_t>(task_.signature.op);
  own.type = static_cast<std::uint8_t>(task_.signature.type);
  own.failed = task_.failure ? 1 : 0;
  own.ready.value.store(1, std::memory_order_relaxed);
  own.reduced.value.store(0, std::memory_order_relaxed);
  Peer& self = peers_[me_];
  self.header = &own;
  self.slot = slot_;
  self.input_staged = self.output_staged = true;
  return {};
}

/// Vectors of one piece in one of our segments are used where they are.
Result<void> SharedOperation::choose_own_places() {
  SlotHeader& own = group_.control(me_).slots[slot_];
  own.input = own.output = SegmentPlace{};
  const Contribution& from = task_.contribution;
  if (reduces_input()) {
    const auto& subtrees = group_.plan_.members[me_].subtrees;
    if (subtrees.empty()) own.input.segment = SegmentPlace::kNothing;
    if (subtrees.size() == 1 && from.vectors.size() == 1) {
      own.input = group_.pool_->locate(
          from.vectors[0], task_.signature.elements * subtrees[0].element_bytes(task_.signature.type));
    }
  } else {
    own.input.segment = SegmentPlace::kNothing;  // its owner alone reads it
  }
  if (task_.delivery == Delivery::everyone)
    own.output = group_.pool_->locate(task_.outputs[0], task_.signature.elements * element_bytes());
  Peer& self = peers_[me_];
  self.input_staged = own.input.segment == SegmentPlace::kStaged;
  self.output_staged = own.output.segment == SegmentPlace::kStaged;
  return group_.announce();
}

void SharedOperation::publish() {
  ControlHeader& own = group_.control(me_);
  own.names[slot_].store(name_, std::memory_order_release);
  Waiting::advance(own.posted);
}

// ---- what the others say -----------------------------------------------------------------------

Result<void> SharedOperation::find_peers() {
  for (std::uint32_t distance = 1; distance < size_; ++distance) {
    const std::uint32_t member = (me_ + distance) % size_;
    Result<void> found = group_.waiting_.until(group_.control(member).posted, interruption_,
                                               [&] { return find_peer(member); });
    if (!found) return found;
  }
  return {};
}

bool SharedOperation::find_peer(std::uint32_t member) {
  ControlHeader& control = group_.control(member);
  for (std::uint32_t i = 0; i < kMaxOperationsInFlight; ++i) {
    const std::uint32_t slot = (slot_ + i) % kMaxOperationsInFlight;  // members tend to use the same
    if (control.names[slot].load(std::memory_order_acquire) != name_) continue;
    Peer& peer = peers_[member];
    peer.header = &control.slots[slot];
    peer.slot = slot;
    return true;
  }
  return false;
}

Result<void> SharedOperation::agree() const {
  const auto said = [&](std::uint32_t member) {
    const SlotHeader& header = *peers_[member].header;
    return Signature{static_cast<Kind>(header.kind), static_cast<ReduceOperator>(header.op),
                     static_cast<ElementType>(header.type), header.root, header.elements};
  };
  const auto agrees = [&](std::uint32_t member) {
    return peers_[member].header->failed == 0 && said(member) == task_.signature;
  };
  bool all = true;
  for (std::uint32_t member = 0; member < size_; ++member) all = all && agrees(member);
  if (all) return {};
  std::vector<MemberStatus> statuses;
  for (std::uint32_t member = 0; member < size_; ++member) {
    MemberStatus status{group_.ranks_[member], said(member), std::nullopt};
    if (peers_[member].header->failed != 0) status.failure = group_.read_error(member);
    statuses.push_back(std::move(status));
  }
  return check_agreement(statuses);
}

void SharedOperation::acknowledge() {
  for (std::uint32_t member = 0; member < size_; ++member) {
    if (member == me_) continue;
    SlotHeader& header = *peers_[member].header;
    header.acknowledged[me_].store(header.use, std::memory_order_release);
  }
}

// ---- a small vector ----------------------------------------------------------------------------

void SharedOperation::write_inline() {
  std::byte* area = group_.memory(me_) + ControlLayout::inline_area(slot_);
  if (reduces_input()) {
    const MemberPlan& plan = group_.plan_.members[me_];
    const std::size_t elements = task_.signature.elements;
    for (std::size_t i = 0; i < plan.subtrees.size(); ++i) {
      write_subtree(task_.signature, plan, i, task_.contribution, {0, elements},
                    area + i * elements * accumulator_bytes());
    }
  } else if (const std::size_t bytes = task_.owned[me_].size() * element_bytes(); bytes > 0) {
    std::memcpy(area, task_.contribution.vectors[0], bytes);
  }
}

Result<void> SharedOperation::finish_small() {
  if (!reduces_input()) {
    gather_inline();
    return {};
  }
  if (task_.delivery == Delivery::owner) {
    reduce_inline(0, task_.owned[me_], task_.outputs[0]);
  } else if (receives()) {
    for (std::size_t i = 0; i < group_.plan_.results.size(); ++i)
      reduce_inline(i, {0, task_.signature.elements}, task_.outputs[i]);
  }
  return {};
}

void SharedOperation::reduce_inline(std::size_t result, Slice elements, void* output) {
  if (elements.size() == 0) return;
  const FoldedRun& run = group_.plan_.results[result];
  auto& inputs = tree_inputs();
  for (std::uint32_t i = run.first; i < run.first + run.count; ++i) {
    const GroupPlan::Input& input = group_.plan_.inputs[i];
    const FoldedRun& subtree = group_.plan_.members[input.member].subtrees[input.subtree];
    const std::byte* area =
        group_.memory(input.member) + ControlLayout::inline_area(peers_[input.member].slot);
    inputs.push_back({area + input.subtree * task_.signature.elements * accumulator_bytes() +
                          elements.first * subtree.element_bytes(task_.signature.type),
                      input.accumulated, input.combines});
  }
  void* outputs[] = {output};
  kernels::reduce_tree({task_.signature.type, task_.signature.op, inputs, outputs, elements.size(),
                        finishes() || !run.accumulated(), false});
}

void SharedOperation::gather_inline() {
  if (!receives()) return;
  for (std::uint32_t owner = 0; owner < size_; ++owner) {
    const Slice slice = task_.owned[owner];
    if (slice.size() == 0) continue;
    const std::byte* area = group_.memory(owner) + ControlLayout::inline_area(peers_[owner].slot);
    std::byte* to = static_cast<std::byte*>(task_.outputs[0]) + slice.first * element_bytes();
    if (owner == me_ && to == task_.contribution.vectors[0]) continue;
    std::memcpy(to, area, slice.size() * element_bytes());
  }
}

}  // namespace ds::collective
