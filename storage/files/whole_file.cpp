#include "storage/files/whole_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace ds::storage {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

ErrorCode to_code(int error_number) {
  switch (error_number) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
      return ErrorCode::permission_denied;
    case ENOENT:
      return ErrorCode::not_found;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return ErrorCode::resource_exhausted;
    default:
      return ErrorCode::internal;
  }
}

bool write_all(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

tl::unexpected<Error> fail_with_errno(int error_number, std::string_view what,
                                      const std::filesystem::path& file) {
  return fail(to_code(error_number),
              fmt::format("{} {}: {}", what, file.string(), std::generic_category().message(error_number)));
}

Result<std::string> read_file(const std::filesystem::path& file, std::size_t limit) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor.number() < 0) return fail_with_errno(errno, "cannot open", file);
  std::string content;
  struct stat status {};
  if (::fstat(descriptor.number(), &status) == 0 && status.st_size > 0 &&
      static_cast<std::size_t>(status.st_size) <= limit)
    content.reserve(static_cast<std::size_t>(status.st_size));
  char buffer[65536];
  for (;;) {
    const ssize_t size = ::read(descriptor.number(), buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_with_errno(errno, "cannot read", file);
    if (size == 0) return content;
    content.append(buffer, static_cast<std::size_t>(size));
    if (content.size() > limit)
      return fail(ErrorCode::data_loss,
                  fmt::format("{} is longer than its format allows ({} bytes)", file.string(), limit));
  }
}

Result<void> replace_file(const std::filesystem::path& file, std::string_view content) {
  std::filesystem::path fresh = file;
  fresh += ".new";
  {
    const Descriptor descriptor(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (descriptor.number() < 0) return fail_with_errno(errno, "cannot create", fresh);
    if (!write_all(descriptor.number(), content) || ::fsync(descriptor.number()) != 0)
      return fail_with_errno(errno, "cannot write", fresh);
  }
  if (::rename(fresh.c_str(), file.c_str()) != 0) return fail_with_errno(errno, "cannot replace", file);
  return sync_directory(file.parent_path());
}

Result<void> keep_file(const std::filesystem::path& file, std::string_view content) {
  const Descriptor descriptor(::open(file.parent_path().c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (descriptor.number() < 0) {
    if (errno == EOPNOTSUPP)
      return fail(ErrorCode::unsupported,
                  fmt::format("{}: every file begins with a name there", file.parent_path().string()));
    return fail_with_errno(errno, "cannot create a file in", file.parent_path());
  }
  if (!write_all(descriptor.number(), content)) return fail_with_errno(errno, "cannot write", file);
  const std::string nameless = fmt::format("/proc/self/fd/{}", descriptor.number());
  const auto link = [&] {
    return ::linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, file.c_str(), AT_SYMLINK_FOLLOW) == 0;
  };
  if (link()) return {};
  if (errno == EEXIST && ::unlink(file.c_str()) == 0 && link()) return {};
  // Somebody else was between the two: his is as good.
  if (errno == EEXIST || errno == ENOENT) return {};
  return fail_with_errno(errno, "cannot keep", file);
}

Result<void> remove_file(const std::filesystem::path& file) {
  if (::unlink(file.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return fail_with_errno(errno, "cannot delete", file);
  }
  return sync_directory(file.parent_path());
}

Result<void> make_directory(const std::filesystem::path& directory) {
  std::error_code error;
  if (std::filesystem::is_directory(directory, error)) return {};
  std::filesystem::path whole = std::filesystem::absolute(directory).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();  // it was written with a slash at its end
  const std::filesystem::path parent = whole.parent_path();
  std::filesystem::create_directories(parent, error);
  if (error) return fail_with_errno(error.value(), "cannot create the directory", parent);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_with_errno(errno, "cannot create the directory", directory);
  if (!std::filesystem::is_directory(directory, error))
    return fail_with_errno(ENOTDIR, "cannot use", directory);
  return sync_directory(parent);
}

Result<void> sync_directory(const std::filesystem::path& directory) {
  const std::filesystem::path named = directory.empty() ? "." : directory;
  const Descriptor descriptor(::open(named.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.number() < 0) return fail_with_errno(errno, "cannot open", named);
  // Some file systems cannot sync a directory and say so with EINVAL; they need no sync.
  if (::fsync(descriptor.number()) != 0 && errno != EINVAL)
    return fail_with_errno(errno, "cannot sync", named);
  return {};
}

Result<void> require_free_bytes(const std::filesystem::path& directory, std::uint64_t needed) {
  struct statvfs disk = {};
  if (::statvfs(directory.c_str(), &disk) != 0)
    return fail_with_errno(errno, "cannot ask for the free space of", directory);
  const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (free >= needed) return {};
  return fail(ErrorCode::resource_exhausted,
              fmt::format("the disk of {} has {} MiB free, {} MiB are needed", directory.string(), free >> 20,
                          (needed + (1U << 20) - 1) >> 20),
              "Free some space on that disk; what is stored stays as it is.");
}

}  // namespace ds::storage
