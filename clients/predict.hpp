#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ds::clients {

/// The request for texts, or for tensors given as `NAME=JSON`, of a model with this metadata (of the
/// inference protocol). Shapes follow from how the JSON is nested. Pure. Throws `Failure` with `usage`.
nlohmann::json make_request(const nlohmann::json& metadata, const std::vector<std::string>& texts,
                            const std::vector<std::string>& tensors);

/// A row for each row of the batch, a column for each output; of many numbers the first few. Pure.
std::string format_prediction(const nlohmann::json& answer, bool coloured);

}  // namespace ds::clients
