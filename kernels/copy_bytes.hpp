#pragma once

#include <cstddef>

namespace ds::kernels {

/// Copies `size` bytes between places that do not overlap. With `stream` the writes go around the caches and
/// count as done, for other processors, only after `finish_streams`.
void copy_bytes(void* to, const void* from, std::size_t size, bool stream);

/// Orders streamed writes of this thread before its later ones.
void finish_streams();

}  // namespace ds::kernels
