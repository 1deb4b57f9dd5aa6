#include "storage/dataset/source_files.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <glob.h>

#include <algorithm>
#include <system_error>

#include "storage/files/whole_file.hpp"

namespace ds::storage {
namespace {

bool has_ending(std::string name, std::span<const std::string_view> endings) {
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  std::string_view rest = name;
  for (const std::string_view packed : {".gz", ".zst"}) {
    if (rest.ends_with(packed)) rest.remove_suffix(packed.size());
  }
  return std::ranges::any_of(endings, [&](std::string_view ending) { return rest.ends_with(ending); });
}

Result<std::vector<std::filesystem::path>> files_in(const std::filesystem::path& folder,
                                                    std::span<const std::string_view> endings) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entries(folder, error);
  for (; !error && entries != std::filesystem::recursive_directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    std::error_code ignored;
    if (name.starts_with('.')) {
      if (entries->is_directory(ignored)) entries.disable_recursion_pending();
    } else if (entries->is_regular_file(ignored) && has_ending(name, endings)) {
      files.push_back(entries->path());
    }
  }
  if (error) return fail_with_errno(error.value(), "cannot list", folder);
  if (files.empty())
    return fail(
        ErrorCode::not_found,
        fmt::format("{}: the folder has no file that ends in {}", folder.string(), fmt::join(endings, ", ")),
        "Is it the right folder, and the right format?");
  std::ranges::sort(files);
  return files;
}

Result<std::vector<std::filesystem::path>> files_of_glob(const std::string& pattern,
                                                         std::span<const std::string_view> endings) {
  glob_t found = {};
  const int status = ::glob(pattern.c_str(), 0, nullptr, &found);  // sorted by name
  std::vector<std::filesystem::path> files;
  for (std::size_t i = 0; i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  if (status == GLOB_NOSPACE) return fail(ErrorCode::resource_exhausted, "no memory to expand " + pattern);
  if (files.empty())
    return fail(ErrorCode::not_found, fmt::format("{}: no file matches", pattern),
                "Paths are relative to the job file; a shell's braces and ~ are not known here.");
  std::vector<std::filesystem::path> all;
  for (const std::filesystem::path& file : files) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(file, ignored)) {
      all.push_back(file);
      continue;
    }
    auto inside = files_in(file, endings);
    if (!inside) return inside;
    all.insert(all.end(), inside->begin(), inside->end());
  }
  return all;
}

}  // namespace

Result<std::vector<std::filesystem::path>> find_source_files(std::span<const std::string> paths,
                                                             std::span<const std::string_view> endings) {
  std::vector<std::filesystem::path> all;
  for (const std::string& path : paths) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    Result<std::vector<std::filesystem::path>> files;
    if (std::filesystem::is_directory(status))
      files = files_in(path, endings);
    else if (std::filesystem::exists(status))
      files = std::vector<std::filesystem::path>{path};
    else if (path.find_first_of("*?[") != std::string::npos)
      files = files_of_glob(path, endings);
    else
      return fail_with_errno(error ? error.value() : ENOENT, "cannot open", path);
    if (!files) return files;
    all.insert(all.end(), files->begin(), files->end());
  }
  if (all.empty()) return fail(ErrorCode::invalid_argument, "a source needs at least one path");
  return all;
}

}  // namespace ds::storage
