#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/checkpoint/manifest.hpp"
#include "storage/checkpoint/version_index.hpp"
#include "storage/rocks/database.hpp"

namespace ds::storage {

using ChunkToWrite = std::pair<Sha256, std::string_view>;

/// The database of the checkpoint store in terms of manifests and chunks; RocksDB is seen here alone.
/// Thread-safe as RocksDB is; who orders the writes is the store.
class CheckpointDatabase {
 public:
  /// Every manifest, verified, read without changing a byte.
  static Result<VersionIndex> verify(const std::filesystem::path& directory, const DatabaseTuning& tuning);

  static Result<CheckpointDatabase> open(const std::filesystem::path& directory,
                                         const DatabaseTuning& tuning);
  CheckpointDatabase(CheckpointDatabase&&) noexcept;
  ~CheckpointDatabase();

  /// Deletes the chunks of saves that never came to their commit.
  Result<void> collect_abandoned_chunks(const VersionIndex& index);

  bool holds(const ChunkToWrite& chunk) const;

  /// Writes chunks without syncing them; the intent to write them goes before the first.
  Result<void> write_chunks(std::uint64_t commit, std::span<const ChunkToWrite> chunks,
                            std::size_t batch_bytes);

  /// Makes a version exist, with all chunks written before it, and drops `freed`: one synced write.
  Result<void> commit(const std::string& job, const Manifest& manifest, const std::vector<Sha256>& freed);

  /// Drops versions and chunks by one synced write.
  Result<void> drop(const std::string& job, const std::vector<std::uint64_t>& steps,
                    const std::vector<Sha256>& freed);

  /// Reads a version from a state of the database that later writes do not change.
  Result<Checkpoint> read(const std::string& job, std::uint64_t step) const;

 private:
  class Reading;
  CheckpointDatabase(std::filesystem::path directory, std::unique_ptr<rocksdb::DB> database);

  std::filesystem::path directory_;
  std::unique_ptr<rocksdb::DB> database_;
};

}  // namespace ds::storage
