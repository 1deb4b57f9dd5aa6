#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace ds::clients {

/// Discarded when it is no JSON. The bare numbers NaN, Infinity and -Infinity, which models may answer and
/// which JSON does not have, become texts.
nlohmann::json parse_json(const std::string& text);

/// Reads fields of the head's answers. A field that is missing, null or of another type counts as absent: an
/// answer of a newer or older head must not end the client. `path` is dotted: `metrics.loss`.
std::optional<double> number_at(const nlohmann::json& object, std::string_view path);
std::int64_t integer_at(const nlohmann::json& object, std::string_view path, std::int64_t otherwise = 0);
std::string text_at(const nlohmann::json& object, std::string_view path);  ///< empty when absent
/// The array itself, or an empty one.
const nlohmann::json& array_at(const nlohmann::json& object, std::string_view path);

}  // namespace ds::clients
