#include "actors/collective/device_error.hpp"

#include <fmt/format.h>

namespace ds::collective {
namespace {

ErrorCode code_of(kernels::DeviceError::Kind kind) {
  using Kind = kernels::DeviceError::Kind;
  switch (kind) {
    case Kind::unavailable:
      return ErrorCode::unavailable;
    case Kind::out_of_memory:
      return ErrorCode::resource_exhausted;
    case Kind::unsupported:
      return ErrorCode::unsupported;
    case Kind::cancelled:
      return ErrorCode::cancelled;
    case Kind::failed:
      break;
  }
  return ErrorCode::internal;
}

}  // namespace

Error to_error(const kernels::DeviceError& error, std::uint32_t rank) {
  return {code_of(error.kind), fmt::format("rank {}: {}", rank, error.message), error.hint};
}

}  // namespace ds::collective
