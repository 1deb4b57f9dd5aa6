#pragma once

#include <string_view>

#include "storage/result.hpp"

namespace ds::serving {

enum class ModelControl { load, unload };

/// Whether the body of a request to load or unload a model asks for nothing that isn't done here. It may be
/// empty. `invalid_argument`: it is no JSON object. `unsupported`: parameters to load a model otherwise than
/// its job says (`config`, `file:…`); those of `unload` (`unload_dependents`) ask for nothing more, as no
/// model depends on another. Pure.
Result<void> check_control_body(std::string_view body, ModelControl what);

}  // namespace ds::serving
