#pragma once

#include <string>
#include <string_view>

namespace ds::scheduler {

/// What to do about a message of the YAML parser, which is in its own words; empty when there is no advice.
/// `line`: the text from the start of the line where it stopped.
std::string hint_for_syntax(std::string_view message, std::string_view line);

}  // namespace ds::scheduler
