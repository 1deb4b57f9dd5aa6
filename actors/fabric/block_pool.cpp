#include "actors/fabric/block_pool.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "actors/fabric/shared_segment.hpp"

namespace ds::fabric {
namespace {

// Four sizes for each power of two: at most a fifth is wasted.
std::size_t class_of(std::size_t size) {
  const std::size_t step = std::bit_floor(size) / 4;
  return (size + step - 1) / step * step;
}

struct Block {
  std::uint64_t id = 0;
  std::size_t bytes = 0;
  SharedSegment segment;              // empty: on the heap
  std::unique_ptr<std::byte[]> heap;  // when there is no segment
  bool retired = false;

  std::byte* memory() const { return heap ? heap.get() : segment.bytes().data(); }
};

class Pool {
 public:
  std::shared_ptr<std::byte[]> take(std::size_t bytes) {
    std::unique_ptr<Block> block = reuse(bytes);
    if (!block) block = make(bytes);
    std::byte* memory = block->memory();
    Block* lent = block.get();
    std::shared_ptr<std::byte[]> owner(memory,
                                       [this, lent](std::byte*) { give_back(std::unique_ptr<Block>(lent)); });
    block.release();
    return owner;
  }

  std::optional<SharedPart> find(std::span<const std::byte> bytes) {
    std::lock_guard lock(mutex_);
    const Block* block = find_block(bytes);
    if (block == nullptr || block->retired) return {};
    return SharedPart{block->id, block->segment.fd(), block->bytes,
                      static_cast<std::size_t>(bytes.data() - block->memory())};
  }

  void retire(std::span<const std::byte> bytes) {
    std::lock_guard lock(mutex_);
    if (Block* block = find_block(bytes)) block->retired = true;
  }

  std::size_t kept() {
    std::lock_guard lock(mutex_);
    return kept_;
  }

 private:
  Block* find_block(std::span<const std::byte> bytes) {
    auto after = shared_.upper_bound(bytes.data());
    if (after == shared_.begin()) return nullptr;
    Block* block = std::prev(after)->second;
    const std::byte* end = block->memory() + block->bytes;
    return bytes.data() + bytes.size() <= end ? block : nullptr;
  }

  std::unique_ptr<Block> reuse(std::size_t bytes) {
    std::lock_guard lock(mutex_);
    auto found = free_.find(bytes);
    if (found == free_.end()) return {};
    std::unique_ptr<Block> block = std::move(found->second.back());
    found->second.pop_back();
    if (found->second.empty()) free_.erase(found);
    kept_ -= bytes;
    return block;
  }

  std::unique_ptr<Block> make(std::size_t bytes) {
    auto block = std::make_unique<Block>();
    block->bytes = bytes;
    std::lock_guard lock(mutex_);
    if (shared_.size() < kMaxSharedBlocks) {
      if (auto segment = SharedSegment::create("ds-block", bytes)) {
        block->segment = std::move(*segment);
        block->id = next_id_++;
        shared_.emplace(block->memory(), block.get());
        return block;
      }
    }
    block->heap = std::make_unique_for_overwrite<std::byte[]>(bytes);
    return block;
  }

  void give_back(std::unique_ptr<Block> block) {
    std::vector<std::unique_ptr<Block>> gone;  // their memory goes back after the lock
    std::lock_guard lock(mutex_);
    if (block->retired) {
      forget(*block);
      gone.push_back(std::move(block));
      return;
    }
    kept_ += block->bytes;
    free_[block->bytes].push_back(std::move(block));
    while (kept_ > kMaxPooledBytes) {
      auto largest = std::prev(free_.end());
      forget(*largest->second.back());
      gone.push_back(std::move(largest->second.back()));
      largest->second.pop_back();
      kept_ -= largest->first;
      if (largest->second.empty()) free_.erase(largest);
    }
  }

  void forget(const Block& block) {
    if (!block.heap) shared_.erase(block.memory());
  }

  std::mutex mutex_;
  std::map<std::size_t, std::vector<std::unique_ptr<Block>>> free_;
  std::map<const std::byte*, Block*> shared_;
  std::size_t kept_ = 0;
  std::uint64_t next_id_ = 1;
};

// Never destroyed: blocks may come back while the process ends.
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

}  // namespace

std::shared_ptr<std::byte[]> take_block(std::size_t size) {
  if (size < kPooledFrom) return std::make_shared_for_overwrite<std::byte[]>(size);
  return pool().take(class_of(size));
}

std::optional<SharedPart> find_shared_part(std::span<const std::byte> bytes) {
  return bytes.size() < kPooledFrom ? std::nullopt : pool().find(bytes);
}

void retire_block(std::span<const std::byte> bytes) {
  pool().retire(bytes);
}

std::size_t pooled_bytes() {
  return pool().kept();
}

}  // namespace ds::fabric
