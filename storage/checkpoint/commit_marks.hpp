#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "storage/result.hpp"

namespace ds::storage {

/// Which versions of a job are committed: step and number of the commit.
using CommittedSteps = std::map<std::uint64_t, std::uint64_t>;

/// One small file a job, outside the database, that lists its committed versions, so that a database which
/// lost one can be told from one that never had it. A mark is written after the commit that adds a version
/// and before the one that drops it: it never lists a version that the database may rightly lack. Not
/// thread-safe.
class CommitMarks {
 public:
  explicit CommitMarks(std::filesystem::path directory) : directory_(std::move(directory)) {}

  /// All jobs' marks. Errors: `data_loss` (a mark is damaged; names the file), `unsupported` (newer format).
  Result<std::map<std::string, CommittedSteps>> read_all() const;

  /// Replaces a job's mark durably; no steps deletes it.
  Result<void> write(const std::string& job, const CommittedSteps& steps) const;

  std::filesystem::path file_of(const std::string& job) const;

 private:
  std::filesystem::path directory_;
};

}  // namespace ds::storage
