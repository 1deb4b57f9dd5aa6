#include "clients/job_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "clients/failure.hpp"
#include "clients/json_fields.hpp"
#include "clients/printable.hpp"
#include "clients/suggestion.hpp"
#include "clients/text_table.hpp"
#include "clients/word_list.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

constexpr std::size_t kMostSuggested = 5;

/// `data.transforms[0].crop` is `data.transforms.crop`.
std::string without_items(const std::string& field) {
  std::string path;
  bool inside = false;
  for (const char c : field) {
    inside = inside || c == '[';
    if (!inside) path += c;
    inside = inside && c != ']';
  }
  return path;
}

[[noreturn]] void refuse(const json& fields, const std::string& field) {
  const auto paths = field_names(fields);
  std::vector<std::string> ends;
  for (const auto& path : paths) {
    if (path.ends_with("." + field) && ends.size() < kMostSuggested) ends.push_back(path);
  }
  std::string meant;
  for (const auto& path : ends) meant += (meant.empty() ? "" : " or ") + path;
  if (meant.empty()) meant = nearest_word(field, paths);
  throw Failure(ExitCode::not_found, "not_found",
                fmt::format("a job file has no field {}", printable_line(field)),
                meant.empty() ? "ds-submit explain lists the fields" : "did you mean " + meant + "?");
}

std::string format_form(const json& form) {
  std::string out = fmt::format("KINDS    {}\n", join_words(array_at(form, "kinds")));
  const bool is_supported = form.value("supported", true);
  if (is_supported) out += fmt::format("TYPE     {}\n", text_at(form, "type"));
  if (form.value("required", false)) out += "DEFAULT  none: it must be given\n";
  const std::string otherwise = text_at(form, "default");
  if (!otherwise.empty()) out += fmt::format("DEFAULT  {}\n", otherwise);
  const std::string meaning = text_at(form, "meaning");
  out += fmt::format("MEANING  {}\n", !meaning.empty() ? meaning
                                      : is_supported   ? "-"
                                                       : "not supported by this version yet");
  const std::string example = text_at(form, "example"), path = text_at(form, "field");
  if (is_supported && !example.empty())
    out += fmt::format("EXAMPLE  {}: {}\n", path.substr(path.rfind('.') + 1), example);
  return out;
}

}  // namespace

std::vector<std::string> field_names(const json& fields) {
  std::vector<std::string> names;
  for (const auto& one : fields) {
    const std::string name = text_at(one, "field");
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

json explain_field(const json& fields, const std::string& field) {
  const std::string path = without_items(field);
  const std::string inside = path.empty() ? "" : path + ".";
  json forms = json::array(), inner = json::array();
  for (const auto& one : fields) {
    const std::string name = text_at(one, "field");
    if (name == path) forms.push_back(one);
    if (name.starts_with(inside) && name.find('.', inside.size()) == std::string::npos) inner.push_back(one);
  }
  if (!path.empty() && forms.empty()) refuse(fields, path);
  return {{"field", path}, {"forms", forms}, {"fields", inner}};
}

std::string format_explanation(const json& explanation) {
  const std::string path = text_at(explanation, "field");
  std::string out;
  if (!path.empty()) out = "FIELD    " + path + "\n";
  const char* separator = "";
  for (const auto& form : array_at(explanation, "forms")) {
    out += separator + format_form(form);
    separator = "\n";
  }
  const auto& fields = array_at(explanation, "fields");
  if (fields.empty()) return out;
  if (!out.empty()) out += "\n";
  std::vector<std::vector<Cell>> rows;
  for (const auto& one : fields) {
    if (!one.value("supported", true)) continue;
    const std::string name = text_at(one, "field");
    rows.push_back(
        {{name.substr(path.empty() ? 0 : path.size() + 1) + (one.value("required", false) ? "*" : "")},
         {join_words(array_at(one, "kinds"))},
         {text_at(one, "default")},
         {text_at(one, "meaning")}});
  }
  return out + format_table({"FIELD", "KINDS", "DEFAULT", "MEANING"}, rows, false) +
         fmt::format("* must be given. ds-submit explain {}FIELD says more of one\n",
                     path.empty() ? "" : path + ".");
}

}  // namespace ds::clients
