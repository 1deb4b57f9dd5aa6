#include <string>
#include <utility>

#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/zoo_settings.hpp"

namespace ds::scheduler {
namespace {

constexpr CountRange kPluginNumbers{0, 1024};

/// The text of the scalar at `key` of a mapping, or none.
std::string_view peek(const YamlNode& mapping, std::string_view key) {
  for (const YamlEntry& entry : mapping.entries) {
    if (entry.key == key && entry.value.kind == YamlNode::Kind::scalar) return entry.value.text;
  }
  return {};
}

/// `true` and `false` as 1 and 0; none for anything else.
std::optional<double> flag_of(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::scalar || node.is_quoted) return std::nullopt;
  if (node.text == "true") return 1;
  if (node.text == "false") return 0;
  return std::nullopt;
}

void read_setting(const Section& section, const ZooSetting& setting, std::vector<double>& out) {
  const YamlNode* node = section.find(setting.name);
  if (node == nullptr) return;
  if (const auto flag = flag_of(*node); flag && setting.kind == ZooSetting::Kind::flag) {
    out = {*flag};
    return;
  }
  if (setting.most == 1 && node->kind != YamlNode::Kind::scalar) {
    section.fail(setting.name, "expected a number, got " + describe(*node));
    return;
  }
  const CountRange count{setting.fewest, setting.most};
  if (setting.kind == ZooSetting::Kind::below_one) {
    section.read_reals(setting.name, out, kBelowOne, count);
    return;
  }
  std::vector<std::uint64_t> numbers(out.begin(), out.end());
  section.read_wholes(setting.name, numbers, {setting.low, setting.high}, count);
  out.assign(numbers.begin(), numbers.end());
}

/// Settings that follow from others, and those that contradict each other.
void check_settings(const Section& section, ModelSpec& model) {
  if (model.zoo != "transformer" || section.findings().has_error_in(section.path())) return;
  const double width = model.settings.at("width").front(), heads = model.settings.at("heads").front();
  if (std::vector<double>& inner = model.settings["feed_forward"]; inner.empty()) inner = {4 * width};
  if (static_cast<std::uint64_t>(width) % static_cast<std::uint64_t>(heads) != 0) {
    section.fail("heads",
                 "expected a divisor of width (" + std::to_string(static_cast<int>(width)) + "), got " +
                     std::to_string(static_cast<int>(heads)),
                 "each head takes an equal part of the width");
  }
}

/// Reads what a plugin's model is given: any names, any numbers. The model itself knows which are right.
void read_plugin_settings(const Section& section, const YamlNode& mapping, ModelSpec& model) {
  for (const YamlEntry& entry : mapping.entries) {
    if (find_known(entry.key, keys::kModel) != nullptr || section.find(entry.key) != &entry.value) continue;
    if (const auto flag = flag_of(entry.value)) {
      model.settings[entry.key] = {*flag};
    } else {
      section.read_reals(entry.key, model.settings[entry.key], kAnyReal, kPluginNumbers);
    }
  }
}

/// Whether the fields that say what is trained go together; each contradiction is reported.
bool check_origin(const Section& section) {
  if (section.has("zoo") && section.has("torchscript")) {
    section.fail("torchscript", "given beside zoo", "a model is one of the two");
    return false;
  }
  if (section.has("plugin") && section.has("torchscript")) {
    section.fail("plugin", "given beside torchscript", "a plugin is for models of zoo");
    return false;
  }
  if (!section.has("torchscript") && !section.has("init_from")) {
    section.require("zoo", "such as text_classifier");
  }
  return true;
}

}  // namespace

void read_model(const Section& root, std::string_view directory, ModelSpec& model) {
  root.require("model", "such as {zoo: text_classifier}");
  const YamlNode* mapping = root.find("model");
  const std::string_view zoo = mapping == nullptr ? "" : peek(*mapping, "zoo");
  const auto settings = find_zoo_settings(zoo);
  const bool is_ours = !settings.empty();
  const bool has_plugin = mapping != nullptr && !peek(*mapping, "plugin").empty();
  std::vector<Known> known(keys::kModel.begin(), keys::kModel.end());
  for (const ZooSetting& setting : settings) known.push_back({setting.name});
  // Which settings a model takes that is a plugin's, or was misspelt, cannot be told here.
  if (!is_ours && !zoo.empty()) {
    for (const YamlEntry& entry : mapping->entries) {
      if (find_known(entry.key, known) == nullptr && is_identifier(entry.key)) known.push_back({entry.key});
    }
  }
  const auto section = root.open("model", known);
  if (!section || !check_origin(*section)) return;
  read_file(*section, "torchscript", directory, model.torchscript);
  read_file(*section, "plugin", directory, model.plugin);
  if (has_plugin && !is_ours) {
    section->read_identifier("zoo", model.zoo);
    read_plugin_settings(*section, *mapping, model);
    return;
  }
  section->read_choice("zoo", model.zoo, keys::kZoo);
  for (const ZooSetting& setting : settings) {
    std::vector<double>& value = model.settings[std::string(setting.name)];
    value.assign(setting.values.begin(), setting.values.begin() + static_cast<std::ptrdiff_t>(setting.count));
    read_setting(*section, setting, value);
    if (setting.count == 0 && value.empty()) model.settings.erase(std::string(setting.name));
  }
  check_settings(*section, model);
}

}  // namespace ds::scheduler
