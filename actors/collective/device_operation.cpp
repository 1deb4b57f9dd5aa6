#include "actors/collective/device_operation.hpp"

#include <algorithm>
#include <utility>

#include "actors/collective/device_error.hpp"

namespace ds::collective {
namespace {

constexpr std::size_t kAlignment = 256;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

class DeviceOperation {
 public:
  DeviceOperation(DeviceMember& member, const DeviceCall& call, OperationName name)
      : member_(member),
        call_(call),
        name_(name),
        own_(slice(member.rank)),
        size_(kernels::size_of(call.signature.type)) {}

  Result<void> run() {
    if (call_.mistake) return agree(call_.mistake);
    // Before the others rely on us: room for everything, and vectors that are ready.
    const kernels::DeviceResult<void> ready = reserve().and_then([&] { return wait_for_vectors(); });
    return agree(ready ? std::nullopt : std::optional(to_error(ready.error(), member_.rank)))
        .and_then([&] { return here(put_into_queue()); })
        .and_then([&] { return here(member_.queue->wait(member_.give_up)); })
        .and_then([&] { return all_done(); });
  }

 private:
  using Outcome = kernels::DeviceResult<void>;

  bool alone() const { return member_.world_size() == 1; }
  Slice slice(std::uint32_t rank) const {
    return slice_of(call_.signature.elements, member_.world_size(), rank);
  }
  const MemberPlan& own_plan() const { return member_.plan.members[member_.rank]; }

  Result<void> here(const Outcome& outcome) const {
    if (!outcome) return tl::unexpected(to_error(outcome.error(), member_.rank));
    return {};
  }

  Result<void> agree(const std::optional<Error>& failure) const {
    if (alone()) return failure ? Result<void>(tl::unexpected(*failure)) : Result<void>();
    return DeviceRounds(*member_.exchange).agree(name_, {member_.rank, call_.signature, failure});
  }

  /// So that a member that leaves right afterwards cuts nothing off that another still waits for.
  Result<void> all_done() const {
    if (alone()) return {};
    return DeviceRounds(*member_.exchange).all_done(name_);
  }

  Outcome wait_for_vectors() {
    if (!call_.mark) return {};
    return member_.queue->wait_for(call_.mark, member_.give_up);
  }

  /// Lays out the scratch memory: own subtrees that have to be folded, whole; others', the own slice of them.
  Outcome reserve() {
    if (!reduces(call_.signature.kind) || alone()) return {};
    std::size_t bytes = 0;
    const auto place = [&](std::size_t length) { return std::exchange(bytes, bytes + aligned(length)); };
    std::vector<std::size_t> folded, received;
    for (const FoldedRun& run : own_plan().subtrees)
      folded.push_back(run.accumulated() ? place(call_.signature.elements * element_bytes(run)) : 0);
    for (const GroupPlan::Input& input : member_.plan.inputs) {
      const bool mine = input.member == member_.rank;
      received.push_back(mine ? 0 : place(own_.size() * element_bytes(subtree_of(input))));
    }
    return member_.scratch->reserve(bytes).map([&](std::byte* memory) {
      for (const std::size_t offset : folded) folded_.push_back(memory + offset);
      for (const std::size_t offset : received) received_.push_back(memory + offset);
    });
  }

  std::size_t element_bytes(const FoldedRun& run) const { return run.element_bytes(call_.signature.type); }
  const FoldedRun& subtree_of(const GroupPlan::Input& input) const {
    return member_.plan.members[input.member].subtrees[input.subtree];
  }

  Outcome put_into_queue() {
    switch (call_.signature.kind) {
      case Kind::barrier:
        return {};
      case Kind::broadcast:
        if (alone() || call_.signature.elements == 0) return {};
        return member_.queue->broadcast(call_.output, call_.signature.elements * size_, call_.signature.root,
                                        member_.give_up);
      case Kind::all_gather:
        return place_own_slice().and_then([&] { return gather(); });
      case Kind::all_reduce:
      case Kind::reduce_scatter:
        break;
    }
    if (alone()) return reduce_alone();
    return fold()
        .and_then([&] { return scatter(); })
        .and_then([&] { return reduce_own_slice(); })
        .and_then([&] { return call_.signature.kind == Kind::all_reduce ? gather() : Outcome(); });
  }

  Outcome reduce(std::span<const kernels::TreeInput> inputs, void* output, std::size_t elements,
                 bool finish) {
    void* const outputs[] = {output};
    return member_.queue->reduce(
        {call_.signature.type, call_.signature.op, inputs, outputs, elements, finish, false});
  }

  std::vector<kernels::TreeInput> leaves(std::uint32_t first, std::uint32_t count) const {
    std::vector<kernels::TreeInput> inputs;
    for (std::uint32_t leaf = first; leaf < first + count; ++leaf)
      inputs.push_back({call_.inputs[leaf], false, own_plan().combines[leaf]});
    return inputs;
  }

  Outcome reduce_alone() {
    return reduce(leaves(0, static_cast<std::uint32_t>(call_.inputs.size())), call_.output,
                  call_.signature.elements, true);
  }

  /// Subtrees of one leaf are the caller's vectors as they are.
  Outcome fold() {
    for (std::size_t i = 0; i < own_plan().subtrees.size(); ++i) {
      const FoldedRun& run = own_plan().subtrees[i];
      if (!run.accumulated()) continue;
      Outcome folded = reduce(leaves(run.first, run.count), folded_[i], call_.signature.elements, false);
      if (!folded) return folded;
    }
    return {};
  }

  const std::byte* own_subtree(std::size_t i, Slice elements) const {
    const FoldedRun& run = own_plan().subtrees[i];
    const void* vector = run.accumulated() ? folded_[i] : call_.inputs[run.first];
    return static_cast<const std::byte*>(vector) + elements.first * element_bytes(run);
  }

  /// Everybody's subtrees to the owners of their slices. What goes from one member to another is listed in
  /// the order of its subtrees on both sides.
  Outcome scatter() {
    std::vector<kernels::DeviceSend> sends;
    for (std::uint32_t owner = 0; owner < member_.world_size(); ++owner) {
      const Slice part = slice(owner);
      if (owner == member_.rank || part.size() == 0) continue;
      for (std::size_t i = 0; i < own_plan().subtrees.size(); ++i)
        sends.push_back({owner, own_subtree(i, part), part.size() * element_bytes(own_plan().subtrees[i])});
    }
    std::vector<kernels::DeviceReceive> receives;
    for (std::size_t k = 0; k < member_.plan.inputs.size() && own_.size() > 0; ++k) {
      const GroupPlan::Input& input = member_.plan.inputs[k];
      if (input.member == member_.rank) continue;
      receives.push_back({input.member, received_[k], own_.size() * element_bytes(subtree_of(input))});
    }
    return member_.queue->transfer(sends, receives, member_.give_up);
  }

  Outcome reduce_own_slice() {
    if (own_.size() == 0) return {};
    std::vector<kernels::TreeInput> inputs;
    for (std::size_t k = 0; k < member_.plan.inputs.size(); ++k) {
      const GroupPlan::Input& input = member_.plan.inputs[k];
      const bool mine = input.member == member_.rank;
      inputs.push_back(
          {mine ? own_subtree(input.subtree, own_) : received_[k], input.accumulated, input.combines});
    }
    return reduce(inputs, own_output(), own_.size(), true);
  }

  std::byte* output_at(Slice elements) const {
    return static_cast<std::byte*>(call_.output) + elements.first * size_;
  }
  std::byte* own_output() const {
    return call_.signature.kind == Kind::reduce_scatter ? static_cast<std::byte*>(call_.output)
                                                        : output_at(own_);
  }

  Outcome place_own_slice() {
    if (own_.size() == 0 || call_.inputs[0] == own_output()) return {};
    return member_.queue->copy(own_output(), call_.inputs[0], own_.size() * size_);
  }

  /// Each one's slice of the output to everybody.
  Outcome gather() {
    std::vector<kernels::DeviceSend> sends;
    std::vector<kernels::DeviceReceive> receives;
    for (std::uint32_t other = 0; other < member_.world_size(); ++other) {
      if (other == member_.rank) continue;
      if (own_.size() > 0) sends.push_back({other, output_at(own_), own_.size() * size_});
      const Slice part = slice(other);
      if (part.size() > 0) receives.push_back({other, output_at(part), part.size() * size_});
    }
    return member_.queue->transfer(sends, receives, member_.give_up);
  }

  DeviceMember& member_;
  const DeviceCall& call_;
  const OperationName name_;
  const Slice own_;
  const std::size_t size_;
  std::vector<std::byte*> folded_;    ///< for each own subtree that is not a vector of the caller
  std::vector<std::byte*> received_;  ///< for each input of the tree that comes from another member
};

}  // namespace

kernels::DeviceResult<std::byte*> DeviceScratch::reserve(std::size_t bytes) {
  if (bytes > bytes_) {
    memory_.reset();
    bytes_ = 0;
    auto memory = device_->allocate(bytes);
    if (!memory) return tl::unexpected(memory.error());
    memory_ = *std::move(memory);
    bytes_ = bytes;
  }
  return static_cast<std::byte*>(memory_.get());
}

Result<void> carry_out(DeviceMember& member, const DeviceCall& call, OperationName name) {
  return DeviceOperation(member, call, name).run();
}

}  // namespace ds::collective
