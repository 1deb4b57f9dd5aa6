#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "actors/collective/communicator.hpp"

namespace ds::train {

/// How a vector is cut into buckets that are reduced one by one. Pure.
///
/// Parts of about `kLeast` elements or more, at most `kMost` of them. The same on every member, for they
/// depend on the number of gradients alone.
struct Buckets {
  static constexpr std::size_t kLeast = std::size_t{1} << 20;
  static constexpr std::size_t kMost = 8;

  static std::vector<std::size_t> bounds(std::size_t gradients);
};

/// Sums a gang's vectors, one a logical rank, bucket by bucket as the backward pass of the last hosted rank
/// finishes them from the end (S. Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel
/// Training", VLDB 2020). In place, in memory that the members share. One step's work; one thread.
class BucketReducer {
 public:
  /// `vectors`, one a hosted rank in their order, come from `communicator.allocate`; the first gets the sum.
  /// The first `gradients` elements of each are gradients, the rest is small. All but the last are complete
  /// when `ready_from` is called first, the last when `finish` is.
  BucketReducer(collective::Communicator& communicator, std::vector<std::span<float>> vectors,
                std::size_t gradients);
  /// Waits for what was started; after an error that can take until the communicator is aborted.
  ~BucketReducer();
  BucketReducer(const BucketReducer&) = delete;
  BucketReducer& operator=(const BucketReducer&) = delete;

  /// The last vector's gradients from `first` on are in place.
  void ready_from(std::size_t first);
  /// Starts what is left and waits for all.
  Result<void> finish();

 private:
  std::span<const collective::ConstVector> inputs(std::size_t first, std::size_t count);

  collective::Communicator& communicator_;
  const std::vector<std::span<float>> vectors_;
  std::vector<collective::ConstVector> inputs_;
  const std::vector<std::size_t> bounds_;
  std::size_t next_;  ///< buckets from this one on are under way
  std::vector<collective::Operation> operations_;
};

}  // namespace ds::train
