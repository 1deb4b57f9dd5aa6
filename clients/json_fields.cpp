#include "clients/json_fields.hpp"

#include <cmath>

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

}  // namespace

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
