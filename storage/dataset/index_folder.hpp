#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "storage/result.hpp"

namespace ds::storage {

/// Where a process keeps the offset indices of files whose own folders can't be written, and whom it tells of
/// the first index that can't be kept at all.
struct IndexFolder {
  static constexpr std::uint64_t kMostBytes = std::uint64_t{4} << 30;

  std::filesystem::path directory;        ///< made when it is needed, for this user alone; empty: none
  std::uint64_t most_bytes = kMostBytes;  ///< of all indices in it: the ones not used for longest go first
  std::function<void(const Error&)> on_lost;
};

/// For the whole process; before it opens data. Without a call there is none.
void use_index_folder(IndexFolder folder);
const IndexFolder& index_folder();

/// Writes a file of the folder, and makes room for it. Any number of processes at a time.
Result<void> keep_in_index_folder(const std::filesystem::path& file, std::string_view content);
/// The file was of use, so it stays.
void mark_used(const std::filesystem::path& file);
/// Calls `on_lost`, once in the life of the folder.
void tell_index_lost(const Error& why);

}  // namespace ds::storage
