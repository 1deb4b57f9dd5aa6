#include "storage/files/file_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

#include "storage/files/whole_file.hpp"

namespace ds::storage {

namespace {

// Fixed width, so that a reader never meets a half-written number.
std::string to_pid_line(pid_t pid) {
  return fmt::format("{:<20}\n", pid);
}

std::string read_owner(int descriptor) {
  char line[21] = {};
  const ssize_t size = ::pread(descriptor, line, sizeof(line) - 1, 0);
  const long pid = size > 0 ? std::strtol(line, nullptr, 10) : 0;
  return pid > 0 ? fmt::format("process {}", pid) : "another process";
}

}  // namespace

Result<FileLock> FileLock::acquire(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail_with_errno(errno, "cannot open the lock file", file);
  FileLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_with_errno(errno, "cannot lock", file);
    return fail(ErrorCode::conflict,
                fmt::format("{} is in use by {}", file.parent_path().string(), read_owner(descriptor)),
                "Stop that process, or choose another directory.");
  }
  const std::string line = to_pid_line(::getpid());
  if (::pwrite(descriptor, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size()))
    return fail_with_errno(errno, "cannot write", file);
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(other.release()) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int FileLock::release() {
  return std::exchange(descriptor_, -1);
}

}  // namespace ds::storage
