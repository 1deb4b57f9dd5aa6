#include "clients/model_view.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "clients/json_fields.hpp"
#include "clients/printable.hpp"
#include "clients/text_table.hpp"
#include "clients/time_text.hpp"
#include "clients/word_list.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

Cell number_cell(std::int64_t number) {
  return {std::to_string(number), Colour::none, true};
}

/// `accuracy 0.912, loss 0.31`
std::string format_metrics(const json& object) {
  const auto metrics = object.is_object() ? object.find("metrics") : object.end();
  if (metrics == object.end() || !metrics->is_object()) return {};
  std::string text;
  for (const auto& [name, value] : metrics->items()) {
    if (value.is_number())
      text += fmt::format("{}{} {:.3g}", text.empty() ? "" : ", ", name, value.get<double>());
  }
  return text;
}

/// `best 2, prod 1`
std::string format_tags(const json& model) {
  const auto tags = model.is_object() ? model.find("tags") : model.end();
  if (tags == model.end() || !tags->is_object()) return {};
  std::string text;
  for (const auto& [tag, version] : tags->items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", tag, version.dump());
  return text;
}

}  // namespace

std::string format_models(const json& models, bool coloured) {
  if (models.empty()) return "no models yet; ds-submit register NAME ckpt:JOB@best adds one\n";
  std::vector<std::vector<Cell>> rows;
  for (const auto& model : models) {
    rows.push_back({{text_at(model, "name")},
                    number_cell(integer_at(model, "newest")),
                    {format_tags(model)},
                    {text_at(model, "from")},
                    {format_metrics(model)}});
  }
  return format_table({"MODEL", "NEWEST", "TAGS", "FROM", "METRICS"}, rows, coloured);
}

std::string format_model(const json& model, std::int64_t now_ms, bool coloured) {
  std::vector<std::vector<Cell>> rows;
  for (const auto& version : array_at(model, "versions")) {
    const auto added = integer_at(version, "added_ms");
    rows.push_back({number_cell(integer_at(version, "version")),
                    {join_words(array_at(version, "tags")), Colour::green},
                    {text_at(version, "from")},
                    {format_metrics(version)},
                    {format_duration((now_ms - added) / 1000) + " ago", Colour::none, true}});
  }
  return printable_line(text_at(model, "name")) + "\n" +
         format_table({"VERSION", "TAGS", "FROM", "METRICS", "ADDED"}, rows, coloured);
}

std::string format_tag(const json& model, const std::string& tag) {
  const auto version = integer_at(model, "tags." + tag);
  std::string from;
  for (const auto& one : array_at(model, "versions")) {
    if (integer_at(one, "version") == version) from = text_at(one, "from");
  }
  return printable_line(
             fmt::format("{}: {} is version {} ({})", text_at(model, "name"), tag, version, from)) +
         "\n";
}

std::string format_served(const json& model, bool coloured) {
  if (!model.is_object()) return {};
  std::vector<std::vector<Cell>> rows;
  for (const auto& count : array_at(model, "replicas")) {
    const auto version = integer_at(count, "version");
    std::string tags;
    std::int64_t share = 0;
    for (const auto& line : array_at(model, "traffic")) {
      if (integer_at(line, "version") != version) continue;
      const auto tag = text_at(line, "tag");
      if (!tag.empty()) tags += (tags.empty() ? "" : ", ") + tag;
      share += integer_at(line, "share");
    }
    rows.push_back({number_cell(version),
                    {tags},
                    {share == 0 ? "-" : fmt::format("{}%", share), Colour::none, true},
                    number_cell(integer_at(count, "ready")),
                    number_cell(integer_at(count, "starting")),
                    number_cell(integer_at(count, "leaving"))});
  }
  return "\n" + format_table({"VERSION", "TAGS", "SHARE", "READY", "STARTING", "LEAVING"}, rows, coloured);
}

}  // namespace ds::clients
