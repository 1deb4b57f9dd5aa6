#include "actors/head/model_requests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

namespace ds::head {
namespace {

using nlohmann::json;

struct Field {
  const char* name;
  bool may_be_number = false;  ///< a whole one, from 0
};

/// Each field's text by its place in `fields`; empty where it is not given.
Result<std::vector<std::string>> read_fields(const json& body, std::span<const Field> fields) {
  std::vector<std::string> texts(fields.size());
  std::string names;
  for (const auto& field : fields) names += (names.empty() ? "" : ", ") + std::string(field.name);
  if (!body.is_object()) return fail(ErrorCode::invalid_argument, "the body is no object", "it has " + names);
  for (const auto& [key, value] : body.items()) {
    const auto field = std::ranges::find_if(fields, [&](const Field& one) { return key == one.name; });
    if (field == fields.end())
      return fail(ErrorCode::invalid_argument, "the body has a field that is not known: " + json(key).dump(),
                  "it may have " + names);
    auto& text = texts[static_cast<std::size_t>(field - fields.begin())];
    if (value.is_string()) {
      text = value.get<std::string>();
    } else if (field->may_be_number && value.is_number_unsigned()) {
      text = std::to_string(value.get<std::uint64_t>());
    } else {
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("{} is no string{}", key, field->may_be_number ? " and no number of a version" : ""));
    }
    // An empty string is not "not given": what is done then is not what was asked for.
    if (text.empty()) return fail(ErrorCode::invalid_argument, key + " is empty", "leave it out instead");
  }
  return texts;
}

}  // namespace

Result<VersionRequest> read_version_request(const json& body) {
  static constexpr Field kFields[]{{"from"}, {"tag"}};
  const auto texts = read_fields(body, kFields);
  if (!texts) return tl::unexpected(texts.error());
  return VersionRequest{texts->at(0), texts->at(1)};
}

Result<PromoteRequest> read_promote_request(const json& body) {
  static constexpr Field kFields[]{{"tag"}, {"to", true}};
  const auto texts = read_fields(body, kFields);
  if (!texts) return tl::unexpected(texts.error());
  return PromoteRequest{texts->at(0), texts->at(1)};
}

Result<RemoveRequest> read_remove_request(const json& body) {
  static constexpr Field kFields[]{{"version", true}};
  const auto texts = read_fields(body, kFields);
  if (!texts) return tl::unexpected(texts.error());
  const std::string& text = texts->front();
  RemoveRequest request;
  if (text.empty()) return request;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), request.version);
  if (error != std::errc() || end != text.data() + text.size() || request.version == 0)
    return fail(ErrorCode::invalid_argument, "version is no number of a version: " + json(text).dump(),
                "a tag won't do: what it points at may have become another one");
  return request;
}

Result<RollbackRequest> read_rollback_request(const json& body) {
  static constexpr Field kFields[]{{"tag"}, {"from", true}};
  const auto texts = read_fields(body, kFields);
  if (!texts) return tl::unexpected(texts.error());
  return RollbackRequest{texts->at(0), texts->at(1)};
}

Result<void> check_from(const RollbackRequest& asked, const std::string& model, std::uint64_t now) {
  if (asked.from.empty() || asked.from == std::to_string(now)) return {};
  return fail(ErrorCode::conflict,
              fmt::format("tag {} of model {} points at version {}, not at {}", asked.tag, model, now,
                          json(asked.from).dump()),
              fmt::format("it has moved since: ds-submit models {} shows how", model));
}

}  // namespace ds::head
