#include <algorithm>
#include <utility>

#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/section.hpp"

namespace ds::scheduler {
namespace {

struct Item {
  const YamlNode* node;
  std::string path;
};

/// The items of the list at `key`, or its only value; none when it is absent or no list of that size, which
/// is reported. `what` is `text`, `a number`.
std::vector<Item> items_of(const Section& section, std::string_view key, CountRange count,
                           const std::string& what) {
  const YamlNode* node = section.find(key);
  if (node == nullptr) return {};
  const std::string path = section.path_of(key);
  if (node->kind == YamlNode::Kind::scalar && count.low <= 1) return {{node, path}};
  const std::string range = "a list of " + std::to_string(count.low) + " to " + std::to_string(count.high);
  if (node->kind != YamlNode::Kind::sequence) {
    section.fail(key,
                 "expected " + (count.low <= 1 ? what + " or a list" : range) + ", got " + describe(*node));
    return {};
  }
  const std::size_t size = node->items.size();
  if (size < count.low || size > count.high) {
    section.fail(key, "expected " + range + ", got a list of " + std::to_string(size));
    return {};
  }
  std::vector<Item> items;
  for (std::size_t i = 0; i < size; ++i) {
    items.push_back({&node->items[i], path + "[" + std::to_string(i) + "]"});
  }
  return items;
}

/// Reads each item with `read`, and keeps all or none.
template <class T, class Read>
void read_all(const Section& section, std::string_view key, const std::vector<Item>& items,
              std::vector<T>& out, Read read) {
  std::vector<T> values;
  for (const Item& item : items) {
    if (auto value = read(*item.node, item.path)) values.push_back(*std::move(value));
  }
  const YamlNode* node = section.find(key);
  const bool is_empty_list = node != nullptr && node->kind == YamlNode::Kind::sequence &&
                             node->items.empty() && !section.findings().has_error_in(section.path_of(key));
  if (values.size() == items.size() && (!values.empty() || is_empty_list)) out = std::move(values);
}

}  // namespace

void Section::read_texts(std::string_view key, std::vector<std::string>& out, TextRule rule,
                         CountRange count) const {
  read_all(*this, key, items_of(*this, key, count, "text"), out,
           [&](const YamlNode& node, const std::string& path) {
             return scheduler::read_text(node, path, rule, findings_);
           });
}

void Section::read_choices(std::string_view key, std::vector<std::string>& out,
                           std::span<const Known> choices) const {
  std::vector<std::string> seen;
  read_all(*this, key, items_of(*this, key, {1, choices.size()}, "one of " + list_names(choices)), out,
           [&](const YamlNode& node, const std::string& path) {
             auto word = scheduler::read_choice(node, path, choices, findings_);
             if (word && std::find(seen.begin(), seen.end(), *word) != seen.end()) {
               findings_.add_error(path, node.mark, "given twice", "name each once");
               word.reset();
             }
             if (word) seen.push_back(*word);
             return word;
           });
}

void Section::read_reals(std::string_view key, std::vector<double>& out, RealRange range,
                         CountRange count) const {
  read_all(
      *this, key, items_of(*this, key, count, "a number"), out,
      [&](const YamlNode& node, const std::string& path) { return read_real(node, path, range, findings_); });
}

void Section::read_wholes(std::string_view key, std::vector<std::uint64_t>& out, WholeRange range,
                          CountRange count) const {
  read_all(*this, key, items_of(*this, key, count, "a number"), out,
           [&](const YamlNode& node, const std::string& path) {
             return read_whole(node, path, range, findings_);
           });
}

void Section::read_steps(std::string_view key, std::uint64_t& out, WholeRange range) const {
  const YamlNode* node = find(key);
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::scalar && is_duration(node->text)) {
    fail(key, "durations are not supported by this version yet", "such as 200 steps");
    return;
  }
  YamlNode number = *node;
  for (const std::string_view unit : {" steps", " step"}) {
    if (number.text.ends_with(unit)) {
      number.text.resize(number.text.size() - unit.size());
      number.is_quoted = false;  // "200 steps" is a text in YAML anyway
      break;
    }
  }
  if (parse_whole(number.text).fault == NumberFault::not_a_number || number.is_quoted) {
    fail(key, "expected a number of steps, got " + describe(*node), "such as 200 steps");
    return;
  }
  out = read_whole(number, path_of(key), range, findings_).value_or(out);
}

}  // namespace ds::scheduler
