#include "clients/download.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "clients/failure.hpp"
#include "clients/interrupt.hpp"

namespace ds::clients {
namespace {

[[noreturn]] void throw_errno(const std::string& what, const std::filesystem::path& file,
                              const std::string& hint = {}) {
  throw Failure(ExitCode::unexpected, "local", what + " " + file.string() + ": " + std::strerror(errno),
                hint);
}

/// A file beside the target, gone unless `keep_as` was called.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& target) {
    const auto folder = target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
    path_ = std::filesystem::absolute(folder / ("." + target.filename().string() + ".XXXXXX")).string();
    descriptor_ = ::mkostemp(path_.data(), O_CLOEXEC);
    if (descriptor_ < 0)
      throw_errno("cannot write in", folder, "choose a directory that exists and that you may write to");
    set_interrupt_cleanup(path_);
  }
  ~TemporaryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!kept_) ::unlink(path_.c_str());
    set_interrupt_cleanup("");
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  /// False with errno set when not all of it could be written.
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

  void keep_as(const std::filesystem::path& target, ::mode_t mode) {
    if (::fchmod(descriptor_, mode) != 0 || ::fsync(descriptor_) != 0) throw_errno("cannot write", path_);
    const int descriptor = descriptor_;
    descriptor_ = -1;
    if (::close(descriptor) != 0) throw_errno("cannot write", path_);
    if (::rename(path_.c_str(), target.c_str()) != 0) throw_errno("cannot write", target);
    kept_ = true;
    const int folder =
        ::open(std::filesystem::path(path_).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
      ::fsync(folder);  // the file is whole either way; this makes its name last too
      ::close(folder);
    }
  }

 private:
  std::string path_;
  int descriptor_ = -1;
  bool kept_ = false;
};

::mode_t default_mode() {
  const ::mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

}  // namespace

std::uint64_t download_to_file(ApiClient& api, const std::string& path, const std::filesystem::path& named) {
  std::filesystem::path target = named;
  std::error_code error;
  if (std::filesystem::is_symlink(std::filesystem::symlink_status(named, error))) {
    target = std::filesystem::canonical(named, error);  // a link stays a link: what it points to is replaced
    if (error) throw Failure(ExitCode::unexpected, "local", named.string() + " is a link that leads nowhere");
  }
  ::mode_t mode = default_mode();
  struct stat existing {};
  if (::stat(target.c_str(), &existing) == 0) {
    if (!S_ISREG(existing.st_mode)) {
      throw Failure(ExitCode::usage, "usage", named.string() + " is not a regular file",
                    "give -o the name of a file");
    }
    mode = existing.st_mode & 0777;
  }
  TemporaryFile file(target);
  std::uint64_t bytes = 0;
  int failed = 0;
  api.download(path, [&](std::string_view part) {
    if (!file.write(part)) failed = errno;
    bytes += part.size();
    return failed == 0;
  });
  if (failed != 0) {
    errno = failed;
    throw_errno("cannot write", named, failed == ENOSPC ? "free some space or choose another place" : "");
  }
  file.keep_as(target, mode);
  return bytes;
}

}  // namespace ds::clients
