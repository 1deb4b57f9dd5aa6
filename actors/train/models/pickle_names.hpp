#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/result.hpp"

namespace ds::train {

/// The names of types and functions that reading this pickle would look up, as `module.name`, in order of
/// appearance: `__torch__.Net`, `torch._utils._rebuild_tensor_v2`. Nothing is looked up here.
///
/// Follows the instructions that TorchScript's own pickler writes. `invalid_argument` for others, and where
/// it ends too early. Pure; any thread.
Result<std::vector<std::string>> names_in_pickle(std::string_view pickle);

}  // namespace ds::train
