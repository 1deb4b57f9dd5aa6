#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "actors/collective/device_communicator.hpp"
#include "actors/collective/local_exchange.hpp"
#include "tests/unit/kernels/device_tree_cases.hpp"

namespace ds::collective {

using Devices = std::vector<kernels::DeviceResult<std::shared_ptr<kernels::Device>>>;
using Bytes = std::vector<std::byte>;

/// Runs `member(communicator, rank)` on a thread for each range, `devices[rank]` being its device.
inline void run_device_gang(const std::vector<RankRange>& ranges, const Devices& devices,
                            const std::function<void(DeviceCommunicator&, std::uint32_t)>& member) {
  auto exchanges = make_local_exchanges(static_cast<std::uint32_t>(ranges.size()));
  std::vector<std::thread> threads;
  for (std::uint32_t rank = 0; rank < ranges.size(); ++rank) {
    threads.emplace_back([&, rank, mine = std::move(exchanges[rank])]() mutable {
      DeviceCommunicator communicator(std::move(mine), ranges, devices[rank]);
      member(communicator, rank);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

/// A vector in a device's memory.
class DeviceVector {
 public:
  DeviceVector(kernels::Device& device, ElementType type, const Bytes& bytes)
      : device_(device), type_(type), bytes_(bytes.size()) {
    auto memory = device.allocate(bytes.size());
    EXPECT_TRUE(memory) << memory.error().message;
    if (memory) memory_ = *std::move(memory);
    EXPECT_TRUE(device.copy(memory_.get(), bytes.data(), bytes.size()));
  }

  Bytes bytes() const {
    Bytes copy(bytes_);
    EXPECT_TRUE(device_.copy(copy.data(), memory_.get(), bytes_));
    return copy;
  }
  Vector whole() const { return part({0, bytes_ / kernels::size_of(type_)}); }
  Vector part(Slice slice) const {
    auto* first = static_cast<std::byte*>(memory_.get()) + slice.first * kernels::size_of(type_);
    return {first, slice.size(), type_};
  }

 private:
  kernels::Device& device_;
  ElementType type_;
  std::size_t bytes_;
  std::shared_ptr<void> memory_;
};

inline ConstVector to_input(Vector vector) {
  return {vector.data, vector.elements, vector.type};
}

inline Bytes cut(const Bytes& bytes, Slice slice, ElementType type) {
  const std::size_t size = kernels::size_of(type);
  const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(slice.first * size);
  return {first, first + static_cast<std::ptrdiff_t>(slice.size() * size)};
}

/// All operations once, as one member of a gang that shares `ranges.back().last` leaves of that tree.
inline void expect_all_operations(DeviceCommunicator& communicator, kernels::Device& device,
                                  kernels::DeviceStream stream, const kernels::TreeCase& tree) {
  kernels::TreeCaseVectors leaves(tree);
  const Bytes expected = kernels::reduce_on_cpu(tree);
  const Slice own = slice_of(tree.elements, communicator.world_size(), communicator.rank());
  std::vector<DeviceVector> vectors;
  std::vector<ConstVector> inputs;
  const RankRange hosted = communicator.hosted();
  for (std::uint32_t leaf = hosted.first; leaf < hosted.last; ++leaf) {
    vectors.emplace_back(device, tree.type, leaves.inputs[leaf]);
    inputs.push_back(to_input(vectors.back().whole()));
  }
  const auto succeeds = [&](const Result<void>& done) { EXPECT_TRUE(done) << done.error().message; };
  const Bytes zeros(expected.size());

  const DeviceVector output(device, tree.type, zeros);
  succeeds(communicator.all_reduce(inputs, output.whole(), stream, tree.op));
  EXPECT_EQ(output.bytes(), expected);

  const DeviceVector slice(device, tree.type, cut(zeros, own, tree.type));
  succeeds(communicator.reduce_scatter(inputs, slice.whole(), tree.elements, stream, tree.op));
  EXPECT_EQ(slice.bytes(), cut(expected, own, tree.type));

  const DeviceVector gathered(device, tree.type, zeros);
  succeeds(communicator.all_gather(to_input(slice.whole()), gathered.whole(), stream));
  EXPECT_EQ(gathered.bytes(), expected);

  const std::uint32_t root = communicator.world_size() - 1;
  const DeviceVector sent(device, tree.type, communicator.rank() == root ? expected : zeros);
  succeeds(communicator.broadcast(sent.whole(), root, stream));
  EXPECT_EQ(sent.bytes(), expected);
  succeeds(communicator.barrier(stream));

  if (vectors.empty()) {  // takes part with vectors of its own, for it has no input to put the result into
    succeeds(communicator.reduce_scatter(inputs, slice.whole(), tree.elements, stream, tree.op));
    succeeds(communicator.all_reduce(inputs, output.whole(), stream, tree.op));
  } else {  // in place; the slice first, which only changes the part that the other operation overwrites
    const Vector in_place = vectors.back().part(own);
    succeeds(communicator.reduce_scatter(inputs, in_place, tree.elements, stream, tree.op));
    EXPECT_EQ(cut(vectors.back().bytes(), own, tree.type), cut(expected, own, tree.type));
    EXPECT_TRUE(
        device.copy(vectors.back().whole().data, leaves.inputs[hosted.last - 1].data(), expected.size()));
    succeeds(communicator.all_reduce(inputs, vectors.back().whole(), stream, tree.op));
    EXPECT_EQ(vectors.back().bytes(), expected);
  }
}

/// Every type and operator, even and odd sizes, over that many leaves.
inline void expect_contract(const std::vector<RankRange>& ranges, const Devices& devices,
                            kernels::DeviceStream stream) {
  for (const auto& device : devices) ASSERT_TRUE(device) << device.error().message;
  run_device_gang(ranges, devices, [&](DeviceCommunicator& communicator, std::uint32_t rank) {
    for (std::size_t type = 0; type < kernels::kElementTypes; ++type) {
      for (std::size_t op = 0; op < kernels::kReduceOperators; ++op) {
        for (const std::size_t elements : {0, 1, 7, 1021}) {
          const kernels::TreeCase tree{static_cast<ElementType>(type), static_cast<ReduceOperator>(op),
                                       communicator.logical_ranks(), elements};
          SCOPED_TRACE(std::string(name_of(tree.type)) + ' ' + name_of(tree.op) + ", " +
                       std::to_string(elements) + " elements, rank " + std::to_string(rank) + " of " +
                       std::to_string(ranges.size()));
          expect_all_operations(communicator, **devices[rank], stream, tree);
        }
      }
    }
  });
}

}  // namespace ds::collective
