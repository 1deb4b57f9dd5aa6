#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ds::clients {

/// The document as YAML, in block style: any reader of YAML 1.1 or 1.2 makes the same document of it. Pure.
std::string to_yaml(const nlohmann::json& document);

}  // namespace ds::clients
