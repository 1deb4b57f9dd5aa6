#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "actors/collective/shared_layout.hpp"
#include "actors/collective/shared_memory.hpp"
#include "actors/collective/shared_segment.hpp"

namespace ds::collective {

/// Segments of one communicator in which vectors may lie. Thread-safe.
class SegmentPool : public std::enable_shared_from_this<SegmentPool> {
 public:
  static constexpr std::size_t kMaxSegments = 64;

  /// See `Communicator::allocate`.
  Result<SharedMemory> allocate(std::size_t bytes);

  /// The segment that has all of [data, data + bytes), or `SegmentPlace::kStaged`.
  SegmentPlace locate(const void* data, std::size_t bytes) const;

  /// Numbers are given out once and stay.
  std::size_t count() const;
  std::shared_ptr<SharedSegment> at(std::size_t number) const;

 private:
  struct Piece {
    std::shared_ptr<SharedSegment> segment;
    bool used = false;
  };
  void give_back(std::size_t number);

  mutable std::mutex mutex_;
  std::vector<Piece> pieces_;
};

}  // namespace ds::collective
