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
/// sum, so a committed step has one of each of its ranks, whoever is killed and when. `done` is written by a
/// member that knows that the step is committed, behind its own `took` of that step. Not every committed step
/// has one: parameter servers may commit a step whose workers all hear of a failure, or of nothing. Who took
/// such a step writes its `done` when the next generation goes on from it; and steps are committed in their
/// order, so a `done` tells of every step before it, too. Only behind the last one of a job may there be
/// committed steps that nothing tells of. Steps are done again when nobody has their outcome: a step may have
/// several records, which must say the same.
///
/// A kill may leave the last line unfinished. A line that could not be written whole (a full disk) is taken
/// back; where not even that can be done it is ended before the next one begins.
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
  /// Whether `step` is the last one taken here, and nothing tells that it is committed.
  bool is_undecided(std::uint64_t step) const { return step == taken_ && step != done_; }

 private:
  AuditLog(int file, std::string path, std::int64_t size)
      : file_(file), path_(std::move(path)), size_(size), unfinished_(size > 0) {}
  Result<void> write_line(const std::string& line);

  const int file_;
  const std::string path_;
  std::int64_t size_;                   ///< of the file
  bool unfinished_;                     ///< its last line may have no end
  std::uint64_t taken_ = 0, done_ = 0;  ///< the last step of either
};

}  // namespace ds::worker
