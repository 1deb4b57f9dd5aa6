#pragma once

#include <string_view>

#include "storage/result.hpp"

namespace ds::storage {

/// Whether `job` may become part of a path or key: `[a-z0-9][a-z0-9._-]*`, at most 127 characters (a name of
/// up to 63 and a suffix). It can hold no separator, no `..` component and no control character.
bool is_job_id(std::string_view job);

/// `invalid_argument` that shows the rule.
Result<void> require_job_id(std::string_view job);

}  // namespace ds::storage
