#include "storage/checkpoint/checkpoint_database.hpp"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstring>

namespace ds::storage {

namespace {

std::string_view to_view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

tl::unexpected<Error> fail_with_record(const Error& cause, const std::string& what,
                                       const std::filesystem::path& directory) {
  const std::string message = fmt::format("{} in {}: {}", what, directory.string(), cause.message);
  if (cause.code == ErrorCode::data_loss) return fail_with_damage(message);
  return fail(cause.code, message, cause.hint);
}

/// Calls `visit(key, value)` for every key that begins with `prefix`, in order, until one fails.
template <class Visit>
Result<void> for_each(rocksdb::DB& database, const std::string& prefix,
                      const std::filesystem::path& directory, Visit&& visit) {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(database.NewIterator(options));
  for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) {
    Result<void> visited = visit(to_view(at->key()), to_view(at->value()));
    if (!visited) return visited;
  }
  if (!at->status().ok()) return fail_with_status(at->status(), "cannot read the checkpoints in", directory);
  return {};
}

}  // namespace

Result<VersionIndex> CheckpointDatabase::verify(const std::filesystem::path& directory,
                                                const DatabaseTuning& tuning) {
  auto database = open_database_read_only(directory, tuning);
  if (!database) return tl::unexpected<Error>(database.error());
  VersionIndex index;
  const auto take = [&](std::string_view key, std::string_view value) -> Result<void> {
    std::string job;
    std::uint64_t step = 0;
    if (!parse_manifest_key(key, &job, &step))
      return fail_with_damage(
          fmt::format("the checkpoints in {} hold a manifest without a job", directory.string()));
    auto manifest = decode_manifest(key, value);
    if (!manifest)
      return fail_with_record(manifest.error(), fmt::format("the manifest of checkpoint {} of {}", step, job),
                              directory);
    index.add(job, *manifest);
    return {};
  };
  auto read = for_each(**database, "m/", directory, take);
  if (!read) return tl::unexpected<Error>(read.error());
  return index;
}

Result<CheckpointDatabase> CheckpointDatabase::open(const std::filesystem::path& directory,
                                                    const DatabaseTuning& tuning) {
  auto database = open_database(directory, tuning);
  if (!database) return tl::unexpected<Error>(database.error());
  return CheckpointDatabase(directory, std::move(*database));
}

CheckpointDatabase::CheckpointDatabase(std::filesystem::path directory, std::unique_ptr<rocksdb::DB> database)
    : directory_(std::move(directory)), database_(std::move(database)) {}

CheckpointDatabase::CheckpointDatabase(CheckpointDatabase&&) noexcept = default;

CheckpointDatabase::~CheckpointDatabase() {
  if (database_) database_->Close().PermitUncheckedError();
}

Result<void> CheckpointDatabase::collect_abandoned_chunks(const VersionIndex& index) {
  rocksdb::WriteBatch batch;
  rocksdb::Status status;
  const auto take = [&](std::string_view key, std::string_view value) -> Result<void> {
    const auto chunks = decode_intent(key, value);
    if (!chunks) return fail_with_record(chunks.error(), "an unfinished save", directory_);
    for (const Sha256& chunk : *chunks)
      if (status.ok() && !index.refers_to(chunk)) status = batch.Delete(to_chunk_key(chunk));
    if (status.ok()) status = batch.Delete(key);
    return {};
  };
  auto read = for_each(*database_, "p/", directory_, take);
  if (!read) return read;
  if (status.ok() && batch.Count() > 0) status = database_->Write({}, &batch);
  if (!status.ok()) return fail_with_status(status, "cannot clean up the checkpoints in", directory_);
  return {};
}

bool CheckpointDatabase::holds(const ChunkToWrite& chunk) const {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  rocksdb::PinnableSlice stored;
  const rocksdb::Status status =
      database_->Get(options, database_->DefaultColumnFamily(), to_chunk_key(chunk.first), &stored);
  return status.ok() && to_view(stored) == chunk.second;
}

Result<void> CheckpointDatabase::write_chunks(std::uint64_t commit, std::span<const ChunkToWrite> chunks,
                                              std::size_t batch_bytes) {
  if (chunks.empty()) return {};
  std::vector<Sha256> sums;
  std::transform(chunks.begin(), chunks.end(), std::back_inserter(sums),
                 [](const auto& chunk) { return chunk.first; });
  const std::string key = to_intent_key(commit);
  rocksdb::WriteBatch batch;
  rocksdb::Status status = batch.Put(key, encode_intent(key, sums));
  for (std::size_t i = 0; i < chunks.size() && status.ok(); ++i) {
    status = batch.Put(to_chunk_key(chunks[i].first),
                       rocksdb::Slice(chunks[i].second.data(), chunks[i].second.size()));
    if (!status.ok() || (batch.GetDataSize() < batch_bytes && i + 1 < chunks.size())) continue;
    status = database_->Write({}, &batch);
    batch.Clear();
  }
  if (!status.ok()) return fail_with_status(status, "cannot write a checkpoint into", directory_);
  return {};
}

Result<void> CheckpointDatabase::commit(const std::string& job, const Manifest& manifest,
                                        const std::vector<Sha256>& freed) {
  const std::string key = to_manifest_key(job, manifest.entry.step);
  rocksdb::WriteBatch batch;
  rocksdb::Status status = batch.Put(key, encode_manifest(key, manifest));
  if (status.ok()) status = batch.Delete(to_intent_key(manifest.commit));
  for (const Sha256& chunk : freed)
    if (status.ok()) status = batch.Delete(to_chunk_key(chunk));
  rocksdb::WriteOptions options;
  options.sync = true;  // syncs every earlier write of the log too, so the chunks are on the disk before the
                        // manifest counts
  if (status.ok()) status = database_->Write(options, &batch);
  if (!status.ok()) return fail_with_status(status, "cannot commit a checkpoint in", directory_);
  return {};
}

Result<void> CheckpointDatabase::drop(const std::string& job, const std::vector<std::uint64_t>& steps,
                                      const std::vector<Sha256>& freed) {
  rocksdb::WriteBatch batch;
  rocksdb::Status status;
  for (const std::uint64_t step : steps)
    if (status.ok()) status = batch.Delete(to_manifest_key(job, step));
  for (const Sha256& chunk : freed)
    if (status.ok()) status = batch.Delete(to_chunk_key(chunk));
  rocksdb::WriteOptions options;
  options.sync = true;
  if (status.ok()) status = database_->Write(options, &batch);
  if (!status.ok()) return fail_with_status(status, "cannot drop checkpoints in", directory_);
  return {};
}

/// One read of one version; holds the database's state still while it lasts.
class CheckpointDatabase::Reading {
 public:
  Reading(const CheckpointDatabase& store, const std::string& job, std::uint64_t step)
      : directory_(store.directory_),
        database_(*store.database_),
        what_(fmt::format("checkpoint {} of {}", step, job)),
        snapshot_(database_.GetSnapshot()) {
    options_.verify_checksums = true;
    options_.fill_cache = false;
    options_.snapshot = snapshot_;
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() { database_.ReleaseSnapshot(snapshot_); }

  Result<Checkpoint> read(const std::string& key) {
    rocksdb::PinnableSlice value;
    const rocksdb::Status status = get(key, &value);
    if (status.IsNotFound()) return fail(ErrorCode::not_found, fmt::format("there is no {}", what_));
    if (!status.ok()) return fail_with_status(status, fmt::format("cannot read {} in", what_), directory_);
    auto manifest = decode_manifest(key, to_view(value));
    if (!manifest)
      return fail_with_record(manifest.error(), fmt::format("the manifest of {}", what_), directory_);
    Checkpoint checkpoint;
    checkpoint.entry = std::move(manifest->entry);
    checkpoint.description = std::move(manifest->description);
    for (TensorChunks& tensor : manifest->tensors) {
      auto bytes = read_tensor(tensor);
      if (!bytes) return tl::unexpected<Error>(bytes.error());
      checkpoint.tensors.emplace_back(std::move(tensor.name), std::move(*bytes));
    }
    return checkpoint;
  }

 private:
  rocksdb::Status get(const std::string& key, rocksdb::PinnableSlice* value) const {
    return database_.Get(options_, database_.DefaultColumnFamily(), key, value);
  }

  Result<std::vector<std::byte>> read_tensor(const TensorChunks& tensor) const {
    std::vector<std::byte> bytes(tensor.bytes);
    for (std::size_t i = 0; i < tensor.chunks.size(); ++i) {
      rocksdb::PinnableSlice chunk;
      const rocksdb::Status status = get(to_chunk_key(tensor.chunks[i]), &chunk);
      const std::string where =
          fmt::format("{}, tensor \"{}\", part {} of {},", what_, tensor.name, i + 1, tensor.chunks.size());
      // A part that is not there was lost: nothing deletes it while a manifest refers to it.
      if (status.IsNotFound())
        return fail_with_damage(fmt::format("{} is missing in {}", where, directory_.string()));
      if (!status.ok()) return fail_with_status(status, fmt::format("cannot read {} in", where), directory_);
      const std::size_t offset = i * kChunkBytes;
      const std::size_t expected = std::min<std::size_t>(kChunkBytes, bytes.size() - offset);
      if (chunk.size() != expected || sha256(to_view(chunk)) != tensor.chunks[i])
        return fail_with_damage(
            fmt::format("{} in {} is damaged: its checksum does not match", where, directory_.string()));
      std::memcpy(bytes.data() + offset, chunk.data(), expected);
    }
    return bytes;
  }

  const std::filesystem::path& directory_;
  rocksdb::DB& database_;
  const std::string what_;
  const rocksdb::Snapshot* snapshot_;
  rocksdb::ReadOptions options_;
};

Result<Checkpoint> CheckpointDatabase::read(const std::string& job, std::uint64_t step) const {
  return Reading(*this, job, step).read(to_manifest_key(job, step));
}

}  // namespace ds::storage
