#pragma once

#include <filesystem>
#include <string>

#include "clients/api_client.hpp"

namespace ds::clients {

/// Writes what `path` of the API answers to `target`, whole or not at all: into a file beside it, synced,
/// then renamed. On an error, and on Ctrl-C, the file beside it is removed and `target` is as it was. Returns
/// the bytes written. Throws `Failure` from the API, and for a target that is no regular file or cannot be
/// written.
std::uint64_t download_to_file(ApiClient& api, const std::string& path, const std::filesystem::path& target);

}  // namespace ds::clients
