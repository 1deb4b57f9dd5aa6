#pragma once

// Private to the archive reader.

#include <optional>
#include <string>
#include <string_view>

namespace ds::train {

/// What torch would run while it reads this source of an archive, in words; none: nothing. Torch runs
/// `__setstate__`, and evaluates the defaults of parameters and the constants of classes: these may be
/// literals, names and types, and no calls. Only parses. Throws what torch's parser does.
std::optional<std::string> find_code_run_while_loading(std::string_view source);

}  // namespace ds::train
