#include "storage/state/data_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "storage/files/file_lock.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::storage {

namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::string_view kPrefix = "ds-data ";

std::optional<std::uint32_t> parse_version(std::string_view content) {
  if (!content.starts_with(kPrefix) || !content.ends_with('\n')) return std::nullopt;
  content.remove_prefix(kPrefix.size());
  content.remove_suffix(1);
  std::uint32_t version = 0;
  const auto [end, error] = std::from_chars(content.data(), content.data() + content.size(), version);
  if (error != std::errc() || end != content.data() + content.size() || version == 0) return std::nullopt;
  return version;
}

/// Writes VERSION into a directory that has none. A directory that lost it is safe too: the stores in it
/// carry their own format versions.
Result<void> check_version(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / "VERSION";
  auto content = read_file(file, 64);
  if (!content && content.error().code == ErrorCode::not_found)
    return replace_file(file, fmt::format("{}{}\n", kPrefix, kVersion));
  if (!content) return tl::unexpected<Error>(content.error());
  const std::optional<std::uint32_t> version = parse_version(*content);
  if (!version)
    return fail(
        ErrorCode::data_loss, fmt::format("{} is damaged: expected \"{}NUMBER\"", file.string(), kPrefix),
        fmt::format("If this program wrote the directory, put \"{}{}\" into that file.", kPrefix, kVersion));
  if (*version > kVersion)
    return fail(
        ErrorCode::unsupported,
        fmt::format("the data directory {} was written by a newer version (format {}, this program knows {})",
                    directory.string(), *version, kVersion),
        "Start the newer version of the program, or choose another directory.");
  return {};
}

/// Failing to make or lock files there is, to whoever starts the program, one thing: the directory cannot be
/// used.
Error about(const std::filesystem::path& directory, const Error& cause) {
  if (cause.code != ErrorCode::permission_denied) return cause;
  return {cause.code,
          fmt::format("the data directory {} is not writable: {}", directory.string(), cause.message),
          "Choose another directory, or give this user the right to write there."};
}

}  // namespace

Result<DataDirectory> DataDirectory::acquire(const std::filesystem::path& directory) {
  auto made = make_directory(directory);
  if (!made) return tl::unexpected<Error>(about(directory, made.error()));
  if (::faccessat(AT_FDCWD, directory.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0)
    return tl::unexpected<Error>(
        about(directory, fail_with_errno(errno, "cannot write to", directory).value()));
  auto lock = FileLock::acquire(directory / "LOCK");
  if (!lock) return tl::unexpected<Error>(about(directory, lock.error()));
  auto checked = check_version(directory);
  if (!checked) return tl::unexpected<Error>(about(directory, checked.error()));
  return DataDirectory(directory, lock->release());
}

DataDirectory::DataDirectory(std::filesystem::path path, int lock_descriptor)
    : path_(std::move(path)), lock_descriptor_(lock_descriptor) {}

DataDirectory::DataDirectory(DataDirectory&& other) noexcept
    : path_(std::move(other.path_)), lock_descriptor_(std::exchange(other.lock_descriptor_, -1)) {}

DataDirectory& DataDirectory::operator=(DataDirectory&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_descriptor_, other.lock_descriptor_);
  return *this;
}

DataDirectory::~DataDirectory() {
  if (lock_descriptor_ >= 0) ::close(lock_descriptor_);
}

}  // namespace ds::storage
