#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/result.hpp"

namespace ds::storage {

/// The files that `paths` mean, those of one path sorted by name: a file itself, all files at any depth of a
/// folder whose names end in one of `endings` (`.gz` and `.zst` behind them looked through; hidden ones left
/// out), and what a glob (`*`, `?`, `[…]`) finds. A path that means nothing is `not_found` and says so.
Result<std::vector<std::filesystem::path>> find_source_files(std::span<const std::string> paths,
                                                             std::span<const std::string_view> endings);

}  // namespace ds::storage
