#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ds::clients {

/// The one of `known` that `typed` was most likely meant to be: the fewest letters inserted, dropped, changed
/// or swapped, at most a third of the word. Empty when none is near.
std::string nearest_word(std::string_view typed, const std::vector<std::string>& known);

}  // namespace ds::clients
