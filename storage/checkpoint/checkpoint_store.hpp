#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/result.hpp"

namespace ds::storage {

/// One named run of bytes of a checkpoint, borrowed for the length of the call.
struct NamedBytes {
  std::string name;
  std::span<const std::byte> bytes;
};

/// What is known of a version without reading its tensors.
struct CheckpointEntry {
  std::uint64_t step = 0;
  std::uint64_t bytes = 0;                ///< of all tensors
  std::int64_t time_ms = 0;               ///< Unix time of the commit, milliseconds
  std::map<std::string, double> metrics;  ///< of the evaluation at this step; may be empty
  bool operator==(const CheckpointEntry&) const = default;
};

/// A version read back, every byte verified.
struct Checkpoint {
  CheckpointEntry entry;
  std::string description;  ///< opaque to the store: what the trainer needs to read the tensors
  std::vector<std::pair<std::string, std::vector<std::byte>>> tensors;
};

/// How many versions of a job are kept; the union of both rules. The newest is always kept.
struct Retention {
  std::uint32_t keep_last = 3;
  std::uint32_t keep_best = 1;
  std::string best_metric = "accuracy";
  bool larger_is_better = true;
  std::vector<std::uint64_t> pinned{};  ///< steps that somebody needs, whatever else is kept
  bool only_pinned = false;             ///< else the newest is always kept
};

/// Checkpoints of all jobs in one RocksDB. Format: `storage/FORMAT.md`.
///
/// Tensors are cut into content-addressed chunks shared between versions and jobs; a version exists from the
/// moment its manifest is committed with a synced write, and not before. Thread-safe; calls block on the
/// disk.
class CheckpointStore {
 public:
  /// Errors: `data_loss` names the damaged file, `unsupported` a newer format.
  static Result<std::unique_ptr<CheckpointStore>> open(const std::filesystem::path& directory);
  virtual ~CheckpointStore() = default;

  /// Commits a version. Saving a step that exists replaces metrics and tensors atomically (same bits in
  /// practice). Fails with `resource_exhausted` before touching the database when less than the reserve of
  /// disk would stay free.
  virtual Result<void> save(const std::string& job, const CheckpointEntry& entry,
                            const std::string& description, std::span<const NamedBytes> tensors) = 0;

  /// Committed versions, oldest step first.
  virtual Result<std::vector<CheckpointEntry>> list(const std::string& job) const = 0;

  /// Reads one version and verifies every checksum; `data_loss` when a byte is damaged, `not_found`.
  virtual Result<Checkpoint> load(const std::string& job, std::uint64_t step) const = 0;

  /// Reads the newest version that verifies, passing over damaged ones (their errors are appended to
  /// `skipped`); nullopt when the job has no version at all, `data_loss` when it has but none is whole.
  virtual Result<std::optional<Checkpoint>> load_newest(const std::string& job,
                                                        std::vector<Error>* skipped) const = 0;

  /// Drops the versions that `retention` does not keep, and the chunks nobody refers to any more.
  virtual Result<void> prune(const std::string& job, const Retention& retention) = 0;

  /// Drops every version of the job.
  virtual Result<void> remove(const std::string& job) = 0;
};

/// The steps that `retention` keeps out of `entries`; among equal metrics the newer is the better. Pure.
std::vector<std::uint64_t> choose_kept_steps(std::span<const CheckpointEntry> entries,
                                             const Retention& retention);

}  // namespace ds::storage
