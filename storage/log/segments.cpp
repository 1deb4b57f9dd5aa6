#include "storage/log/segments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>

#include "storage/files/whole_file.hpp"

namespace ds::storage {

namespace {

constexpr char kExtension[] = ".log";

bool parse_first(const std::filesystem::path& file, std::uint64_t* first) {
  if (file.extension() != kExtension) return false;
  const std::string name = file.stem().string();
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), *first);
  return error == std::errc() && end == name.data() + name.size();
}

}  // namespace

std::filesystem::path to_segment_file(const std::filesystem::path& folder, std::uint64_t first) {
  return folder / fmt::format("{:020}{}", first, kExtension);
}

Result<std::vector<Segment>> list_segments(const std::filesystem::path& folder) {
  std::vector<Segment> segments;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  if (error == std::errc::no_such_file_or_directory) return segments;
  if (error) return fail_with_errno(error.value(), "cannot list", folder);
  for (; entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    Segment segment;
    segment.file = entry->path();
    if (!parse_first(segment.file, &segment.first)) continue;
    std::error_code gone;
    segment.bytes = std::filesystem::file_size(segment.file, gone);
    if (!gone) segments.push_back(std::move(segment));  // else it was dropped meanwhile
  }
  if (error) return fail_with_errno(error.value(), "cannot list", folder);
  std::sort(segments.begin(), segments.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return segments;
}

}  // namespace ds::storage
