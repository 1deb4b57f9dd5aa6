#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {

struct YamlEntry;

/// A value of a YAML document with the place where it stands. Keeps what a parser to plain types loses:
/// duplicate keys, quotes, and the text as it was written.
struct YamlNode {
  enum class Kind { null, scalar, sequence, mapping };

  Kind kind = Kind::null;
  Mark mark;
  std::string text;                ///< of a scalar
  bool is_quoted = false;          ///< a scalar in quotes or a block, which is never a number
  std::vector<YamlNode> items;     ///< of a sequence
  std::vector<YamlEntry> entries;  ///< of a mapping, in file order, duplicates included
};

struct YamlEntry {
  std::string key;
  Mark key_mark;
  YamlNode value;
};

/// Most bytes and levels of mappings and sequences that `parse_yaml` takes.
inline constexpr std::size_t kMaxYamlBytes = 65'536;
inline constexpr int kMaxYamlDepth = 32;

/// Parses one document in UTF-8. Fails with the first syntax error, or the first use of what job files do
/// without: a second document, anchors, aliases, tags, keys that are no text, control characters, more than
/// the limits above. Faults call the file what `file_kind` says.
///
/// Columns count characters, not bytes. An empty value stands where its key stands.
std::variant<YamlNode, SpecError> parse_yaml(std::string_view text,
                                             std::string_view file_kind = "a job file");

}  // namespace ds::scheduler
