#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace ds::fabric {

/// What the pool keeps for later; beyond it, memory goes back to the system at once.
inline constexpr std::size_t kMaxPooledBytes = std::size_t{256} << 20;
/// How many blocks are made so that other processes can map them; each takes a descriptor. Further ones come
/// from the heap.
inline constexpr std::size_t kMaxSharedBlocks = 128;
/// Smaller blocks come from the ordinary heap.
inline constexpr std::size_t kPooledFrom = std::size_t{64} << 10;

/// Memory for `size` bytes, not zeroed, from a pool of the process.
///
/// Fresh memory costs a page fault every 4 KiB, here thirty times what the copy into it costs; blocks of
/// `kPooledFrom` and more are therefore kept when the last owner lets go, up to `kMaxPooledBytes` in all, the
/// largest thrown away first. They are shared segments without a name, so that they can be lent to processes
/// of the same host instead of being copied. Throws `std::bad_alloc`. Thread-safe.
std::shared_ptr<std::byte[]> take_block(std::size_t size);

/// A part of a block that another process can map.
struct SharedPart {
  std::uint64_t block = 0;  ///< never used twice in a process
  int fd = -1;              ///< valid while somebody owns the block
  std::size_t block_bytes = 0;
  std::size_t offset = 0;
};

/// Where `bytes` lie, if in a block that can be lent. Thread-safe.
std::optional<SharedPart> find_shared_part(std::span<const std::byte> bytes);

/// Keeps the block around `bytes` from being used again: somebody we no longer talk to may still look at it.
void retire_block(std::span<const std::byte> bytes);

/// What the pool keeps now.
std::size_t pooled_bytes();

}  // namespace ds::fabric
