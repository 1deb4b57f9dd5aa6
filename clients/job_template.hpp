#pragma once

#include <string>
#include <string_view>

namespace ds::clients {

/// A job file to begin with, of kind `train`, `serve` or `command`: what is needed, and in comments what is
/// often wanted. Empty for another kind. Pure.
std::string job_template(std::string_view kind);

}  // namespace ds::clients
