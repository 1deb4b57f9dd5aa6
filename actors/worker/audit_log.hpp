#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "actors/train/session.hpp"
#include "storage/result.hpp"

namespace ds::worker {

/// One worker's record of the samples that its logical ranks take: a file that only grows. One thread at a
/// time.
///
///     ds-audit 1 job=1f3a worker=3 samples=4000 steps_per_epoch=63 logical_ranks=4
///     took GENERATION STEP EPOCH LOGICAL_RANK SAMPLES
///     done GENERATION STEP
///
/// Steps and epochs count from 1, logical ranks and samples from 0; SAMPLES is `17,4-9,3` in the order in
/// which they were taken, or `-`. `took` is written before the rank's share can become a part of the step's
/// sum, `done` by every member that has committed the step. So a committed step has a record of each of its
/// ranks, whoever is killed and when: there is a `took` of each because there is a sum, and a `done` of
/// whoever still has the step's outcome. Steps are done again when nobody has: a step may have several
/// records, which must say the same. A kill may leave the last line unfinished.
class AuditLog {
 public:
  /// Begins `worker-N.log` in `folder`, which is made. Errors name the file.
  static Result<std::unique_ptr<AuditLog>> open(const std::string& folder, const std::string& job,
                                                std::uint64_t worker, const train::TakenShare& first);
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  Result<void> took(std::uint64_t generation, const train::TakenShare& share);
  Result<void> done(std::uint64_t generation, std::uint64_t step);

 private:
  AuditLog(int file, std::string path) : file_(file), path_(std::move(path)) {}
  Result<void> write_line(const std::string& line);

  const int file_;
  const std::string path_;
};

}  // namespace ds::worker
