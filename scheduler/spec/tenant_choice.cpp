#include "scheduler/spec/tenant_choice.hpp"

#include <algorithm>
#include <cstddef>

#include "scheduler/spec/yaml_document.hpp"

namespace ds::scheduler {
namespace {

/// The byte at which a mark stands.
std::size_t offset_of(std::string_view text, Mark mark) {
  std::size_t at = 0;
  for (std::size_t line = 1; line < mark.line && at < text.size(); ++line) at = text.find('\n', at) + 1;
  const auto is_inside_character = [&] { return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U; };
  for (std::size_t column = 1; column < mark.column && at < text.size(); ++column) {
    do ++at;
    while (at < text.size() && is_inside_character());
  }
  return std::min(at, text.size());
}

/// How many bytes the scalar that begins `rest` has there, with its quotes.
std::size_t length_of(std::string_view rest, const YamlNode& scalar) {
  if (rest.empty() || (rest.front() != '"' && rest.front() != '\'')) return scalar.text.size();
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == rest.front()) return i + 1;
    if (rest.front() == '"' && rest[i] == '\\') ++i;
  }
  return rest.size();
}

}  // namespace

std::optional<std::string> name_tenant(std::string_view text, std::string_view tenant) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const auto document = parse_yaml(text);
  const auto* root = std::get_if<YamlNode>(&document);
  if (root == nullptr || root->entries.empty()) return std::nullopt;
  std::string changed(text);
  const auto named = std::ranges::find(root->entries, "tenant", &YamlEntry::key);
  if (named != root->entries.end()) {
    const std::size_t at = offset_of(text, named->value.mark);
    changed.replace(at, length_of(text.substr(at), named->value), tenant);
  } else if (const std::size_t brace = offset_of(text, root->mark); text.substr(brace).starts_with('{')) {
    changed.insert(brace + 1, "tenant: " + std::string(tenant) + ", ");
  } else {
    const Mark first = root->entries.front().key_mark;
    changed.insert(offset_of(text, first),
                   "tenant: " + std::string(tenant) + "\n" + std::string(first.column - 1, ' '));
  }
  const auto again = parse_yaml(changed);
  const auto* changed_root = std::get_if<YamlNode>(&again);
  if (changed_root == nullptr) return std::nullopt;
  const auto there = std::ranges::find(changed_root->entries, "tenant", &YamlEntry::key);
  const std::size_t added = named == root->entries.end() ? 1 : 0;
  if (there == changed_root->entries.end() || there->value.text != tenant ||
      changed_root->entries.size() != root->entries.size() + added) {
    return std::nullopt;
  }
  return changed;
}

}  // namespace ds::scheduler
