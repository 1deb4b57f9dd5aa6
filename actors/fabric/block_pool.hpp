#pragma once

#include <cstddef>
#include <memory>

namespace ds::fabric {

/// What the pool keeps for later; beyond it, memory goes back to the system at once.
inline constexpr std::size_t kMaxPooledBytes = std::size_t{256} << 20;

/// Memory for `size` bytes, not zeroed, from a pool of the process.
///
/// Fresh memory costs a page fault every 4 KiB, here thirty times what the copy into it costs; blocks of
/// 64 KiB and more are therefore kept when the last owner lets go, up to `kMaxPooledBytes` in all, the largest
/// thrown away first. Small blocks come from the ordinary heap. Throws `std::bad_alloc`. Thread-safe.
std::shared_ptr<std::byte[]> take_block(std::size_t size);

/// Gives what the pool keeps back to the system.
void trim_blocks();

/// What the pool keeps now.
std::size_t pooled_bytes();

}  // namespace ds::fabric
