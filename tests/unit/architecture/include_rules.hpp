#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ds::architecture {

/// A source file: its path from the root with forward slashes, and its text.
struct SourceFile {
  std::string path;
  std::string text;
};

/// A line that breaks a rule.
struct Violation {
  std::string path;
  std::size_t line = 0;
  std::string rule;

  std::string to_string() const { return path + ":" + std::to_string(line) + ": " + rule; }
  bool operator==(const Violation&) const = default;
};

/// Checks one file against the rules between folders (each may use only those below it), between folders and
/// outside libraries (each library in one place), and for headers. Tests may include everything.
std::vector<Violation> check_file(const SourceFile& file);

/// Whether `path` is one of the files that the rules are about: C++ or CUDA in one of our folders.
bool is_source(std::string_view path);

}  // namespace ds::architecture
