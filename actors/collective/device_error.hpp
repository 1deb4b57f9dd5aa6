#pragma once

#include <cstdint>

#include "kernels/device_error.hpp"
#include "storage/result.hpp"

namespace ds::collective {

/// As members tell each other: which rank it happened on.
Error to_error(const kernels::DeviceError& error, std::uint32_t rank);

}  // namespace ds::collective
