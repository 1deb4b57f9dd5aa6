#include "scheduler/spec/overrides.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/section.hpp"
#include "scheduler/spec/yaml_document.hpp"
#include "scheduler/spec/yaml_text.hpp"

namespace ds::scheduler {
namespace {

constexpr const char* kUsage = "such as --set optimizer.lr=1e-3";

/// One step of a path: into a field, or, where `key` is empty, to an item of a list.
struct Step {
  std::string key;
  std::size_t item = 0;
};

/// A path leads no deeper than a file may be nested, or what is made on the way would have no bound.
constexpr std::size_t kMaxSteps = kMaxYamlDepth;

/// `data.transforms[0].tokenize`; none when it is no path. With more than `kMaxSteps` it is given up.
std::optional<std::vector<Step>> parse_path(std::string_view path) {
  std::vector<Step> steps;
  while (true) {
    if (steps.size() > kMaxSteps) return steps;
    const std::string_view part = path.substr(0, path.find('.'));
    const std::string_view key = part.substr(0, part.find('['));
    if (key.empty() || key.find(']') != std::string_view::npos) return std::nullopt;
    steps.push_back({std::string(key)});
    for (std::string_view rest = part.substr(key.size()); !rest.empty() && steps.size() <= kMaxSteps;) {
      const std::size_t end = rest.find(']');
      if (rest.front() != '[' || end == std::string_view::npos) return std::nullopt;
      Step step;
      const auto [last, error] = std::from_chars(rest.data() + 1, rest.data() + end, step.item);
      if (error != std::errc{} || last != rest.data() + end) return std::nullopt;
      steps.push_back(step);
      rest.remove_prefix(end + 1);
    }
    if (part.size() == path.size()) return steps;
    path.remove_prefix(part.size() + 1);
  }
}

void mark_all(YamlNode& node, Mark mark) {
  node.mark = mark;
  for (YamlNode& item : node.items) mark_all(item, mark);
  for (YamlEntry& entry : node.entries) {
    entry.key_mark = mark;
    mark_all(entry.value, mark);
  }
}

/// One `PATH=VALUE` on its way into a file's tree.
class Override {
 public:
  /// Whether `null` takes a field out, or is put there.
  enum class Null { removes, is_put };
  Override(std::string_view text, std::size_t number, Null null, std::vector<SpecError>& errors)
      : text_(text), mark_{.set = number}, null_(null), errors_(errors) {}

  void put_into(YamlNode& root) {
    const std::size_t equals = text_.find('=');
    if (equals == std::string_view::npos) return fail(text_, "expected PATH=VALUE", kUsage);
    path_ = text_.substr(0, equals);
    const auto steps = parse_path(path_);
    if (!steps) return fail(path_, "expected the path of a field before the =", kUsage);
    if (steps->size() > kMaxSteps) {
      return fail(std::string(path_.substr(0, path_.find_first_of(".["))) + "…",
                  "the path has more than " + std::to_string(kMaxSteps) + " steps",
                  "no field of a job file is so deep; ds-submit explain lists the fields");
    }
    auto value = read_value(text_.substr(equals + 1));
    if (!value) return;
    YamlNode* at = &root;
    std::string walked;
    for (std::size_t i = 0; i < steps->size(); ++i) {
      const bool removes =
          null_ == Null::removes && i + 1 == steps->size() && value->kind == YamlNode::Kind::null;
      at = (*steps)[i].key.empty() ? find_item((*steps)[i].item, *at, walked, removes)
                                   : find_field((*steps)[i].key, *at, walked, removes);
      if (at == nullptr) return;
    }
    *at = *std::move(value);
  }

  /// The field that it was to take out of the file; empty: none.
  const std::string& removed() const { return removed_; }
  /// Which the file did not have.
  bool has_removed_nothing() const { return has_removed_nothing_; }

 private:
  void fail(std::string_view field, std::string message, std::string hint) {
    errors_.push_back({std::string(field), mark_, std::move(message), std::move(hint)});
  }

  std::optional<YamlNode> read_value(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || text[first] == '#') {
      fail(path_, "expected a value after the =",
           std::string(path_) + "=null takes the field out of the file, so that its default counts");
      return std::nullopt;
    }
    auto value = parse_yaml(text, "a value");
    if (auto* error = std::get_if<SpecError>(&value)) {
      fail(path_, std::move(error->message),
           "a text with such characters needs quotes of its own: --set '" + std::string(path_) + "=\"…\"'");
      return std::nullopt;
    }
    mark_all(std::get<YamlNode>(value), mark_);
    return std::get<YamlNode>(std::move(value));
  }

  /// The value of that field of `node`, made where there is none; null when there is nothing to put there.
  YamlNode* find_field(const std::string& key, YamlNode& node, std::string& walked, bool removes) {
    if (node.kind == YamlNode::Kind::null) node.kind = YamlNode::Kind::mapping;
    if (node.kind != YamlNode::Kind::mapping) {
      fail(path_, walked + " is " + describe(node) + ", which has no fields",
           "--set '" + walked + "={" + key + ": …}' replaces the whole of it");
      return nullptr;
    }
    walked = join_path(walked, key);
    if (removes) {
      removed_ = walked;
      has_removed_nothing_ =
          std::erase_if(node.entries, [&](const YamlEntry& entry) { return entry.key == key; }) == 0;
      return nullptr;
    }
    auto entry = std::ranges::find(node.entries, key, &YamlEntry::key);
    if (entry == node.entries.end()) {
      YamlNode made;
      made.mark = mark_;
      entry = node.entries.insert(entry, {key, mark_, std::move(made)});
    }
    return &entry->value;
  }

  YamlNode* find_item(std::size_t item, YamlNode& node, std::string& walked, bool removes) {
    if (node.kind != YamlNode::Kind::sequence || item >= node.items.size()) {
      const std::string there = node.kind == YamlNode::Kind::sequence
                                    ? "has " + std::to_string(node.items.size()) + " items, the first is [0]"
                                    : "is " + describe(node) + ", which has no items";
      fail(path_, walked + " " + there, "--set '" + walked + "=[…]' replaces the whole of it");
      return nullptr;
    }
    walked += "[" + std::to_string(item) + "]";
    if (removes) {
      fail(path_, "an item of a list cannot be taken out", "say the whole list anew");
      return nullptr;
    }
    return &node.items[item];
  }

  std::string_view text_, path_;
  std::string removed_;
  bool has_removed_nothing_ = false;
  Mark mark_;
  Null null_;
  std::vector<SpecError>& errors_;
};

/// What overrides have taken out of a file.
struct Removed {
  std::map<std::string, std::size_t> fields;  ///< with the number of the last that did
  std::vector<std::size_t> needless;          ///< overrides of fields that the file did not have
};

Removed put_all(std::span<const std::string> overrides, YamlNode& root, std::vector<SpecError>& faults) {
  Removed removed;
  for (std::size_t i = 0; i < overrides.size(); ++i) {
    Override one(overrides[i], i + 1, Override::Null::removes, faults);
    one.put_into(root);
    if (!one.removed().empty()) removed.fields[one.removed()] = i + 1;
    if (one.has_removed_nothing()) removed.needless.push_back(i + 1);
  }
  return removed;
}

/// Whoever takes out what no job file has misspelt it: what is there is not taken out.
void find_misspelt(std::span<const std::string> overrides, const Removed& removed, YamlNode root,
                   std::string_view text, std::string_view directory, std::vector<SpecError>& faults) {
  if (removed.needless.empty()) return;
  std::vector<SpecError> known_already;
  for (const std::size_t number : removed.needless)
    Override(overrides[number - 1], number, Override::Null::is_put, known_already).put_into(root);
  auto parsed = parse_job_tree(root, text, directory);
  auto* errors = std::get_if<std::vector<SpecError>>(&parsed);
  if (errors == nullptr) return;
  for (SpecError& error : *errors) {
    const bool is_of_these = std::ranges::find(removed.needless, error.mark.set) != removed.needless.end();
    const bool is_new = std::ranges::find(faults, error) == faults.end();
    if (is_of_these && is_new && error.message == kUnknownField) faults.push_back(std::move(error));
  }
}

std::vector<SpecError> refuse_whole(std::string message) {
  return {SpecError{"", {}, std::move(message), "write what is set into the file"}};
}

}  // namespace

std::variant<OverriddenJob, std::vector<SpecError>> parse_job_file(std::string_view text,
                                                                   std::string_view directory,
                                                                   std::span<const std::string> overrides) {
  using Errors = std::vector<SpecError>;
  if (overrides.empty()) {
    auto parsed = parse_job_file(text, directory);
    if (auto* errors = std::get_if<Errors>(&parsed)) return std::move(*errors);
    return OverriddenJob{std::get<ParsedJob>(std::move(parsed)), std::string(text)};
  }
  auto document = parse_yaml(text);
  if (auto* error = std::get_if<SpecError>(&document)) return Errors{std::move(*error)};
  YamlNode& root = std::get<YamlNode>(document);
  Errors faults;
  Removed removed;
  if (root.kind == YamlNode::Kind::mapping) removed = put_all(overrides, root, faults);
  auto parsed = parse_job_tree(root, text, directory);
  if (auto* errors = std::get_if<Errors>(&parsed)) {
    for (SpecError& error : *errors) {  // the file is not at fault for what was taken out of it
      const auto taken = removed.fields.find(error.field);
      if (taken != removed.fields.end() && error.mark.set == 0) error.mark = {.set = taken->second};
    }
    faults.insert(faults.begin(), errors->begin(), errors->end());
  }
  find_misspelt(overrides, removed, root, text, directory, faults);
  if (!faults.empty()) return faults;
  // What is kept is parsed again by every head to come, so it must be the same job.
  std::string whole = to_yaml_text(root);
  if (whole.size() > kMaxYamlBytes)
    return refuse_whole("with what is set the job file is larger than 64 KiB");
  auto again = parse_job_file(whole, directory);
  auto* kept = std::get_if<ParsedJob>(&again);
  auto& job = std::get<ParsedJob>(parsed);
  if (kept == nullptr) return refuse_whole("what is set has no place in the job file");
  job.spec.name = kept->spec.name;  // of a job without a name that of its text
  if (kept->spec != job.spec) return refuse_whole("what is set has no place in the job file");
  return OverriddenJob{std::move(job), std::move(whole)};
}

}  // namespace ds::scheduler
