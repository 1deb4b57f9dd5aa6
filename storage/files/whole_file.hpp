#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "storage/result.hpp"

namespace ds::storage {

/// A failure of the operating system as ours: EACCES, EPERM, EROFS and ENOTDIR are `permission_denied`,
/// ENOENT is `not_found`, ENOSPC and EDQUOT and EMFILE are `resource_exhausted`, the rest `internal`. The
/// message names `file`.
tl::unexpected<Error> fail_with_errno(int error_number, std::string_view what,
                                      const std::filesystem::path& file);

/// Reads a file of at most `limit` bytes; a larger one is `data_loss`, because our files have known sizes.
Result<std::string> read_file(const std::filesystem::path& file, std::size_t limit);

/// Replaces a file whole, durably, and atomically with respect to crashes. Mode 0600.
Result<void> replace_file(const std::filesystem::path& file, std::string_view content);

/// Puts a file that can be made again in the place of one that may be there, whole or not at all; between the
/// two there may be none. Not durable. However its process ends, no other name is left behind; a file system
/// that can't promise that refuses (`unsupported`). Mode 0600.
Result<void> keep_file(const std::filesystem::path& file, std::string_view content);

/// Deletes a file durably; no error when it is not there.
Result<void> remove_file(const std::filesystem::path& file);

/// Makes a directory (mode 0700) with the parents it needs, durably; no error when it is there.
Result<void> make_directory(const std::filesystem::path& directory);

/// Makes the entries of a directory durable.
Result<void> sync_directory(const std::filesystem::path& directory);

/// Fails with `resource_exhausted`, naming numbers and the directory, when fewer than `needed` bytes are free
/// for us there.
Result<void> require_free_bytes(const std::filesystem::path& directory, std::uint64_t needed);

/// Free space that is never used. RocksDB aborts the process when the disk is full, and again at every start
/// until there is room, so we stop earlier.
inline constexpr std::uint64_t kReserveBytes = 64ULL << 20;

/// Below this nothing at all is written. What lies between is for the ends of what runs when nothing new is
/// taken any more.
inline constexpr std::uint64_t kLeastFreeBytes = 32ULL << 20;

/// Less than that, so that a head that was killed when the disk was full can be started to clean up.
inline constexpr std::uint64_t kOpenReserveBytes = 16ULL << 20;

}  // namespace ds::storage
