#include "actors/train/bucket_reducer.hpp"

#include <algorithm>
#include <utility>

namespace ds::train {
namespace {

constexpr std::uint32_t kRestTag = Buckets::kMost;  // buckets have their number

}  // namespace

std::vector<std::size_t> Buckets::bounds(std::size_t gradients) {
  const std::size_t parts = std::clamp<std::size_t>(gradients / kLeast, 1, kMost);
  std::vector<std::size_t> bounds;
  for (std::size_t part = 0; part < parts; ++part) bounds.push_back(gradients / parts * part);
  bounds.push_back(gradients);
  return bounds;
}

BucketReducer::BucketReducer(collective::Communicator& communicator, std::vector<std::span<float>> vectors,
                             std::size_t gradients)
    : communicator_(communicator),
      vectors_(std::move(vectors)),
      bounds_(Buckets::bounds(gradients)),
      next_(bounds_.size() - 1) {}

BucketReducer::~BucketReducer() {
  for (const auto& operation : operations_) (void)operation.wait();
}

std::span<const collective::ConstVector> BucketReducer::inputs(std::size_t first, std::size_t count) {
  inputs_.clear();
  for (const std::span<float> vector : vectors_) inputs_.emplace_back(vector.subspan(first, count));
  return inputs_;
}

void BucketReducer::ready_from(std::size_t first) {
  // The first bucket is ready when all is: `finish` needs no thread for it.
  while (next_ > 1 && bounds_[next_ - 1] >= first) {
    --next_;
    const std::size_t begin = bounds_[next_], count = bounds_[next_ + 1] - begin;
    operations_.push_back(communicator_.start_all_reduce(
        inputs(begin, count), collective::Vector(vectors_.front().subspan(begin, count)),
        {.tag = static_cast<std::uint32_t>(next_)}));
  }
}

Result<void> BucketReducer::finish() {
  const std::span<float> sum = vectors_.front(), rest = sum.subspan(bounds_.back());
  Result<void> result = communicator_.all_reduce(inputs(bounds_.back(), rest.size()),
                                                 collective::Vector(rest), {.tag = kRestTag});
  ready_from(0);
  if (result)
    result = communicator_.all_reduce(inputs(0, bounds_[1]), collective::Vector(sum.first(bounds_[1])),
                                      {.tag = 0U});
  for (const auto& operation : operations_) {
    const Result<void> done = operation.wait();
    if (result && !done) result = done;
  }
  operations_.clear();
  return result;
}

}  // namespace ds::train
