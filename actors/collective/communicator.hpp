#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "actors/collective/exchange.hpp"
#include "actors/collective/operation.hpp"
#include "actors/collective/rank_range.hpp"
#include "actors/collective/shared_memory.hpp"
#include "actors/collective/vector_view.hpp"

namespace ds::collective {

/// Operations of one communicator that may be in flight on one member, blocking calls included. One more
/// fails at once with `resource_exhausted`, on this member only: nothing was started, it may be tried again.
inline constexpr std::size_t kMaxOperationsInFlight = 16;
/// Different tags that one communicator may see in its life; another one fails with `resource_exhausted`.
inline constexpr std::size_t kMaxTags = 4096;

struct CommunicatorOptions {
  /// Off: everything goes through the exchange.
  bool share_memory = true;
  /// Members with the same identity share memory if they can; empty: the one of this machine (boot, network
  /// namespace and user). All members on one machine and different identities make a layout of several hosts.
  std::string host_identity;
};

struct CallOptions {
  ReduceOperator op = ReduceOperator::sum;
  /// What all members call this operation; a tag may be used again once its operation is done. Without one,
  /// operations are named by their order: the k-th untagged one of every member is the same. Tagged ones may
  /// be started in another order on each member.
  std::optional<std::uint32_t> tag = std::nullopt;
};

/// Where the parts of a communicator's data travel; for logs and tests.
enum class Path { alone, exchange, shared_memory, hierarchy };

/// Collective operations over the members of one generation of a gang.
///
/// Reductions follow one fixed binary tree over the logical ranks, whatever the number of processes: leaves
/// are the logical ranks; at each level node 2k is combined with node 2k+1 (in this order), a node without a
/// partner moves up unchanged. Elements are combined in their own type, 16-bit floats in float32 and rounded
/// once at the end (to nearest, ties to even). So any split of the leaves over members gives the same bits.
///
/// A vector of n elements is cut into one slice a member (`slice_of`); member r combines slice r of all
/// inputs. This is the reduce-scatter and all-gather of R. Rabenseifner, "Optimization of Collective
/// Reduction Operations" (ICCS 2004), without its recursive halving, which would combine in an order that
/// depends on P. Members on one host read and write each other's memory (shared_group.hpp); README.md counts
/// the bytes.
///
/// Every operation waits until all members have started it. All members name it alike (`CallOptions::tag`)
/// and agree on kind, operator, type, length and root; else it fails on all of them, naming two that differ.
/// Lengths may be 0. An output may be its own input (in place: the very same elements), apart from that
/// vectors do not overlap. Vectors belong to the operation until it is done; outputs are unspecified when it
/// failed.
///
/// After a failure, the loss of a member or `abort` the communicator is dead on all members: what is in
/// flight and every later call fails, and so may an operation that just succeeded elsewhere. Form a new one
/// over a new exchange. Thread-safe; who starts untagged operations on several threads has to order them. One
/// object a generation; its destructor cancels what is in flight.
class Communicator {
 public:
  /// `ranges[r]` is what rank r hosts; they cover [0, logical ranks) once, in order. Connects at the first
  /// operation, not here.
  Communicator(std::shared_ptr<Exchange> exchange, std::vector<RankRange> ranges,
               CommunicatorOptions options = {});
  /// Every member hosts one logical rank.
  explicit Communicator(std::shared_ptr<Exchange> exchange, CommunicatorOptions options = {});
  /// A gang of one; needs no exchange.
  explicit Communicator(std::uint32_t logical_ranks);
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  RankRange hosted() const;
  std::uint32_t logical_ranks() const;
  std::uint32_t rank() const;
  std::uint32_t world_size() const;
  /// Never used twice in a process, unlike an address.
  std::uint64_t serial() const;

  /// Agrees with all members where data travels, which the first operation does otherwise. Collective.
  Result<Path> connect();

  /// At least `bytes` bytes that begin at a page, touched already, where peers on this host reach them:
  /// vectors that lie in it are neither copied nor staged. Not collective; slow, so keep it. At most 64
  /// pieces live at a time (`resource_exhausted`). Memory that was given back is given out again.
  Result<SharedMemory> allocate(std::size_t bytes);

  /// `inputs[i]` is the vector of logical rank `hosted().first + i`; `output`, of the same length, gets the
  /// combination of all logical ranks' vectors, the same bits on every member.
  Result<void> all_reduce(std::span<const ConstVector> inputs, Vector output, CallOptions options = {});
  Operation start_all_reduce(std::span<const ConstVector> inputs, Vector output, CallOptions options = {});
  /// For a member that hosts one logical rank.
  Result<void> all_reduce(ConstVector input, Vector output, CallOptions options = {}) {
    return all_reduce(std::span(&input, 1), output, options);
  }
  Operation start_all_reduce(ConstVector input, Vector output, CallOptions options = {}) {
    return start_all_reduce(std::span(&input, 1), output, options);
  }
  /// In place.
  Result<void> all_reduce(Vector in_out, CallOptions options = {}) {
    return all_reduce(ConstVector(in_out), in_out, options);
  }
  Operation start_all_reduce(Vector in_out, CallOptions options = {}) {
    return start_all_reduce(ConstVector(in_out), in_out, options);
  }

  /// Writes logical rank `logical`'s vector into `out` (all of it).
  template <class T>
  using Produce = std::function<Result<void>(std::uint32_t logical, std::span<T> out)>;

  /// Calls `produce` for each hosted logical rank in order, then leaves the sum over all logical ranks in
  /// `sum`. Memory: the logarithm of the hosted ranks times the vector, kept for the next call. An error of
  /// `produce` reaches every member.
  Result<void> all_reduce(std::span<float> sum, const Produce<float>& produce);
  Result<void> all_reduce(std::span<double> sum, const Produce<double>& produce);

  /// `output` gets slice `rank()` of what `all_reduce` of vectors of `elements` elements would give; in place
  /// it is that slice of an input.
  Result<void> reduce_scatter(std::span<const ConstVector> inputs, Vector output, std::size_t elements,
                              CallOptions options = {});
  Operation start_reduce_scatter(std::span<const ConstVector> inputs, Vector output, std::size_t elements,
                                 CallOptions options = {});
  Result<void> reduce_scatter(ConstVector input, Vector output, CallOptions options = {}) {
    return reduce_scatter(std::span(&input, 1), output, input.elements, options);
  }
  Operation start_reduce_scatter(ConstVector input, Vector output, CallOptions options = {}) {
    return start_reduce_scatter(std::span(&input, 1), output, input.elements, options);
  }

  /// `slice` is slice `rank()` of a vector, `whole` gets all of it; in place `slice` lies in `whole` already.
  Result<void> all_gather(ConstVector slice, Vector whole, CallOptions options = {});
  Operation start_all_gather(ConstVector slice, Vector whole, CallOptions options = {});

  /// `vector` gets what it holds on member `root`.
  Result<void> broadcast(Vector vector, std::uint32_t root, CallOptions options = {});
  Operation start_broadcast(Vector vector, std::uint32_t root, CallOptions options = {});

  /// Returns when all members have called it.
  Result<void> barrier(CallOptions options = {});
  Operation start_barrier(CallOptions options = {});

  /// Ends the communicator on all members: what is in flight and every later call fails with `why`.
  void abort(const Error& why);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace ds::collective
