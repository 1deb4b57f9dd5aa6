#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "storage/result.hpp"

namespace ds::storage {

/// SHA-256 of a file's content, in hexadecimal, read piece by piece. Errors as those of `read_file`;
/// `invalid_argument` for what is no file (nothing is read of a pipe or a device) or has more than `limit`
/// bytes.
Result<std::string> digest_of_file(const std::filesystem::path& file, std::uint64_t limit);

}  // namespace ds::storage
