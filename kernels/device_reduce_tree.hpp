#pragma once

#include "kernels/device_error.hpp"
#include "kernels/reduce_tree.hpp"

namespace ds::kernels {

/// A stream of a GPU (`cudaStream_t`), not owned; null: the default stream.
struct DeviceStream {
  void* handle = nullptr;
};

/// `reduce_tree` on a GPU: puts it on `stream` and returns. All vectors lie in memory that the GPU reaches.
///
/// The same bits as `reduce_tree`, but for the payloads of NaNs in outputs that are not finished. One output;
/// at most `kMaxProgramInputs` inputs (`unsupported`). `stream` belongs to the calling thread's current
/// device. Thread-safe.
DeviceResult<void> device_reduce_tree(const TreeReduction& reduction, DeviceStream stream);

}  // namespace ds::kernels
