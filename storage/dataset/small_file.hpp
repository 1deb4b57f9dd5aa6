#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "storage/codec/sha256.hpp"
#include "storage/result.hpp"

namespace ds::storage {

/// A file that holds one sample and is read whole, and what it was like when the data set was opened.
struct SmallFile {
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30;

  std::filesystem::path path;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
};

/// Errors name the file; more than `kMaxBytes` is `invalid_argument`.
Result<SmallFile> look_at_small_file(const std::filesystem::path& path);

/// All of its bytes; `conflict` when it is not as it was.
Result<void> read_small_file(const SmallFile& file, std::string& out);

}  // namespace ds::storage
