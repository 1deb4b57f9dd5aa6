#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ds::clients {

/// `one, two, three`; of a JSON array its texts. Pure.
std::string join_words(const std::vector<std::string>& words);
std::string join_words(const nlohmann::json& words);

}  // namespace ds::clients
