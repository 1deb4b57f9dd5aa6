#include "tests/unit/architecture/include_rules.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <span>

namespace ds::architecture {
namespace {

/// What a top-level folder may include of ours.
struct FolderRule {
  std::string_view folder;
  std::array<std::string_view, 4> may_use;  ///< the folder itself first
};

constexpr std::array<FolderRule, 6> kFolders{{
    {"kernels", {"kernels"}},
    {"storage", {"storage", "kernels"}},
    {"scheduler", {"scheduler"}},
    {"actors", {"actors", "scheduler", "storage", "kernels"}},
    {"clients", {"clients"}},
    {"deploy", {"deploy"}},
}};
constexpr std::string_view kTests = "tests";

/// Where an outside library may be included.
struct LibraryRule {
  std::string_view library;
  std::array<std::string_view, 8> headers;  ///< prefixes of what stands between the brackets
  std::array<std::string_view, 2> only_in;
  std::array<std::string_view, 6> not_in;
};

constexpr std::array<LibraryRule, 8> kLibraries{{
    {"CUDA and NCCL",
     {"cuda", "nccl", "cublas", "curand", "nvml", "cooperative_groups", "thrust/", "cub/"},
     {"kernels/"},
     {}},
    {"RocksDB", {"rocksdb/"}, {"storage/"}, {}},
    {"yaml-cpp", {"yaml-cpp/"}, {"scheduler/spec/"}, {}},
    {"UCX", {"ucp/", "ucs/", "uct/", "ucm/"}, {"actors/fabric/"}, {}},
    {"CAF",
     {"caf/"},
     {"actors/"},
     {"actors/gateway/", "actors/train/", "actors/infer/", "actors/serving/", "actors/collective/",
      "actors/parameters/"}},
    {"torch", {"torch/", "ATen/", "c10/"}, {"actors/train/", "actors/infer/"}, {}},
    {"Asio and Beast", {"boost/asio", "boost/beast"}, {"actors/gateway/"}, {}},
    {"cpp-httplib", {"httplib"}, {"clients/"}, {}},
}};

constexpr std::array<std::string_view, 6> kExtensions{".hpp", ".cpp", ".h", ".cc", ".cu", ".cuh"};

std::string_view top_folder(std::string_view path) {
  const std::size_t slash = path.find('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

const FolderRule* find_folder(std::string_view folder) {
  const auto found = std::find_if(kFolders.begin(), kFolders.end(),
                                  [&](const FolderRule& rule) { return rule.folder == folder; });
  return found == kFolders.end() ? nullptr : &*found;
}

bool starts_with_one_of(std::string_view text, std::span<const std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return !prefix.empty() && text.starts_with(prefix); });
}

bool is_header(std::string_view path) {
  return path.ends_with(".hpp") || path.ends_with(".h") || path.ends_with(".cuh");
}

/// The text with comments, and what stands in string and character literals, blanked; lines stay where they
/// are. Names of includes stay, they are no literals.
std::string blank_comments_and_literals(std::string_view text) {
  std::string out(text);
  const auto blank = [&](std::size_t from, std::size_t to) {
    for (std::size_t k = from; k < std::min(to, out.size()); ++k) {
      if (out[k] != '\n') out[k] = ' ';
    }
  };
  bool line_is_directive = false;
  bool line_is_blank = true;
  std::size_t i = 0;
  while (i < text.size()) {
    const std::string_view rest = text.substr(i);
    std::size_t end = i + 1;
    if (rest.starts_with("//")) {
      end = std::min(text.find('\n', i), text.size());
      blank(i, end);
    } else if (rest.starts_with("/*")) {
      const std::size_t close = text.find("*/", i + 2);
      end = close == std::string_view::npos ? text.size() : close + 2;
      blank(i, end);
    } else if (rest.starts_with("R\"") && !line_is_directive) {
      const std::size_t open = std::min(text.find('(', i), text.size());
      const std::string ending = ")" + std::string(text.substr(i + 2, open - i - 2)) + "\"";
      const std::size_t close = text.find(ending, open);
      end = close == std::string_view::npos ? text.size() : close + ending.size();
      blank(i, end);
    } else if ((rest[0] == '"' ||
                (rest[0] == '\'' && (i == 0 || !std::isalnum(static_cast<unsigned char>(text[i - 1]))))) &&
               !line_is_directive) {
      while (end < text.size() && text[end] != rest[0] && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
      blank(i, end);
    } else if (rest[0] == '\n') {
      line_is_directive = false;
      line_is_blank = true;
    } else if (rest[0] == '#' && line_is_blank) {
      line_is_directive = true;
    }
    if (rest[0] != ' ' && rest[0] != '\t' && rest[0] != '\n' && !rest.starts_with("/*"))
      line_is_blank = false;
    i = end;
  }
  return out;
}

std::vector<std::string_view> split_words(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r";
  std::vector<std::string_view> words;
  for (std::size_t at = line.find_first_not_of(kSpace); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kSpace, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(kSpace, end);
  }
  return words;
}

struct Include {
  std::string_view name;
  bool in_quotes = false;
};

std::optional<Include> read_include(std::string_view line) {
  std::size_t at = line.find_first_not_of(" \t");
  if (at == std::string_view::npos || line[at] != '#') return std::nullopt;
  at = line.find_first_not_of(" \t", at + 1);
  constexpr std::string_view kWord = "include";
  if (at == std::string_view::npos || !line.substr(at).starts_with(kWord)) return std::nullopt;
  const std::size_t open = line.find_first_of("<\"", at + kWord.size());
  if (open == std::string_view::npos) return std::nullopt;
  const bool in_quotes = line[open] == '"';
  const std::size_t close = line.find(in_quotes ? '"' : '>', open + 1);
  if (close == std::string_view::npos) return std::nullopt;
  return Include{line.substr(open + 1, close - open - 1), in_quotes};
}

std::string join(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) {
    if (word.empty()) continue;
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

/// Empty when the include is allowed in `path`, else the rule it breaks.
std::string check_include(std::string_view path, const Include& include) {
  const std::string_view folder = top_folder(path);
  if (folder == kTests) return {};
  for (const LibraryRule& rule : kLibraries) {
    if (!starts_with_one_of(include.name, rule.headers)) continue;
    if (starts_with_one_of(path, rule.only_in) && !starts_with_one_of(path, rule.not_in)) return {};
    std::string text(rule.library);
    text += " is included only in ";
    text += join(rule.only_in);
    const std::string but = join(rule.not_in);
    if (!but.empty()) text += " and there not in ";
    return text += but;
  }
  const std::string_view target = top_folder(include.name);
  if (target == kTests || find_folder(target) != nullptr) {
    const FolderRule* rule = find_folder(folder);
    const bool allowed = rule != nullptr &&
                         std::find(rule->may_use.begin(), rule->may_use.end(), target) != rule->may_use.end();
    if (allowed) return {};
    const auto others = rule == nullptr ? std::string{} : join(std::span(rule->may_use).subspan(1));
    std::string text(folder);
    text += "/ may not include ";
    text += target;
    text += "/, of ours it uses ";
    return text += others.empty() ? "nothing" : others;
  }
  if (include.in_quotes) return "files of ours are included by their path from the root";
  return {};
}

}  // namespace

bool is_source(std::string_view path) {
  const std::string_view folder = top_folder(path);
  if (folder != kTests && find_folder(folder) == nullptr) return false;
  return std::any_of(kExtensions.begin(), kExtensions.end(),
                     [&](std::string_view extension) { return path.ends_with(extension); });
}

std::vector<Violation> check_file(const SourceFile& file) {
  std::vector<Violation> violations;
  const std::string text = blank_comments_and_literals(file.text);
  const std::string_view view = text;
  bool has_pragma_once = false;
  std::size_t number = 0;
  for (std::size_t start = 0; start <= view.size();) {
    const std::size_t end = std::min(view.find('\n', start), view.size());
    const std::string_view line = view.substr(start, end - start);
    start = end + 1;
    ++number;
    const std::vector<std::string_view> words = split_words(line);
    if (words.size() >= 2 && words[0] == "#pragma" && words[1] == "once") has_pragma_once = true;
    for (std::size_t i = 0; is_header(file.path) && i + 1 < words.size(); ++i) {
      if (words[i] == "using" && words[i + 1] == "namespace") {
        violations.push_back({file.path, number, "`using namespace` in a header"});
      }
    }
    const auto include = read_include(line);
    if (!include) continue;
    std::string rule = check_include(file.path, *include);
    if (!rule.empty()) violations.push_back({file.path, number, std::move(rule)});
  }
  if (is_header(file.path) && !has_pragma_once)
    violations.push_back({file.path, 1, "a header without #pragma once"});
  return violations;
}

}  // namespace ds::architecture
