#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "storage/result.hpp"

namespace ds::storage {

/// One file of a job's log.
struct Segment {
  std::uint64_t first = 0;  ///< offset of its first byte, which is its name
  std::uint64_t bytes = 0;
  std::filesystem::path file;
};

std::filesystem::path to_segment_file(const std::filesystem::path& folder, std::uint64_t first);

/// A job's segments, oldest first; none when the folder is not there.
Result<std::vector<Segment>> list_segments(const std::filesystem::path& folder);

}  // namespace ds::storage
