#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "actors/collective/communicator.hpp"
#include "actors/collective/exchange.hpp"
#include "actors/collective/operation.hpp"
#include "actors/collective/rank_range.hpp"
#include "actors/collective/vector_view.hpp"
#include "kernels/device.hpp"

namespace ds::collective {

/// `Communicator` for vectors in the memory of GPUs, one GPU a member: the same operations along the same
/// fixed tree over logical ranks, with the same bits as on processors.
///
/// Members agree over the exchange; data travels from GPU to GPU by NCCL, whose own reductions are not used
/// because their order depends on the members. NCCL neither encrypts nor authenticates.
///
/// A call first waits for what was put on `stream` before it. It is done when the results are in place on all
/// members; nothing is put on `stream`. Operations are carried out one after another, in the order in which
/// they were started, which must be the same on all members; at most `kMaxOperationsInFlight` at a time. A
/// member hosts at most 384 logical ranks, and the maximal subtrees of all members are no more than that.
///
/// Agreement, failure, abort and the end are as with `Communicator`: in place means the very same elements;
/// vectors belong to the operation until it is done, also when it fails; after a failure, the loss of a
/// member or `abort` all members fail, what is in flight included. The exchange may also be used by one
/// `Communicator`, which then fails together with this one. Thread-safe.
class DeviceCommunicator {
 public:
  /// `ranges` as for `Communicator`. A device that could not be opened makes the first operation fail on all
  /// members. Connects at the first operation, not here.
  DeviceCommunicator(std::shared_ptr<Exchange> exchange, std::vector<RankRange> ranges,
                     kernels::DeviceResult<std::shared_ptr<kernels::Device>> device);
  /// A gang of one; needs no exchange and no NCCL.
  DeviceCommunicator(std::uint32_t logical_ranks,
                     kernels::DeviceResult<std::shared_ptr<kernels::Device>> device);
  ~DeviceCommunicator();
  DeviceCommunicator(const DeviceCommunicator&) = delete;
  DeviceCommunicator& operator=(const DeviceCommunicator&) = delete;

  RankRange hosted() const;
  std::uint32_t logical_ranks() const;
  std::uint32_t rank() const;
  std::uint32_t world_size() const;

  /// `inputs[i]` is the vector of logical rank `hosted().first + i`.
  Operation start_all_reduce(std::span<const ConstVector> inputs, Vector output, kernels::DeviceStream stream,
                             ReduceOperator op = ReduceOperator::sum);
  /// `output` gets slice `rank()` of what `all_reduce` of vectors of `elements` elements would give; in place
  /// it is that slice of an input.
  Operation start_reduce_scatter(std::span<const ConstVector> inputs, Vector output, std::size_t elements,
                                 kernels::DeviceStream stream, ReduceOperator op = ReduceOperator::sum);
  /// `slice` is slice `rank()` of a vector, `whole` gets all of it; in place `slice` lies in `whole` already.
  Operation start_all_gather(ConstVector slice, Vector whole, kernels::DeviceStream stream);
  /// `vector` gets what it holds on member `root`.
  Operation start_broadcast(Vector vector, std::uint32_t root, kernels::DeviceStream stream);
  /// Done when all members have started it and what was on their streams is done.
  Operation start_barrier(kernels::DeviceStream stream);

  Result<void> all_reduce(std::span<const ConstVector> inputs, Vector output, kernels::DeviceStream stream,
                          ReduceOperator op = ReduceOperator::sum) {
    return start_all_reduce(inputs, output, stream, op).wait();
  }
  Result<void> reduce_scatter(std::span<const ConstVector> inputs, Vector output, std::size_t elements,
                              kernels::DeviceStream stream, ReduceOperator op = ReduceOperator::sum) {
    return start_reduce_scatter(inputs, output, elements, stream, op).wait();
  }
  Result<void> all_gather(ConstVector slice, Vector whole, kernels::DeviceStream stream) {
    return start_all_gather(slice, whole, stream).wait();
  }
  Result<void> broadcast(Vector vector, std::uint32_t root, kernels::DeviceStream stream) {
    return start_broadcast(vector, root, stream).wait();
  }
  Result<void> barrier(kernels::DeviceStream stream) { return start_barrier(stream).wait(); }

  /// Ends the communicator on all members: what is in flight and every later call fails with `why`.
  void abort(Error why);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace ds::collective
