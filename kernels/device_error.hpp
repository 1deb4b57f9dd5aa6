#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace ds::kernels {

/// Why something on a GPU failed, written for the person who reads it.
struct DeviceError {
  enum class Kind {
    unavailable,    ///< no such GPU, no driver, a build without it, or a member that is gone
    out_of_memory,  ///< on the GPU
    unsupported,    ///< more than this build can do
    cancelled,      ///< the caller gave up
    failed,         ///< CUDA or NCCL failed otherwise
  };
  Kind kind = Kind::failed;
  std::string message;
  std::string hint;  ///< what to do about it; may be empty
  bool operator==(const DeviceError&) const = default;
};

template <class T>
using DeviceResult = tl::expected<T, DeviceError>;

inline tl::unexpected<DeviceError> device_failure(DeviceError::Kind kind, std::string message,
                                                  std::string hint = {}) {
  return tl::unexpected<DeviceError>(DeviceError{kind, std::move(message), std::move(hint)});
}

}  // namespace ds::kernels
