#include "actors/collective/exchange_path.hpp"

#include <fmt/format.h>

#include <cstring>
#include <optional>
#include <utility>

#include "actors/collective/agreement.hpp"
#include "kernels/reduce_tree.hpp"

namespace ds::collective {
namespace {

enum class Phase : std::uint64_t { status, scatter, gather };

/// Unique for each (sender, receiver) among the messages of all operations: an operation sends one status,
/// one slice a subtree (of which there are at most two a level of the tree) and one result.
std::uint64_t tag_of(OperationName name, Phase phase, std::size_t subtree = 0) {
  return name << (64U - kOperationNameBits) | static_cast<std::uint64_t>(phase) << 8U | subtree;
}

/// Memory of our own, aligned for every element.
std::shared_ptr<std::byte[]> make_block(std::size_t bytes) {
  return std::make_shared_for_overwrite<std::byte[]>(bytes);
}

/// One operation as one member sees it.
class ExchangeOperation {
 public:
  ExchangeOperation(Exchange& exchange, const std::vector<std::uint32_t>& members, std::uint32_t me,
                    const GroupPlan& plan, const Task& task)
      : exchange_(exchange),
        members_(members),
        me_(me),
        plan_(plan),
        task_(task),
        size_(kernels::size_of(task.signature.type)) {}

  Result<void> run() {
    const MemberStatus own{members_[me_], task_.signature,
                           task_.failure ? std::optional(*task_.failure) : std::nullopt};
    if (Result<void> announced = announce(own); !announced) return announced;
    if (own.failure) return agree(own);  // so that all fail with the same one, if there are several
    if (!reduces(task_.signature.kind)) {
      return send_own_slice().and_then([&] { return agree(own); }).and_then([&] { return collect(); });
    }
    Result<void> reduced =
        scatter().and_then([&] { return agree(own); }).and_then([&] { return reduce_own_slice(); });
    if (!reduced || task_.delivery == Delivery::owner) return reduced;
    return send_result().and_then([&] { return collect(); });
  }

 private:
  Result<void> announce(const MemberStatus& status) {
    const Buffer bytes = to_buffer(status);
    return for_each_other([&](std::uint32_t to) { return send(to, Phase::status, 0, bytes); });
  }

  Result<void> agree(const MemberStatus& own) {
    std::vector<MemberStatus> statuses(members_.size());
    statuses[me_] = own;
    Result<void> received = for_each_other([&](std::uint32_t from) -> Result<void> {
      return exchange_.receive(members_[from], tag_of(task_.name, Phase::status))
          .and_then(to_member_status)
          .map([&](MemberStatus status) {
            status.rank = members_[from];
            statuses[from] = std::move(status);
          });
    });
    return received.and_then([&] { return check_agreement(statuses); });
  }

  /// Sent before the statuses of the others are known, to save a round trip; after a disagreement nobody
  /// reads it.
  Result<void> scatter() {
    const MemberPlan& plan = plan_.members[me_];
    return for_each_other([&](std::uint32_t owner) -> Result<void> {
      const Slice slice = task_.owned[owner];
      if (slice.size() == 0) return {};
      for (std::size_t i = 0; i < plan.subtrees.size(); ++i) {
        Result<void> sent = send(owner, Phase::scatter, i, subtree_slice(plan, i, slice));
        if (!sent) return sent;
      }
      return {};
    });
  }

  /// Without a copy where the vectors outlive the call and are what is to be sent.
  Buffer subtree_slice(const MemberPlan& plan, std::size_t subtree, Slice slice) {
    const std::size_t element = plan.subtrees[subtree].element_bytes(task_.signature.type);
    const Contribution& from = task_.contribution;
    if (from.owner && from.folded) {
      const auto* vector = static_cast<const std::byte*>(from.vectors[subtree]);
      return {from.owner, std::span(vector + slice.first * element, slice.size() * element)};
    }
    return Buffer::make(slice.size() * element, [&](std::span<std::byte> out) {
      write_subtree(task_.signature, plan, subtree, from, slice, out.data());
    });
  }

  /// Finishes the tree for the elements that this member owns. The order in which slices arrive does not
  /// matter, the tree's does.
  Result<void> reduce_own_slice() {
    const Slice slice = task_.owned[me_];
    if (slice.size() == 0) return {};
    std::vector<kernels::TreeInput> inputs;
    std::vector<std::shared_ptr<const void>> kept;
    for (const GroupPlan::Input& input : plan_.inputs) {
      const std::size_t element =
          plan_.members[input.member].subtrees[input.subtree].element_bytes(task_.signature.type);
      Result<Buffer> part =
          input.member == me_ ? Result<Buffer>(subtree_slice(plan_.members[me_], input.subtree, slice))
                              : receive(input.member, Phase::scatter, input.subtree, slice.size() * element);
      if (!part) return tl::unexpected(part.error());
      inputs.push_back({aligned(*std::move(part), element, kept), input.accumulated, input.combines});
    }
    void* outputs[] = {own_output(), nullptr};
    std::size_t count = 1;
    if (task_.delivery == Delivery::everyone) {
      result_ = make_block(slice.size() * size_);
      outputs[count++] = result_.get();
    }
    kernels::reduce_tree({task_.signature.type, task_.signature.op, inputs, std::span(outputs, count),
                          slice.size(), true, false});
    return {};
  }

  /// What arrived may lie at an address that is not one for an element.
  static const void* aligned(Buffer part, std::size_t element,
                             std::vector<std::shared_ptr<const void>>& kept) {
    const void* data = part.bytes().data();
    if (reinterpret_cast<std::uintptr_t>(data) % element == 0) {
      kept.push_back(std::make_shared<Buffer>(std::move(part)));
      return data;
    }
    auto block = make_block(part.size());
    std::memcpy(block.get(), data, part.size());
    kept.push_back(block);
    return block.get();
  }

  void* own_output() const {
    const std::size_t offset = task_.delivery == Delivery::owner ? 0 : task_.owned[me_].first * size_;
    return static_cast<std::byte*>(task_.outputs[0]) + offset;
  }

  Result<void> send_result() {
    const std::size_t bytes = task_.owned[me_].size() * size_;
    return send_to_all(Buffer(result_, std::span<const std::byte>(result_.get(), bytes)));
  }

  /// The slice that a member has in an operation that reduces nothing.
  Result<void> send_own_slice() {
    const Slice slice = task_.owned[me_];
    if (slice.size() == 0) return {};
    const auto bytes =
        std::span(static_cast<const std::byte*>(task_.contribution.vectors[0]), slice.size() * size_);
    if (own_output() != bytes.data()) std::memcpy(own_output(), bytes.data(), bytes.size());
    return send_to_all(Buffer::copy_of(bytes));
  }

  Result<void> send_to_all(const Buffer& slice) {
    if (slice.empty()) return {};
    return for_each_other([&](std::uint32_t to) { return send(to, Phase::gather, 0, slice); });
  }

  Result<void> collect() {
    return for_each_other([&](std::uint32_t from) -> Result<void> {
      const Slice slice = task_.owned[from];
      if (slice.size() == 0) return {};
      return receive(from, Phase::gather, 0, slice.size() * size_).map([&](const Buffer& part) {
        auto* to = static_cast<std::byte*>(task_.outputs[0]) + slice.first * size_;
        std::memcpy(to, part.bytes().data(), part.size());
      });
    });
  }

  Result<void> send(std::uint32_t to, Phase phase, std::size_t subtree, Buffer bytes) {
    return exchange_.send(members_[to], tag_of(task_.name, phase, subtree), std::move(bytes));
  }

  Result<Buffer> receive(std::uint32_t from, Phase phase, std::size_t subtree, std::size_t size) {
    Result<Buffer> part = exchange_.receive(members_[from], tag_of(task_.name, phase, subtree));
    if (part && part->size() != size) {
      return fail(ErrorCode::internal,
                  fmt::format("{}: rank {} sent {} bytes where {} belong", describe(task_.signature),
                              members_[from], part->size(), size));
    }
    return part;
  }

  /// Begins with the next member, so that not all write to the first at once. Stops at the first failure.
  template <class Visit>
  Result<void> for_each_other(Visit&& visit) {
    const auto count = static_cast<std::uint32_t>(members_.size());
    for (std::uint32_t distance = 1; distance < count; ++distance) {
      Result<void> done = visit((me_ + distance) % count);
      if (!done) return done;
    }
    return {};
  }

  Exchange& exchange_;
  const std::vector<std::uint32_t>& members_;
  const std::uint32_t me_;
  const GroupPlan& plan_;
  const Task& task_;
  const std::size_t size_;
  std::shared_ptr<std::byte[]> result_;  ///< the own slice of it, while it is under way
};

}  // namespace

ExchangePath::ExchangePath(std::shared_ptr<Exchange> exchange, std::vector<std::uint32_t> members,
                           std::uint32_t me, GroupPlan plan)
    : exchange_(std::move(exchange)), members_(std::move(members)), me_(me), plan_(std::move(plan)) {}

Result<void> ExchangePath::run(const Task& task) const {
  return ExchangeOperation(*exchange_, members_, me_, plan_, task).run();
}

}  // namespace ds::collective
