#include "storage/dataset/index_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <system_error>
#include <utility>
#include <vector>

#include "storage/files/whole_file.hpp"

namespace ds::storage {
namespace {

namespace fs = std::filesystem;

struct Current {
  IndexFolder folder;
  std::atomic<bool> has_told{false};
};

Current& current() {
  static Current one;
  return one;
}

/// Removes what was not used for longest until `bytes` more have room.
void make_room(const IndexFolder& folder, std::uint64_t bytes) {
  struct Kept {
    fs::file_time_type used;
    std::uint64_t bytes = 0;
    fs::path path;
  };
  std::vector<Kept> all;
  std::uint64_t total = bytes;
  std::error_code error;
  for (fs::directory_iterator entry(folder.directory, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;  // another process makes room, too
    const auto size = entry->file_size(gone);
    const auto used = entry->last_write_time(gone);
    if (gone || entry->path().extension() != ".ds-index") continue;
    all.push_back({used, size, entry->path()});
    total += size;
  }
  std::ranges::sort(all, {}, &Kept::used);
  for (const Kept& oldest : all) {
    if (total <= folder.most_bytes) return;
    fs::remove(oldest.path, error);
    total -= oldest.bytes;
  }
}

}  // namespace

void use_index_folder(IndexFolder folder) {
  current().folder = std::move(folder);
  current().has_told = false;
}

const IndexFolder& index_folder() {
  return current().folder;
}

Result<void> keep_in_index_folder(const fs::path& file, std::string_view content) {
  const IndexFolder& folder = index_folder();
  if (content.size() > folder.most_bytes)
    return fail(ErrorCode::resource_exhausted,
                fmt::format("{} is for {} bytes of indices, this one has {}", folder.directory.string(),
                            folder.most_bytes, content.size()));
  std::error_code error;
  if (!fs::is_directory(folder.directory, error)) {
    fs::create_directories(folder.directory, error);
    if (!error) fs::permissions(folder.directory, fs::perms::owner_all, error);
    if (error)
      return fail(ErrorCode::permission_denied,
                  fmt::format("cannot make the folder {}: {}", folder.directory.string(), error.message()));
  }
  make_room(folder, content.size());
  return keep_file(file, content);
}

void mark_used(const fs::path& file) {
  std::error_code ignored;  // it only goes earlier than it need
  fs::last_write_time(file, fs::file_time_type::clock::now(), ignored);
}

void tell_index_lost(const Error& why) {
  Current& now = current();
  if (now.folder.on_lost && !now.has_told.exchange(true)) now.folder.on_lost(why);
}

}  // namespace ds::storage
