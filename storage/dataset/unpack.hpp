#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "storage/result.hpp"

namespace ds::storage {

enum class Packing { none, gzip, zstd };

/// What the first bytes of a file say.
Packing packing_of(std::string_view first_bytes);

/// A file without a name: its space is free again when the descriptor is closed.
struct TemporaryFile {
  int descriptor = -1;  ///< the caller closes it
  std::uint64_t size = 0;
};
Result<TemporaryFile> make_temporary_file();

/// Unpacks what `descriptor` holds from its beginning, at most `limit` bytes and never the last GiB of the
/// disk. Several packed streams one behind the other are one file, as for gzip and zstd themselves. Damaged
/// or cut-off streams are `invalid_argument` that name `file`; past the limit `resource_exhausted`.
Result<TemporaryFile> unpack_to_temporary_file(int descriptor, const std::filesystem::path& file,
                                               Packing packing, std::uint64_t limit);

/// Unpacks bytes in memory, or copies them when they are not packed. `stop_at`: enough when so many are
/// there.
Result<void> unpack_bytes(std::string_view packed, const std::string& name, std::uint64_t limit,
                          std::uint64_t stop_at, std::string& out);

/// Writes all of `bytes` to a temporary file.
Result<void> append_to(TemporaryFile& file, std::string_view bytes);

}  // namespace ds::storage
