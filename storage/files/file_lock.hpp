#pragma once

#include <filesystem>

#include "storage/result.hpp"

namespace ds::storage {

/// An exclusive lock on a file, held by this object and released by the kernel when the process ends however
/// it ends. The file holds the owner's pid for the person who meets the lock; it stays when the lock is
/// released.
class FileLock {
 public:
  /// Never waits. Errors: `conflict` (held; names the pid), `permission_denied` (the file cannot be written).
  static Result<FileLock> acquire(const std::filesystem::path& file);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  /// Gives the descriptor away; the lock then lasts until the new owner closes it.
  int release();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace ds::storage
