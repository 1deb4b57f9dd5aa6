// The part of a SharedOperation that moves a large vector, chunk by chunk.
#include <algorithm>
#include <cstring>

#include "actors/collective/shared_operation.hpp"
#include "kernels/copy_bytes.hpp"
#include "kernels/reduce_tree.hpp"

namespace ds::collective {

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
