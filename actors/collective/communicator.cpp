#include "actors/collective/communicator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <utility>

#include "actors/collective/member_status.hpp"
#include "actors/collective/summation_tree.hpp"
#include "kernels/add_into.hpp"

namespace ds::collective {

namespace {

/// Who sums, and how far they are.
struct Gang {
  std::shared_ptr<Exchange> exchange;  // none: a gang of one
  std::vector<RankRange> ranges;
  std::uint32_t rank = 0;
  std::uint32_t leaves = 0;
  std::uint64_t sequence = 0;    // operations begun
  std::optional<Error> failure;  // why the communicator is dead

  std::uint32_t world_size() const { return static_cast<std::uint32_t>(ranges.size()); }
};

enum class Phase : std::uint64_t { status, scatter, gather };

/// Unique within a generation for each (sender, receiver): an operation sends one status, one slice a subtree
/// and one result.
std::uint64_t tag_of(std::uint64_t sequence, Phase phase, std::size_t subtree = 0) {
  return sequence << 16U | static_cast<std::uint64_t>(phase) << 8U | subtree;
}

/// A vector of our own, or a slice of one. Shared, because what was sent must live until it has left.
template <class T>
struct Block {
  std::shared_ptr<T[]> memory;
  std::size_t offset = 0;
  std::size_t size = 0;

  static Block make(std::size_t size) { return {std::make_shared_for_overwrite<T[]>(size), 0, size}; }
  std::span<T> elements() const { return {memory.get() + offset, size}; }
  Block slice(std::size_t begin, std::size_t end) const { return {memory, offset + begin, end - begin}; }
  Buffer to_buffer() const { return {memory, std::as_bytes(elements())}; }
};

template <class T>
void add_right(Block<T>& left, const Block<T>& right) {
  kernels::add_into(left.elements(), std::span<const T>(right.elements()));
}

/// One all-reduce as one member sees it.
template <class T>
class Reduction {
 public:
  Reduction(const Gang& gang, std::uint64_t sequence, std::span<T> sum)
      : gang_(gang), sequence_(sequence), sum_(sum), hosted_(gang.leaves) {}

  Result<void> run(const Communicator::Produce<T>& produce) {
    const Result<void> folded = fold_hosted(produce);
    if (gang_.world_size() == 1) {
      if (folded) copy_to_sum(hosted_.entries().front().value, 0);
      return folded;
    }
    const MemberStatus status{sequence_, sum_.size(), sizeof(T),
                              folded ? std::nullopt : std::optional(folded.error())};
    const Result<void> announced = announce(status);
    if (!folded) return folded;
    if (!announced) return announced;
    return scatter()
        .and_then([&] { return agree(status); })
        .and_then([&] { return reduce_own_slice(); })
        .and_then([&](const Block<T>& slice) { return gather(slice); });
  }

 private:
  Result<void> fold_hosted(const Communicator::Produce<T>& produce) {
    const RankRange hosted = gang_.ranges[gang_.rank];
    for (std::uint32_t leaf = hosted.first; leaf < hosted.last; ++leaf) {
      Block<T> block = Block<T>::make(sum_.size());
      Result<void> produced = call(produce, leaf, block.elements());
      if (!produced) return produced;
      hosted_.push({0, leaf}, std::move(block), add_right<T>);
    }
    return {};
  }

  /// An exception must not pass the other members by: they would wait for ever.
  static Result<void> call(const Communicator::Produce<T>& produce, std::uint32_t leaf, std::span<T> out) {
    try {
      return produce(leaf, out);
    } catch (const std::exception& e) {
      return fail(ErrorCode::internal, fmt::format("logical rank {}: {}", leaf, e.what()));
    }
  }

  Result<void> announce(const MemberStatus& status) {
    const Buffer bytes = to_buffer(status);
    return for_each_other(
        [&](std::uint32_t to) { return gang_.exchange->send(to, tag_of(sequence_, Phase::status), bytes); });
  }

  /// Sent before the statuses of the others are known, to save a round trip; after a disagreement nobody
  /// reads it.
  Result<void> scatter() {
    return for_each_other([&](std::uint32_t owner) -> Result<void> {
      const auto [begin, end] = slice_of(owner);
      if (begin == end) return {};
      for (std::size_t i = 0; i < hosted_.entries().size(); ++i) {
        Result<void> sent = gang_.exchange->send(owner, tag_of(sequence_, Phase::scatter, i),
                                                 hosted_.entries()[i].value.slice(begin, end).to_buffer());
        if (!sent) return sent;
      }
      return {};
    });
  }

  Result<void> agree(const MemberStatus& own) {
    std::vector<MemberStatus> statuses(gang_.world_size());
    statuses[gang_.rank] = own;
    Result<void> received = for_each_other([&](std::uint32_t from) -> Result<void> {
      return gang_.exchange->receive(from, tag_of(sequence_, Phase::status))
          .and_then(to_member_status)
          .map([&](MemberStatus status) { statuses[from] = std::move(status); });
    });
    return received.and_then([&] { return check_agreement(statuses); });
  }

  /// Finishes the tree for the elements that this member owns. The order in which slices arrive does not
  /// matter, the tree's does.
  Result<Block<T>> reduce_own_slice() {
    const auto [begin, end] = slice_of(gang_.rank);
    if (begin == end) return Block<T>::make(0);
    SubtreeFold<Block<T>> fold(gang_.leaves);
    for (std::uint32_t member = 0; member < gang_.world_size(); ++member) {
      const RankRange range = gang_.ranges[member];
      const std::vector<TreeNode> nodes = maximal_subtrees(range.first, range.last, gang_.leaves);
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        Block<T> slice;
        if (member == gang_.rank) {
          slice = hosted_.entries()[i].value.slice(begin, end);
        } else {
          // Copied: what arrived is immutable, and may lie at an address that is not one for a T.
          slice = Block<T>::make(end - begin);
          Result<void> got = receive_into(member, tag_of(sequence_, Phase::scatter, i), slice.elements());
          if (!got) return tl::unexpected(got.error());
        }
        fold.push(nodes[i], std::move(slice), add_right<T>);
      }
    }
    return std::move(fold.entries().front().value);
  }

  Result<void> gather(const Block<T>& own) {
    copy_to_sum(own, slice_of(gang_.rank).first);
    if (own.size != 0) {
      Result<void> sent = for_each_other([&](std::uint32_t to) {
        return gang_.exchange->send(to, tag_of(sequence_, Phase::gather), own.to_buffer());
      });
      if (!sent) return sent;
    }
    return for_each_other([&](std::uint32_t owner) -> Result<void> {
      const auto [begin, end] = slice_of(owner);
      if (begin == end) return {};
      return receive_into(owner, tag_of(sequence_, Phase::gather), sum_.subspan(begin, end - begin));
    });
  }

  Result<void> receive_into(std::uint32_t from, std::uint64_t tag, std::span<T> out) {
    const Result<Buffer> bytes = gang_.exchange->receive(from, tag);
    if (!bytes) return tl::unexpected(bytes.error());
    if (bytes->size() != out.size_bytes()) {
      return fail(ErrorCode::internal, fmt::format("all_reduce: rank {} sent {} bytes where {} belong", from,
                                                   bytes->size(), out.size_bytes()));
    }
    std::memcpy(out.data(), bytes->bytes().data(), out.size_bytes());
    return {};
  }

  void copy_to_sum(const Block<T>& block, std::size_t begin) {
    std::copy_n(block.elements().data(), block.size, sum_.subspan(begin).data());
  }

  /// The elements [first, second) of the vector that `owner` sums up.
  std::pair<std::size_t, std::size_t> slice_of(std::uint32_t owner) const {
    const std::size_t count = sum_.size(), world = gang_.world_size();
    const auto cut = [&](std::size_t at) { return count / world * at + std::min(count % world, at); };
    return {cut(owner), cut(owner + std::size_t{1})};
  }

  /// Begins with the next rank, so that not all write to rank 0 at once. Stops at the first failure.
  template <class Visit>
  Result<void> for_each_other(Visit&& visit) {
    for (std::uint32_t distance = 1; distance < gang_.world_size(); ++distance) {
      Result<void> done = visit((gang_.rank + distance) % gang_.world_size());
      if (!done) return done;
    }
    return {};
  }

  const Gang& gang_;
  std::uint64_t sequence_;
  std::span<T> sum_;
  SubtreeFold<Block<T>> hosted_;
};

template <class T>
Result<void> reduce(Gang& gang, std::span<T> sum, const Communicator::Produce<T>& produce) {
  if (gang.failure) {
    return fail(gang.failure->code, "this generation ended before: " + gang.failure->message,
                gang.failure->hint);
  }
  Result<void> done = Reduction<T>(gang, gang.sequence++, sum).run(produce);
  if (!done) gang.failure = done.error();
  return done;
}

bool cover_all(const std::vector<RankRange>& ranges) {
  std::uint32_t next = 0;
  for (const RankRange& range : ranges) {
    if (range.first != next || range.last < range.first) return false;
    next = range.last;
  }
  return next > 0;
}

}  // namespace

struct Communicator::State {
  Gang gang;
};

std::vector<RankRange> assign_logical_ranks(std::uint32_t logical_ranks, std::uint32_t world_size) {
  std::vector<RankRange> ranges;
  std::uint32_t next = 0;
  for (std::uint32_t rank = 0; rank < world_size; ++rank) {
    const std::uint32_t size = logical_ranks / world_size + (rank < logical_ranks % world_size ? 1 : 0);
    ranges.push_back({next, next + size});
    next += size;
  }
  return ranges;
}

Communicator::Communicator(std::shared_ptr<Exchange> exchange, std::vector<RankRange> ranges)
    : state_(std::make_unique<State>()) {
  const bool fits = cover_all(ranges) && exchange && exchange->world_size() == ranges.size() &&
                    exchange->rank() < ranges.size();
  if (!fits) std::abort();
  state_->gang.leaves = ranges.back().last;
  state_->gang.rank = exchange->rank();
  state_->gang.ranges = std::move(ranges);
  state_->gang.exchange = std::move(exchange);
}

Communicator::Communicator(std::uint32_t logical_ranks) : state_(std::make_unique<State>()) {
  if (logical_ranks == 0) std::abort();
  state_->gang.leaves = logical_ranks;
  state_->gang.ranges = {{0, logical_ranks}};
}

Communicator::~Communicator() = default;

RankRange Communicator::hosted() const {
  return state_->gang.ranges[state_->gang.rank];
}
std::uint32_t Communicator::logical_ranks() const {
  return state_->gang.leaves;
}
std::uint32_t Communicator::rank() const {
  return state_->gang.rank;
}
std::uint32_t Communicator::world_size() const {
  return state_->gang.world_size();
}

Result<void> Communicator::all_reduce(std::span<float> sum, const Produce<float>& produce) {
  return reduce<float>(state_->gang, sum, produce);
}

Result<void> Communicator::all_reduce(std::span<double> sum, const Produce<double>& produce) {
  return reduce<double>(state_->gang, sum, produce);
}

}  // namespace ds::collective
