#include "clients/json_fields.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

namespace ds::clients {
namespace {

const nlohmann::json* find(const nlohmann::json& object, std::string_view path) {
  const nlohmann::json* here = &object;
  while (!path.empty()) {
    const auto dot = path.find('.');
    const std::string key(path.substr(0, dot));
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    if (!here->is_object()) return nullptr;
    const auto found = here->find(key);
    if (found == here->end()) return nullptr;
    here = &*found;
  }
  return here;
}

std::string quote_not_finite(std::string_view text) {
  std::string quoted;
  bool is_in_text = false;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t length = 1;
    if (is_in_text && text[at] == '\\') {
      length = 2;
    } else if (text[at] == '"') {
      is_in_text = !is_in_text;
    } else if (!is_in_text) {
      for (const std::string_view number : {"NaN", "Infinity", "-Infinity"}) {
        if (!text.substr(at).starts_with(number)) continue;
        quoted += fmt::format("\"{}\"", number);
        at += number.size();
        length = 0;
        break;
      }
    }
    quoted += text.substr(at, length);
    at += length;
  }
  return quoted;
}

}  // namespace

nlohmann::json parse_json(const std::string& text) {
  auto json = nlohmann::json::parse(text, nullptr, false);
  return json.is_discarded() ? nlohmann::json::parse(quote_not_finite(text), nullptr, false) : json;
}

std::optional<double> number_at(const nlohmann::json& object, std::string_view path) {
  const auto* value = find(object, path);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const double number = value->get<double>();
  if (!std::isfinite(number)) return std::nullopt;
  return number;
}

std::int64_t integer_at(const nlohmann::json& object, std::string_view path, std::int64_t otherwise) {
  const auto* value = find(object, path);
  return value != nullptr && value->is_number_integer() ? value->get<std::int64_t>() : otherwise;
}

std::string text_at(const nlohmann::json& object, std::string_view path) {
  const auto* value = find(object, path);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

const nlohmann::json& array_at(const nlohmann::json& object, std::string_view path) {
  static const nlohmann::json kEmpty = nlohmann::json::array();
  const auto* value = find(object, path);
  return value != nullptr && value->is_array() ? *value : kEmpty;
}

}  // namespace ds::clients
