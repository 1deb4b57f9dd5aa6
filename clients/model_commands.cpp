// Commands for models of the registry.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "clients/api_client.hpp"
#include "clients/commands.hpp"
#include "clients/failure.hpp"
#include "clients/json_fields.hpp"
#include "clients/model_view.hpp"
#include "clients/printable.hpp"
#include "clients/wall_clock.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

std::string model_path(const std::string& model, const std::string& rest = {}) {
  if (model.empty())
    throw Failure(ExitCode::usage, "usage", "the model's name is empty", "ds-submit models shows them");
  return "/api/v1/models/" + encode_segment(model) + rest;
}

/// The head takes paths as they are on its machine, and knows nothing of this folder.
std::string absolute_source(const std::string& from) {
  if (!from.starts_with("file:") || from.size() == 5) return from;
  return "file:" + std::filesystem::absolute(from.substr(5)).lexically_normal().string();
}

ExitCode show_tag(const CommandContext& context, const json& model, const std::string& tag) {
  context.json ? write_document(context, model) : write_out(format_tag(model, tag));
  return ExitCode::done;
}

}  // namespace

ExitCode show_models(const CommandContext& context, const std::string& model) {
  ApiClient api(find_head(context.head));
  const json answer = api.get(model.empty() ? "/api/v1/models" : model_path(model));
  if (context.json) {
    write_document(context, answer);
  } else {
    write_out(model.empty() ? format_models(answer, context.terminal.colour_out)
                            : format_model(answer, read_wall_clock_ms(), context.terminal.colour_out));
  }
  return ExitCode::done;
}

ExitCode register_model(const CommandContext& context, const std::string& model, const std::string& from,
                        const std::string& tag) {
  json body{{"from", absolute_source(from)}};
  if (!tag.empty()) body["tag"] = tag;
  ApiClient api(find_head(context.head));
  const json answer = api.post(model_path(model, "/versions"), body, {}, kLongAnswerTime);
  if (context.json) {
    write_document(context, answer);
  } else {
    write_out(printable_line(fmt::format("{}@{}", text_at(answer, "model"), integer_at(answer, "version"))) +
              "\n");
    write_err(printable_line(fmt::format("version {} of {} is {}", integer_at(answer, "version"),
                                         text_at(answer, "model"), text_at(answer, "from"))) +
              "\n");
  }
  return ExitCode::done;
}

ExitCode unregister_model(const CommandContext& context, const std::string& what) {
  const auto at = what.find('@');
  json body = json::object();
  if (at != std::string::npos) {
    const auto version = what.substr(at + 1);
    if (version.empty() || version.find_first_not_of("0123456789") != std::string::npos)
      throw Failure(ExitCode::usage, "usage", "expected the number of a version behind the @",
                    "NAME@3; without @ the model goes with all its versions");
    body["version"] = version;
  }
  ApiClient api(find_head(context.head));
  const json answer = api.post(model_path(what.substr(0, at), "/remove"), body);
  if (context.json) {
    write_document(context, answer);
  } else {
    write_err(printable_line(fmt::format("{} is removed", what)) + "\n");
  }
  return ExitCode::done;
}

ExitCode promote_model(const CommandContext& context, const std::string& what, const std::string& tag) {
  const auto at = what.find('@');
  json body{{"tag", tag}};
  if (at != std::string::npos) {
    if (at + 1 == what.size())
      throw Failure(ExitCode::usage, "usage", "expected a version or a tag behind the @",
                    "NAME@3, NAME@best, or NAME for its newest version");
    body["to"] = what.substr(at + 1);
  }
  ApiClient api(find_head(context.head));
  return show_tag(context, api.post(model_path(what.substr(0, at), "/promote"), body), tag);
}

ExitCode roll_model_back(const CommandContext& context, const std::string& model, const std::string& tag,
                         const std::string& from) {
  ApiClient api(find_head(context.head));
  // What it points at goes along, so that a request that arrives twice, or after somebody else's, goes back
  // once.
  json body{{"tag", tag}, {"from", from}};
  if (from.empty()) {
    const json known = api.get(model_path(model));
    const auto tags = known.find("tags");
    body.erase("from");
    if (tags != known.end() && tags->is_object() && tags->contains(tag)) body["from"] = tags->at(tag);
  }
  return show_tag(context, api.post(model_path(model, "/rollback"), body), tag);
}

}  // namespace ds::clients
