#include "scheduler/spec/section.hpp"

#include <algorithm>
#include <utility>

#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr std::string_view kNotYet = "not supported by this version yet";

}  // namespace

const Known* find_known(std::string_view name, std::span<const Known> known) {
  const auto found = std::find_if(known.begin(), known.end(), [&](const Known& k) { return k.name == name; });
  return found == known.end() ? nullptr : &*found;
}

std::string list_names(std::span<const Known> known) {
  std::string names;
  for (const Known& k : known) {
    if (k.support == Known::Support::not_yet) continue;
    if (!names.empty()) names += ", ";
    names += k.name;
  }
  return names;
}

Section::Section(const YamlNode& mapping, std::string path, Mark key_mark, std::span<const Known> keys,
                 Findings& findings)
    : path_(std::move(path)), key_mark_(key_mark), findings_(findings) {
  for (const YamlEntry& entry : mapping.entries) check_entry(entry, keys);
}

void Section::check_entry(const YamlEntry& entry, std::span<const Known> keys) {
  const std::string path = path_of(entry.key);
  const Known* known = find_known(entry.key, keys);
  if (known == nullptr) {
    findings_.add_error(path, entry.key_mark, std::string(kUnknownField), suggest(entry.key, keys));
    return;
  }
  const auto earlier = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const YamlEntry* other) { return other->key == entry.key; });
  if (earlier != entries_.end()) {
    const std::size_t line = (*earlier)->key_mark.line;
    findings_.add_error(
        path, entry.key_mark, "given twice",
        line == 0 ? std::string("remove one of the two") : "first given in line " + std::to_string(line));
    return;
  }
  entries_.push_back(&entry);
  const bool is_scalar = entry.value.kind == YamlNode::Kind::scalar;
  findings_.add_mark(path, is_scalar ? entry.value.mark : entry.key_mark);
  if (known->support == Known::Support::not_yet) {
    findings_.add_unsupported(path, entry.key_mark, std::string(kNotYet), "remove it");
  } else if (known->support == Known::Support::only && (!is_scalar || entry.value.text != known->only)) {
    findings_.add_error(path, entry.value.mark,
                        "expected " + std::string(known->only) + ", got " + describe(entry.value),
                        "other values are " + std::string(kNotYet));
  }
}

const YamlNode* Section::find(std::string_view key) const {
  for (const YamlEntry* entry : entries_) {
    if (entry->key == key) return &entry->value;
  }
  return nullptr;
}

std::string Section::path_of(std::string_view key) const {
  return join_path(path_, key);
}

void Section::require(std::string_view key, std::string hint) const {
  if (!has(key)) findings_.add_error(path_of(key), key_mark_, "required, but missing", std::move(hint));
}

void Section::fail(std::string_view key, std::string message, std::string hint) const {
  const YamlNode* node = find(key);
  findings_.add_error(path_of(key), node == nullptr ? key_mark_ : node->mark, std::move(message),
                      std::move(hint));
}

void Section::read(std::string_view key, std::uint64_t& out, WholeRange range) const {
  if (const YamlNode* node = find(key)) out = read_whole(*node, path_of(key), range, findings_).value_or(out);
}

void Section::read(std::string_view key, std::uint32_t& out, WholeRange range) const {
  std::uint64_t wide = out;
  range.high = std::min<std::uint64_t>(range.high, std::numeric_limits<std::uint32_t>::max());
  read(key, wide, range);
  out = static_cast<std::uint32_t>(wide);
}

void Section::read(std::string_view key, double& out, RealRange range) const {
  if (const YamlNode* node = find(key)) out = read_real(*node, path_of(key), range, findings_).value_or(out);
}

void Section::read(std::string_view key, bool& out) const {
  const YamlNode* node = find(key);
  if (node == nullptr) return;
  const bool is_word = node->kind == YamlNode::Kind::scalar && !node->is_quoted;
  if (is_word && (node->text == "true" || node->text == "false")) {
    out = node->text == "true";
  } else {
    fail(key, "expected true or false, got " + describe(*node));
  }
}

void Section::read_text(std::string_view key, std::string& out, TextRule rule) const {
  const YamlNode* node = find(key);
  if (node == nullptr) return;
  if (auto text = scheduler::read_text(*node, path_of(key), rule, findings_)) out = *std::move(text);
}

void Section::read_identifier(std::string_view key, std::string& out) const {
  const YamlNode* node = find(key);
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::scalar && is_identifier(node->text)) {
    out = node->text;
  } else {
    fail(key, "expected a name, got " + describe(*node),
         "a name has 1 to 63 of a-z, 0-9, '.', '_', '-' and starts with a letter or digit");
  }
}

void Section::read_choice(std::string_view key, std::string& out, std::span<const Known> choices) const {
  const YamlNode* node = find(key);
  if (node == nullptr) return;
  if (auto word = scheduler::read_choice(*node, path_of(key), choices, findings_)) out = *std::move(word);
}

std::optional<Section> Section::open(std::string_view key, std::span<const Known> keys) const {
  const YamlNode* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (node->kind != YamlNode::Kind::mapping) {
    fail(key, "expected a mapping, got " + describe(*node), "known here: " + list_names(keys));
    return std::nullopt;
  }
  const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const YamlEntry* candidate) { return candidate->key == key; });
  return Section(*node, path_of(key), (*entry)->key_mark, keys, findings_);
}

std::string join_path(std::string_view section, std::string_view key) {
  const bool is_word = !key.empty() && key.size() <= 63 && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  std::string path(section);
  if (!path.empty()) path += '.';
  return path + (is_word ? std::string(key) : to_quoted(key));
}

std::string suggest(std::string_view word, std::span<const Known> known) {
  std::vector<std::string_view> names;
  for (const Known& k : known) names.push_back(k.name);
  const std::string near = nearest(word, names);
  return near.empty() ? "known here: " + list_names(known) : "did you mean \"" + near + "\"?";
}

}  // namespace ds::scheduler
