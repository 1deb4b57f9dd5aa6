#include "storage/checkpoint/checkpoint_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <shared_mutex>

#include "storage/checkpoint/checkpoint_database.hpp"
#include "storage/checkpoint/checkpoint_limits.hpp"
#include "storage/checkpoint/commit_marks.hpp"
#include "storage/files/file_lock.hpp"
#include "storage/identifier.hpp"

namespace ds::storage {

namespace {

std::string_view to_view(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class RocksCheckpointStore final : public CheckpointStore {
 public:
  RocksCheckpointStore(std::filesystem::path directory, const CheckpointLimits& limits, FileLock lock,
                       CheckpointDatabase database, VersionIndex index)
      : directory_(std::move(directory)),
        limits_(limits),
        lock_(std::move(lock)),
        marks_(directory_ / "marks"),
        database_(std::move(database)),
        index_(std::move(index)),
        next_commit_(index_.newest_commit() + 1) {}

  Result<void> save(const std::string& job, const CheckpointEntry& entry, const std::string& description,
                    std::span<const NamedBytes> tensors) override {
    auto valid = require_job_id(job);
    if (!valid) return valid;
    const std::lock_guard writing(writers_);
    Manifest manifest;
    manifest.commit = next_commit_++;
    manifest.entry = entry;
    manifest.description = description;
    std::vector<ChunkToWrite> missing;
    auto planned = plan_chunks(tensors, manifest, missing);
    if (!planned) return planned;
    auto room = require_room(missing);
    if (!room) return room;
    auto written = database_.write_chunks(manifest.commit, missing, limits_.batch_bytes);
    if (!written) return written;
    // Only writers change the index, and we are the only one, so reading it needs no lock.
    auto committed = database_.commit(job, manifest, index_.chunks_freed_by(job, {entry.step}, &manifest));
    if (!committed) return committed;
    {
      const std::unique_lock changing(index_lock_);
      index_.add(job, manifest);
    }
    return marks_.write(job, index_.committed_steps(job));
  }

  Result<std::vector<CheckpointEntry>> list(const std::string& job) const override {
    auto valid = require_job_id(job);
    if (!valid) return tl::unexpected<Error>(valid.error());
    const std::shared_lock reading(index_lock_);
    return index_.entries(job);
  }

  Result<Checkpoint> load(const std::string& job, std::uint64_t step) const override {
    auto valid = require_job_id(job);
    if (!valid) return tl::unexpected<Error>(valid.error());
    auto checkpoint = database_.read(job, step);
    // A version whose manifest went without being dropped is damage, not absence.
    if (!checkpoint && checkpoint.error().code == ErrorCode::not_found && contains(job, step))
      return fail_with_damage(fmt::format("the manifest of checkpoint {} of {} in {} is missing", step, job,
                                          (directory_ / "db").string()));
    return checkpoint;
  }

  Result<std::optional<Checkpoint>> load_newest(const std::string& job,
                                                std::vector<Error>* skipped) const override {
    auto entries = list(job);
    if (!entries) return tl::unexpected<Error>(entries.error());
    std::optional<Error> first;
    for (auto entry = entries->rbegin(); entry != entries->rend(); ++entry) {
      auto checkpoint = load(job, entry->step);
      if (checkpoint) return std::optional<Checkpoint>(std::move(*checkpoint));
      if (checkpoint.error().code == ErrorCode::not_found) continue;  // pruned since it was listed
      if (checkpoint.error().code != ErrorCode::data_loss) return tl::unexpected<Error>(checkpoint.error());
      if (skipped != nullptr) skipped->push_back(checkpoint.error());
      if (!first) first = checkpoint.error();
    }
    if (!first) return std::optional<Checkpoint>();
    return fail_with_damage(fmt::format("no checkpoint of {} is whole; the newest: {}", job, first->message));
  }

  Result<void> prune(const std::string& job, const Retention& retention) override {
    auto valid = require_job_id(job);
    if (!valid) return valid;
    const std::lock_guard writing(writers_);
    const std::vector<CheckpointEntry> entries = index_.entries(job);
    const std::vector<std::uint64_t> kept = choose_kept_steps(entries, retention);
    return drop(job, entries, {kept.begin(), kept.end()});
  }

  Result<void> remove(const std::string& job) override {
    auto valid = require_job_id(job);
    if (!valid) return valid;
    const std::lock_guard writing(writers_);
    return drop(job, index_.entries(job), {});
  }

 private:
  /// Cuts the tensors into the manifest's chunks and finds those that must be written.
  Result<void> plan_chunks(std::span<const NamedBytes> tensors, Manifest& manifest,
                           std::vector<ChunkToWrite>& missing) const {
    std::set<std::string_view> names;
    std::set<Sha256> seen;
    manifest.entry.bytes = 0;
    for (const NamedBytes& tensor : tensors) {
      if (!names.insert(tensor.name).second)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("two tensors of a checkpoint are named \"{}\"", tensor.name));
      TensorChunks cut{tensor.name, tensor.bytes.size(), {}};
      const std::string_view bytes = to_view(tensor.bytes);
      for (std::size_t offset = 0; offset < bytes.size(); offset += kChunkBytes) {
        const std::string_view chunk = bytes.substr(offset, kChunkBytes);
        const Sha256& sum = cut.chunks.emplace_back(sha256(chunk));
        // A stored chunk is compared, not trusted: were it damaged, this version would be too, with the good
        // bytes at hand.
        if (seen.insert(sum).second && !(index_.refers_to(sum) && database_.holds({sum, chunk})))
          missing.emplace_back(sum, chunk);
      }
      manifest.entry.bytes += cut.bytes;
      manifest.tensors.push_back(std::move(cut));
    }
    return {};
  }

  Result<void> require_room(const std::vector<ChunkToWrite>& missing) const {
    std::uint64_t bytes = 0;
    for (const ChunkToWrite& chunk : missing) bytes += chunk.second.size();
    // For a while the database holds a chunk both in its log and in a table.
    return require_free_bytes(directory_, limits_.reserve_bytes + 2 * bytes);
  }

  /// Drops all of a job's versions but `kept`. The mark goes first: should we die before the database
  /// follows, a version too many is there, which the next prune drops, instead of one that seems lost.
  Result<void> drop(const std::string& job, const std::vector<CheckpointEntry>& entries,
                    const std::set<std::uint64_t>& kept) {
    CommittedSteps remaining = index_.committed_steps(job);
    std::vector<std::uint64_t> dropped;
    for (const CheckpointEntry& entry : entries) {
      if (kept.contains(entry.step)) continue;
      dropped.push_back(entry.step);
      remaining.erase(entry.step);
    }
    if (dropped.empty()) return {};
    auto marked = marks_.write(job, remaining);
    if (!marked) return marked;
    auto outcome = database_.drop(job, dropped, index_.chunks_freed_by(job, dropped, nullptr));
    if (!outcome) return outcome;
    const std::unique_lock changing(index_lock_);
    for (const std::uint64_t step : dropped) index_.drop(job, step);
    return {};
  }

  bool contains(const std::string& job, std::uint64_t step) const {
    const std::shared_lock reading(index_lock_);
    return index_.contains(job, step);
  }

  const std::filesystem::path directory_;
  const CheckpointLimits limits_;
  const FileLock lock_;
  const CommitMarks marks_;
  CheckpointDatabase database_;
  std::mutex writers_;                    // held through a save, prune or remove
  mutable std::shared_mutex index_lock_;  // taken after writers_, for moments
  VersionIndex index_;
  std::uint64_t next_commit_;  // guarded by writers_
};

/// Checks that the database has every version that the marks list.
Result<void> check_marks(const CommitMarks& marks, const VersionIndex& index, bool database_exists,
                         const std::filesystem::path& database) {
  const auto all = marks.read_all();
  if (!all) return tl::unexpected<Error>(all.error());
  for (const auto& [job, marked] : *all) {
    const CommittedSteps there = index.committed_steps(job);
    for (const auto& [step, commit] : marked) {
      const auto found = there.find(step);
      if (found != there.end() && found->second >= commit) continue;
      return fail(
          ErrorCode::data_loss,
          fmt::format("{} {} checkpoint {} of {}, which was committed", database.string(),
                      database_exists ? "lost" : "is missing, and with it", step, job),
          fmt::format(
              "Nothing was changed. Restore the directory from a copy, or delete {} to go on without it.",
              marks.file_of(job).string()));
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<CheckpointStore>> open_checkpoint_store(const std::filesystem::path& directory,
                                                               const CheckpointLimits& limits) {
  auto made = make_directory(directory);
  if (!made) return tl::unexpected<Error>(made.error());
  auto lock = FileLock::acquire(directory / "LOCK");
  if (!lock) return tl::unexpected<Error>(lock.error());
  const std::filesystem::path database_directory = directory / "db";
  const auto exists = has_database(database_directory);
  if (!exists) return tl::unexpected<Error>(exists.error());
  VersionIndex index;
  if (*exists) {
    auto verified = CheckpointDatabase::verify(database_directory, limits.database);
    if (!verified) return tl::unexpected<Error>(verified.error());
    index = std::move(*verified);
  }
  auto marked = check_marks(CommitMarks(directory / "marks"), index, *exists, database_directory);
  if (!marked) return tl::unexpected<Error>(marked.error());
  auto database = CheckpointDatabase::open(database_directory, limits.database);
  if (!database) return tl::unexpected<Error>(database.error());
  auto collected = database->collect_abandoned_chunks(index);
  if (!collected) return tl::unexpected<Error>(collected.error());
  return std::make_unique<RocksCheckpointStore>(directory, limits, std::move(*lock), std::move(*database),
                                                std::move(index));
}

Result<std::unique_ptr<CheckpointStore>> CheckpointStore::open(const std::filesystem::path& directory) {
  return open_checkpoint_store(directory, CheckpointLimits{});
}

}  // namespace ds::storage
