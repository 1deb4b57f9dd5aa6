#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/spec/findings.hpp"
#include "scheduler/spec/job_file.hpp"
#include "scheduler/spec/yaml_document.hpp"

namespace ds::scheduler {

/// A key of the format, or a word that may stand as a value, and what this version does with it.
struct Known {
  enum class Support {
    runs,     ///< read and obeyed
    only,     ///< obeyed because the one value accepted is what happens anyway
    not_yet,  ///< of the format, but refused so that nobody's setting is ignored silently
  };

  std::string_view name;
  Support support = Support::runs;
  std::string_view only = {};  ///< the value accepted, for `Support::only`
};

struct WholeRange {
  std::uint64_t low = 0;
  std::uint64_t high = std::numeric_limits<std::uint64_t>::max();
};

/// Real numbers from `low` to `high`; an open end does not include its bound.
struct RealRange {
  double low = 0;
  bool low_open = false;
  double high = std::numeric_limits<double>::max();
  bool high_open = false;
  std::string_view words;  ///< the range in a message: "above 0"
};

/// How many items a list may have.
struct CountRange {
  std::size_t low = 1;
  std::size_t high = 1024;
};

struct TextRule {
  std::size_t max_bytes = 256;
  bool may_be_empty = false;
  bool may_have_lines = false;
};

/// What is said of a key that no job file of its kind has there.
inline constexpr std::string_view kUnknownField = "unknown field";

/// One mapping of a job file while it is read: typed access to its fields, every fault reported with its
/// place.
///
/// A `read` leaves `out` as it is, so at its default, when the field is absent or wrong. The tree and the
/// findings must outlive the section.
class Section {
 public:
  /// Reports keys that are unknown, given twice, or not supported yet.
  Section(const YamlNode& mapping, std::string path, Mark key_mark, std::span<const Known> keys,
          Findings& findings);

  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// The value of `key`, or null when it is absent.
  const YamlNode* find(std::string_view key) const;
  const std::string& path() const { return path_; }
  std::string path_of(std::string_view key) const;
  Findings& findings() const { return findings_; }

  /// Reports a missing field, at the section's own key; `hint` shows how it may look.
  void require(std::string_view key, std::string hint = {}) const;

  void read(std::string_view key, std::uint64_t& out, WholeRange range) const;
  void read(std::string_view key, std::uint32_t& out, WholeRange range) const;
  void read(std::string_view key, double& out, RealRange range) const;
  void read(std::string_view key, bool& out) const;
  void read_text(std::string_view key, std::string& out, TextRule rule) const;
  void read_identifier(std::string_view key, std::string& out) const;
  void read_choice(std::string_view key, std::string& out, std::span<const Known> choices) const;

  // Lists; a single value stands for a list of it alone. One faulty item leaves `out` as it is.
  void read_texts(std::string_view key, std::vector<std::string>& out, TextRule rule, CountRange count) const;
  void read_choices(std::string_view key, std::vector<std::string>& out,
                    std::span<const Known> choices) const;
  void read_reals(std::string_view key, std::vector<double>& out, RealRange range, CountRange count) const;
  void read_wholes(std::string_view key, std::vector<std::uint64_t>& out, WholeRange range,
                   CountRange count) const;

  /// A number of steps: `200 steps` or `200`.
  void read_steps(std::string_view key, std::uint64_t& out, WholeRange range) const;

  /// The mapping at `key`; none when it is absent, or no mapping, which is reported.
  std::optional<Section> open(std::string_view key, std::span<const Known> keys) const;

  /// Reports `message` about the value of `key`, or about the section when it has none.
  void fail(std::string_view key, std::string message, std::string hint = {}) const;

 private:
  void check_entry(const YamlEntry& entry, std::span<const Known> keys);

  std::string path_;
  Mark key_mark_;
  Findings& findings_;
  std::vector<const YamlEntry*> entries_;  ///< the first of each known key
};

// The readers of single values, for those that are no field of a section; each reports its fault and returns
// none.
std::optional<std::uint64_t> read_whole(const YamlNode& node, const std::string& path, WholeRange range,
                                        Findings& findings);
std::optional<double> read_real(const YamlNode& node, const std::string& path, RealRange range,
                                Findings& findings);
std::optional<std::string> read_text(const YamlNode& node, const std::string& path, TextRule rule,
                                     Findings& findings);

std::optional<std::string> read_choice(const YamlNode& node, const std::string& path,
                                       std::span<const Known> choices, Findings& findings);

/// The entry of `known` with that name, or null.
const Known* find_known(std::string_view name, std::span<const Known> known);

/// The names that this version runs, for a message: `a, b, c`.
std::string list_names(std::span<const Known> known);

/// `section.key`; a key that is no plain word is quoted.
std::string join_path(std::string_view section, std::string_view key);

/// What stands there, for `expected …, got …`: `"fast"`, `-3`, `a list`, `nothing`.
std::string describe(const YamlNode& node);

/// `did you mean "lr"?` or `known here: …`.
std::string suggest(std::string_view word, std::span<const Known> known);

}  // namespace ds::scheduler
