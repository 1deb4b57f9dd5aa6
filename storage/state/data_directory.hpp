#pragma once

#include <filesystem>

#include "storage/result.hpp"

namespace ds::storage {

/// Exclusive use of a data directory by one process, released by the kernel when the process ends however it
/// ends.
class DataDirectory {
 public:
  /// Creates the directory (mode 0700) when it is missing, checks that it can be written, checks or writes
  /// its format version (file `VERSION`), and takes the lock (file `LOCK`, which holds the owner's pid).
  /// Errors: `permission_denied` (not writable; names the directory), `conflict` (another process holds it;
  /// names its pid), `unsupported` (written by a newer version; names both versions), `data_loss` (VERSION
  /// unreadable).
  static Result<DataDirectory> acquire(const std::filesystem::path& directory);

  DataDirectory(DataDirectory&&) noexcept;
  DataDirectory& operator=(DataDirectory&&) noexcept;
  ~DataDirectory();

  const std::filesystem::path& path() const { return path_; }

 private:
  DataDirectory(std::filesystem::path path, int lock_descriptor);
  std::filesystem::path path_;
  int lock_descriptor_ = -1;
};

}  // namespace ds::storage
