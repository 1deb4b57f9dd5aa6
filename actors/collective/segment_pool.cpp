#include "actors/collective/segment_pool.hpp"

#include <fmt/format.h>

namespace ds::collective {

Result<SharedMemory> SegmentPool::allocate(std::size_t bytes) {
  std::unique_lock lock(mutex_);
  std::size_t chosen = pieces_.size();
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const auto size = [&](std::size_t at) { return pieces_[at].segment->bytes().size(); };
    if (pieces_[i].used || size(i) < bytes) continue;
    if (chosen == pieces_.size() || size(i) < size(chosen)) chosen = i;
  }
  if (chosen == pieces_.size()) {
    if (chosen == kMaxSegments) {
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("the communicator has given out {} pieces of shared memory", kMaxSegments),
                  "keep several vectors in one piece");
    }
    auto segment = SharedSegment::create(bytes, bytes);
    if (!segment) return tl::unexpected(segment.error());
    pieces_.push_back({*std::move(segment), false});
  }
  pieces_[chosen].used = true;
  std::byte* memory = pieces_[chosen].segment->bytes().data();
  // The memory outlives the communicator where it has to.
  return SharedMemory(std::shared_ptr<std::byte>(memory, [self = shared_from_this(),
                                                          chosen](std::byte*) { self->give_back(chosen); }),
                      bytes);
}

SegmentPlace SegmentPool::locate(const void* data, std::size_t bytes) const {
  const std::lock_guard lock(mutex_);
  const auto first = reinterpret_cast<std::uintptr_t>(data);
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const std::span<std::byte> segment = pieces_[i].segment->bytes();
    const auto begin = reinterpret_cast<std::uintptr_t>(segment.data());
    if (first < begin || first - begin > segment.size() || bytes > segment.size() - (first - begin)) continue;
    return {static_cast<std::uint32_t>(i), 0, first - begin};
  }
  return {};
}

std::size_t SegmentPool::count() const {
  const std::lock_guard lock(mutex_);
  return pieces_.size();
}

std::shared_ptr<SharedSegment> SegmentPool::at(std::size_t number) const {
  const std::lock_guard lock(mutex_);
  return pieces_[number].segment;
}

void SegmentPool::give_back(std::size_t number) {
  const std::lock_guard lock(mutex_);
  pieces_[number].used = false;
}

}  // namespace ds::collective
