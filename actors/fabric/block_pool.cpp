#include "actors/fabric/block_pool.hpp"

#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace ds::fabric {
namespace {

constexpr std::size_t kPooledFrom = std::size_t{64} << 10;

// Four sizes for each power of two: at most a fifth is wasted.
std::size_t class_of(std::size_t size) {
  const std::size_t step = std::bit_floor(size) / 4;
  return (size + step - 1) / step * step;
}

class Pool {
 public:
  std::byte* take(std::size_t size) {
    {
      std::lock_guard lock(mutex_);
      auto found = free_.find(size);
      if (found != free_.end()) {
        std::byte* block = found->second.back();
        found->second.pop_back();
        if (found->second.empty()) free_.erase(found);
        kept_ -= size;
        return block;
      }
    }
    return static_cast<std::byte*>(::operator new(size));
  }

  void give_back(std::byte* block, std::size_t size) {
    std::vector<std::byte*> gone;
    {
      std::lock_guard lock(mutex_);
      free_[size].push_back(block);
      kept_ += size;
      while (kept_ > kMaxPooledBytes) {
        auto largest = std::prev(free_.end());
        gone.push_back(largest->second.back());
        largest->second.pop_back();
        kept_ -= largest->first;
        if (largest->second.empty()) free_.erase(largest);
      }
    }
    for (std::byte* one : gone) ::operator delete(one);
  }

  void trim() {
    std::map<std::size_t, std::vector<std::byte*>> gone;
    {
      std::lock_guard lock(mutex_);
      gone.swap(free_);
      kept_ = 0;
    }
    for (const auto& [size, blocks] : gone) {
      for (std::byte* one : blocks) ::operator delete(one);
    }
  }

  std::size_t kept() {
    std::lock_guard lock(mutex_);
    return kept_;
  }

 private:
  std::mutex mutex_;
  std::map<std::size_t, std::vector<std::byte*>> free_;
  std::size_t kept_ = 0;
};

// Never destroyed: blocks may come back while the process ends.
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

}  // namespace

std::shared_ptr<std::byte[]> take_block(std::size_t size) {
  if (size < kPooledFrom) return std::make_shared_for_overwrite<std::byte[]>(size);
  const std::size_t rounded = class_of(size);
  return {pool().take(rounded), [rounded](std::byte* block) { pool().give_back(block, rounded); }};
}

void trim_blocks() {
  pool().trim();
}

std::size_t pooled_bytes() {
  return pool().kept();
}

}  // namespace ds::fabric
