#include "actors/train/bucket_reducer.hpp"

#include <algorithm>

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

BucketReducer::BucketReducer(collective::Communicator& communicator, std::span<float> vector,
                             std::size_t gradients)
    : communicator_(communicator),
      vector_(vector),
      bounds_(Buckets::bounds(gradients)),
      next_(bounds_.size() - 1) {}

BucketReducer::~BucketReducer() {
  for (const auto& operation : operations_) (void)operation.wait();
}

void BucketReducer::ready_from(std::size_t first) {
  // The first bucket is ready when all is: `finish` needs no thread for it.
  while (next_ > 1 && bounds_[next_ - 1] >= first) {
    --next_;
    const auto bucket = vector_.subspan(bounds_[next_], bounds_[next_ + 1] - bounds_[next_]);
    operations_.push_back(communicator_.start_all_reduce(collective::Vector(bucket),
                                                         {.tag = static_cast<std::uint32_t>(next_)}));
  }
}

Result<void> BucketReducer::finish() {
  const auto rest = vector_.subspan(bounds_.back());
  Result<void> result = communicator_.all_reduce(collective::Vector(rest), {.tag = kRestTag});
  ready_from(0);
  const auto first = vector_.first(bounds_[1]);
  if (result) result = communicator_.all_reduce(collective::Vector(first), {.tag = 0U});
  for (const auto& operation : operations_) {
    const Result<void> done = operation.wait();
    if (result && !done) result = done;
  }
  operations_.clear();
  return result;
}

}  // namespace ds::train
