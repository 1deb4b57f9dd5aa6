#include "actors/collective/shared_operation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "actors/collective/agreement.hpp"
#include "kernels/copy_bytes.hpp"
#include "kernels/reduce_tree.hpp"

namespace ds::collective {
namespace {

/// As it stands in the table of names: never 0.
std::uint64_t posted_name(const Task& task) {
  return std::uint64_t{1} << 63U | task.name << 1U | task.stage;
}

/// Kept between operations, so that steady work allocates nothing.
std::vector<kernels::TreeInput>& tree_inputs() {
  thread_local std::vector<kernels::TreeInput> inputs;
  inputs.clear();
  return inputs;
}

}  // namespace

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

// ---- a large vector ----------------------------------------------------------------------------

Result<void> SharedOperation::resolve_peers() {
  const std::size_t elements = task_.signature.elements;
  for (std::uint32_t member = 0; member < size_; ++member) {
    Peer& peer = peers_[member];
    if (member == me_) {
      peer.input = peer.input_staged
                       ? nullptr
                       : static_cast<std::byte*>(const_cast<void*>(
                             task_.contribution.vectors.empty() ? nullptr : task_.contribution.vectors[0]));
      peer.output = task_.outputs.empty() ? nullptr : static_cast<std::byte*>(task_.outputs[0]);
      continue;
    }
    const auto find = [&](const SegmentPlace& place, std::size_t bytes, bool& staged,
                          std::byte*& memory) -> Result<void> {
      staged = place.segment == SegmentPlace::kStaged;
      memory = nullptr;
      if (staged || place.segment == SegmentPlace::kNothing) return {};
      return group_.resolve(member, place, bytes).map([&](std::byte* here) { memory = here; });
    };
    const auto& subtrees = group_.plan_.members[member].subtrees;
    const std::size_t input_element = subtrees.empty() ? 0 : subtrees[0].element_bytes(task_.signature.type);
    Result<void> found =
        find(peer.header->input, elements * input_element, peer.input_staged, peer.input).and_then([&] {
          return find(peer.header->output, elements * element_bytes(), peer.output_staged, peer.output);
        });
    if (!found) return found;
  }
  return {};
}

void SharedOperation::choose_chunks() {
  std::size_t largest = 0;
  for (const Slice& slice : task_.owned) largest = std::max(largest, slice.size());
  bool any_staged = false;
  for (std::uint32_t member = 0; member < size_; ++member) {
    any_output_staged_ = any_output_staged_ || peers_[member].output_staged;
    any_staged = any_staged || peers_[member].input_staged;
  }
  if (task_.delivery == Delivery::owner) any_output_staged_ = false;
  any_staged = any_staged || any_output_staged_;
  chunk_elements_ = any_staged ? stage_elements_ : std::max<std::size_t>(1, largest);
  chunks_ = (largest + chunk_elements_ - 1) / chunk_elements_;
  stream_ = !any_staged && task_.signature.elements * element_bytes() >= kStreamBytes;
}

Result<void> SharedOperation::run_chunks() {
  if (Result<void> resolved = resolve_peers(); !resolved) return resolved;
  choose_chunks();
  SlotHeader& own = *peers_[me_].header;
  for (std::size_t chunk = 0; chunk < chunks_; ++chunk) {
    if (chunk + 1 < chunks_) copy_in(chunk + 1);
    if (chunk + 1 < chunks_) Waiting::advance(own.ready);
    if (chunk > 0) {
      Result<void> ready = wait_for_all(&SlotHeader::ready, chunk + 1);
      if (!ready) return ready;
    }
    produce_own_piece(chunk);
    Waiting::advance(own.reduced);
    Result<void> reduced = wait_for_all(&SlotHeader::reduced, chunk + 1);
    if (!reduced) return reduced;
    copy_out(chunk);
  }
  return {};
}

template <class Counter>
Result<void> SharedOperation::wait_for_all(Counter counter, std::size_t chunks) {
  for (std::uint32_t distance = 1; distance < size_; ++distance) {
    SharedCounter& theirs = peers_[(me_ + distance) % size_].header->*counter;
    Result<void> done = group_.waiting_.until(
        theirs, interruption_, [&] { return theirs.value.load(std::memory_order_acquire) >= chunks; });
    if (!done) return done;
  }
  return {};
}

SharedOperation::Piece SharedOperation::piece(std::uint32_t owner, std::size_t chunk) const {
  const Slice slice = task_.owned[owner];
  const std::size_t first = std::min(slice.last, slice.first + chunk * chunk_elements_);
  return {first, std::min(chunk_elements_, slice.last - first)};
}

/// Before the others are known: a staged input always moves in pieces of `stage_elements_`.
void SharedOperation::copy_in(std::size_t chunk) {
  if (!reduces_input() || !peers_[me_].input_staged) return;
  chunk_elements_ = stage_elements_;
  const MemberPlan& plan = group_.plan_.members[me_];
  for (std::uint32_t owner = 0; owner < size_; ++owner) {
    const Piece part = piece(owner, chunk);
    for (std::size_t i = 0; i < plan.subtrees.size(); ++i) {
      write_subtree(task_.signature, plan, i, task_.contribution, {part.first, part.first + part.count},
                    const_cast<std::byte*>(input_stage(me_, owner, i, chunk)));
    }
  }
}

void SharedOperation::produce_own_piece(std::size_t chunk) {
  const Piece part = piece(me_, chunk);
  if (part.count == 0) return;
  if (!reduces_input()) return copy_own_piece(part, chunk);
  for (std::size_t i = 0; i < group_.plan_.results.size(); ++i) reduce_piece(i, part, chunk);
}

void SharedOperation::reduce_piece(std::size_t result, Piece part, std::size_t chunk) {
  const FoldedRun& run = group_.plan_.results[result];
  auto& inputs = tree_inputs();
  for (std::uint32_t i = run.first; i < run.first + run.count; ++i) {
    const GroupPlan::Input& input = group_.plan_.inputs[i];
    const Peer& peer = peers_[input.member];
    const FoldedRun& subtree = group_.plan_.members[input.member].subtrees[input.subtree];
    const std::byte* data = peer.input_staged
                                ? input_stage(input.member, me_, input.subtree, chunk)
                                : peer.input + part.first * subtree.element_bytes(task_.signature.type);
    inputs.push_back({data, input.accumulated, input.combines});
  }
  kernels::reduce_tree({task_.signature.type, task_.signature.op, inputs, piece_outputs(result, part, chunk),
                        part.count, finishes() || !run.accumulated(), stream_});
}

void SharedOperation::copy_own_piece(Piece part, std::size_t chunk) {
  const auto* from = static_cast<const std::byte*>(task_.contribution.vectors[0]) +
                     (part.first - task_.owned[me_].first) * element_bytes();
  for (void* to : piece_outputs(0, part, chunk)) {
    if (to != from) kernels::copy_bytes(to, from, part.count * element_bytes(), stream_);
  }
  if (stream_) kernels::finish_streams();
}

/// Everywhere that this member writes its piece of a result.
std::span<void*> SharedOperation::piece_outputs(std::size_t result, Piece part, std::size_t chunk) {
  std::size_t count = 0;
  const std::size_t offset = part.first * result_bytes(result);
  if (task_.delivery == Delivery::owner) {
    outputs_[count++] = peers_[me_].output + (part.first - task_.owned[me_].first) * element_bytes();
  } else {
    if (receives()) outputs_[count++] = static_cast<std::byte*>(task_.outputs[result]) + offset;
    for (std::uint32_t distance = 1; distance < size_; ++distance) {
      const Peer& peer = peers_[(me_ + distance) % size_];
      if (!peer.output_staged && peer.output != nullptr) outputs_[count++] = peer.output + offset;
    }
    if (any_output_staged_) outputs_[count++] = output_stage(me_, result, chunk);
  }
  return std::span(outputs_).first(count);
}

void SharedOperation::copy_out(std::size_t chunk) {
  if (task_.delivery == Delivery::owner || !receives() || !peers_[me_].output_staged) return;
  const std::size_t results = reduces_input() ? group_.plan_.results.size() : 1;
  for (std::uint32_t distance = 1; distance < size_; ++distance) {
    const std::uint32_t owner = (me_ + distance) % size_;
    const Piece part = piece(owner, chunk);
    if (part.count == 0) continue;
    for (std::size_t i = 0; i < results; ++i) {
      std::memcpy(static_cast<std::byte*>(task_.outputs[i]) + part.first * result_bytes(i),
                  output_stage(owner, i, chunk), part.count * result_bytes(i));
    }
  }
}

std::size_t SharedOperation::result_bytes(std::size_t result) const {
  if (!reduces_input() || finishes()) return element_bytes();
  return group_.plan_.results[result].element_bytes(task_.signature.type);
}

const std::byte* SharedOperation::input_stage(std::uint32_t member, std::uint32_t owner, std::size_t subtree,
                                              std::size_t chunk) const {
  const std::size_t subtrees = group_.plan_.members[member].subtrees.size();
  return group_.memory(member) + ControlLayout::input_stage(peers_[member].slot, chunk % 2) +
         (owner * subtrees + subtree) * stage_elements_ * accumulator_bytes();
}

std::byte* SharedOperation::output_stage(std::uint32_t member, std::size_t result, std::size_t chunk) const {
  return group_.memory(member) + ControlLayout::output_stage(peers_[member].slot, chunk % 2) +
         result * stage_elements_ * accumulator_bytes();
}

bool SharedOperation::receives() const {
  return task_.delivery == Delivery::everyone || (task_.delivery == Delivery::first && me_ == 0);
}

}  // namespace ds::collective
