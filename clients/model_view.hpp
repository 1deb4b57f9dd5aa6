#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace ds::clients {

/// The head's answers about models of the registry as a person reads them; each ends with a newline. Pure.
std::string format_models(const nlohmann::json& models, bool coloured);
std::string format_model(const nlohmann::json& model, std::int64_t now_ms, bool coloured);
/// Where a tag points after it has moved: `intents: prod is version 3 (ckpt:intents-4f7a2k@40)`.
std::string format_tag(const nlohmann::json& model, const std::string& tag);

/// The shares and replicas of the versions that a job serves; empty when it serves none of the registry.
std::string format_served(const nlohmann::json& model, bool coloured);

}  // namespace ds::clients
