#include "storage/state/journal.hpp"

#include <fmt/format.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "storage/files/file_lock.hpp"
#include "storage/state/journal_chain.hpp"
#include "storage/state/journal_limits.hpp"
#include "storage/state/journal_record.hpp"
#include "storage/state/snapshot_pieces.hpp"

namespace ds::storage {

namespace {

std::size_t count_bytes(const std::vector<std::string>& payload) {
  std::size_t bytes = 0;
  for (const std::string& item : payload) bytes += item.size();
  return bytes;
}

/// Of a snapshot that is not whole. Their files go at once, as far as they hold nothing else.
rocksdb::Status delete_pieces(rocksdb::DB& database, std::uint64_t cut) {
  const std::string begin = to_piece_key(cut, 0), end = to_record_key(cut + 1);
  const rocksdb::Slice first(begin), behind(end);
  rocksdb::Status status =
      rocksdb::DeleteFilesInRange(&database, database.DefaultColumnFamily(), &first, &behind, false);
  if (status.ok())
    status = database.DeleteRange(rocksdb::WriteOptions(), database.DefaultColumnFamily(), first, behind);
  return status;
}

/// What an open journal holds; each was opened only after the one before it was found whole.
struct OpenJournal {
  FileLock lock;
  HighWater high_water;
  std::unique_ptr<rocksdb::DB> database;
  VerifiedChain chain;
};

class RocksJournal final : public StateJournal {
 public:
  RocksJournal(std::filesystem::path directory, const JournalLimits& limits, OpenJournal opened)
      : directory_(std::move(directory)),
        limits_(limits),
        lock_(std::move(opened.lock)),
        high_water_(std::move(opened.high_water)),
        database_(std::move(opened.database)),
        end_(opened.chain.end),
        snapshot_at_(opened.chain.snapshot_at),
        recovered_(std::move(opened.chain.recovered)),
        bytes_since_snapshot_(opened.chain.bytes_since_snapshot),
        writer_([this] { write_until_closed(); }) {}

  RocksJournal(const RocksJournal&) = delete;
  RocksJournal& operator=(const RocksJournal&) = delete;

  ~RocksJournal() override {
    {
      const std::lock_guard guard(mutex_);
      closing_ = true;
    }
    wake_writer_.notify_one();
    writer_.join();
    // A mark that is not synced only lags after a power cut, so a failure here costs nothing that was
    // promised.
    (void)high_water_.sync();
    database_->Close().PermitUncheckedError();
  }

  Recovered take_recovered() override {
    const std::lock_guard guard(mutex_);
    return std::exchange(recovered_, {});
  }

  void append(std::vector<std::string> events, OnDurable on_durable) override {
    enqueue({std::move(events), std::nullopt, std::move(on_durable), false});
  }

  void compact(SnapshotPiece piece, OnDurable on_durable) override {
    enqueue({{}, std::move(piece), std::move(on_durable), false});
  }

  Result<void> check_room() const override { return limits_.require_free(directory_, limits_.reserve_bytes); }
  Result<void> check_progress() const override {
    return limits_.require_free(directory_, limits_.least_bytes + needed_bytes_);
  }

  std::uint64_t bytes_since_snapshot() const override { return bytes_since_snapshot_; }

 private:
  struct Waiting {
    std::vector<std::string> events;
    std::optional<SnapshotPiece> piece;  // then there are no events
    OnDurable on_durable;
    bool refused;  // too many waited when it came; it keeps its place so that the calls come in order
  };

  /// A snapshot that is being written.
  struct Snapshot {
    SnapshotIndex index;
    std::uint64_t bytes_before = 0;  // of events since the last snapshot, which it stands for
    bool is_needless = false;        // since the last snapshot there are none
  };

  void enqueue(Waiting record) {
    {
      const std::lock_guard guard(mutex_);
      // A snapshot, of which whoever makes them has one at a time, must not make events be refused.
      const std::size_t bytes = count_bytes(record.events);
      record.refused = waiting_records_ >= limits_.max_waiting_records ||
                       (waiting_records_ > 0 && waiting_bytes_ + bytes > limits_.max_waiting_bytes);
      if (record.refused) {
        record.events = {};
      } else {
        ++waiting_records_;
        waiting_bytes_ += bytes;
      }
      queue_.push_back(std::move(record));
    }
    wake_writer_.notify_one();
  }

  void write_until_closed() {
    for (;;) {
      std::vector<Waiting> group = take_group();
      if (group.empty()) return;
      commit_and_report(group);
    }
  }

  /// Waits for records; nothing comes only when the journal closes and all was written. A piece of a snapshot
  /// comes alone: where there is no room for it there may be for events.
  std::vector<Waiting> take_group() {
    std::unique_lock guard(mutex_);
    wake_writer_.wait(guard, [this] { return closing_ || !queue_.empty(); });
    std::vector<Waiting> group;
    std::size_t bytes = 0;
    while (!queue_.empty() && (group.empty() || bytes < limits_.max_commit_bytes)) {
      if (!group.empty() && (group.back().piece || queue_.front().piece)) break;
      bytes += count_bytes(queue_.front().events);
      if (!queue_.front().refused) --waiting_records_;
      group.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    waiting_bytes_ -= bytes;
    return group;
  }

  void commit_and_report(std::vector<Waiting>& group) {
    const bool is_piece = group.front().piece && !group.front().refused;
    const Result<void> outcome = is_piece ? write_piece(*group.front().piece) : commit(group);
    for (Waiting& record : group) {
      if (!record.on_durable) continue;
      if (record.refused)
        record.on_durable(
            fail(ErrorCode::resource_exhausted,
                 fmt::format("too many records wait for the state journal in {}", directory_.string()),
                 "The disk is slow or stuck; try again later."));
      else
        record.on_durable(outcome);
    }
  }

  Result<void> commit(const std::vector<Waiting>& group) {
    if (failure_) return tl::unexpected<Error>(*failure_);
    ChainEnd end = end_;
    std::uint64_t bytes_since_snapshot = bytes_since_snapshot_;
    rocksdb::WriteBatch batch;
    for (const Waiting& record : group) {
      if (record.refused) continue;
      const std::string value = encode_next_record(end, JournalRecord::Kind::events, record.events);
      bytes_since_snapshot += count_bytes(record.events);
      if (const auto status = batch.Put(to_record_key(end.seq), value); !status.ok())
        return fail_with_status(status, "cannot prepare a record of the state journal in", directory_);
    }
    if (end == end_) return {};
    // The log and later the table hold the batch, so it may need its size twice.
    if (auto room = wait_for_room(2 * batch.GetDataSize()); !room) return room;
    if (auto written = write(batch, true); !written) return written;
    end_ = end;
    bytes_since_snapshot_ = bytes_since_snapshot;
    // These records are durable whatever becomes of the mark; without marks, though, later losses would go
    // unnoticed.
    const auto raised = high_water_.raise(end_);
    if (!raised) (void)stop(raised.error());
    return {};
  }

  Result<void> write(rocksdb::WriteBatch& batch, bool sync) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    const rocksdb::Status status = database_->Write(options, &batch);
    if (status.ok()) return {};
    return stop(fail_with_status(status, "cannot write the state journal in", directory_).value());
  }

  /// The last one makes the snapshot the beginning of the chain, in the place of the record that was the
  /// newest when the first one came; all before that goes in the same write. What is synced then is synced
  /// with all pieces, as they stand before it in the database's log.
  Result<void> write_piece(const SnapshotPiece& piece) {
    if (failure_) return tl::unexpected<Error>(*failure_);
    if (piece.is_first) {
      if (auto begun = begin_snapshot(piece.expected_bytes); !begun) return begun;
    }
    if (!snapshot_)
      return fail(ErrorCode::internal, "a piece of a snapshot that was given up, or was never begun");
    if (snapshot_->is_needless) {
      if (piece.is_last) snapshot_.reset();
      return {};
    }
    SnapshotIndex& index = snapshot_->index;
    rocksdb::WriteBatch batch;
    const std::string key = to_piece_key(index.cut.seq, index.pieces);
    rocksdb::Status status = batch.Put(key, encode_next_piece(index, piece.text));
    const std::string cut = to_record_key(index.cut.seq);
    if (status.ok() && piece.is_last) status = batch.DeleteRange(to_record_key(0), cut);
    if (status.ok() && piece.is_last) status = batch.Put(cut, encode_index(index));
    if (!status.ok())
      return fail_with_status(status, "cannot prepare a snapshot of the state journal in", directory_);
    const std::uint64_t needed = limits_.reserve_bytes + 2 * batch.GetDataSize();
    if (auto room = limits_.require_free(directory_, needed); !room) {
      if (auto given_up = give_up_snapshot(); !given_up) return given_up;
      return room;
    }
    if (auto written = write(batch, piece.is_last); !written) return written;
    if (!piece.is_last) return {};
    snapshot_at_ = index.cut.seq;
    bytes_since_snapshot_ -= snapshot_->bytes_before;
    snapshot_.reset();
    return {};
  }

  Result<void> begin_snapshot(std::uint64_t expected_bytes) {
    if (snapshot_) {
      if (auto given_up = give_up_snapshot(); !given_up) return given_up;
    }
    // With the table that holds them later, too.
    if (auto room = limits_.require_free(directory_, limits_.reserve_bytes + 2 * expected_bytes); !room)
      return room;
    snapshot_ = Snapshot{{end_, 0, end_.hash}, bytes_since_snapshot_, snapshot_at_ == end_.seq};
    return {};
  }

  /// What is written of it goes.
  Result<void> give_up_snapshot() {
    const Snapshot given_up = *std::exchange(snapshot_, std::nullopt);
    if (given_up.is_needless) return {};
    return drop_pieces(given_up.index.cut.seq);
  }

  Result<void> drop_pieces(std::uint64_t cut) {
    const auto status = delete_pieces(*database_, cut);
    if (status.ok()) return {};
    return stop(fail_with_status(status, "cannot write the state journal in", directory_).value());
  }

  /// Nobody hears of an event before it is durable, so it can wait; a database that is refused space could
  /// not be written any more.
  Result<void> wait_for_room(std::uint64_t needed) {
    needed_bytes_ = needed;
    auto room = check_progress();
    while (!room && room.error().code == ErrorCode::resource_exhausted) {
      std::unique_lock guard(mutex_);
      if (wake_writer_.wait_for(guard, limits_.look_again, [this] { return closing_; })) break;
      guard.unlock();
      room = check_progress();
    }
    needed_bytes_ = 0;
    return room;
  }

  /// Refuses everything from now on: after a failed sync nobody knows what is on the disk until it is read
  /// again.
  Result<void> stop(const Error& cause) {
    failure_ =
        Error{cause.code, fmt::format("the state journal stopped after a failed write: {}", cause.message),
              "Repair the disk and start the program again; it then reads what is there."};
    return tl::unexpected<Error>(*failure_);
  }

  const std::filesystem::path directory_;
  const JournalLimits limits_;
  const FileLock lock_;

  // Of the writer's thread, once it runs.
  HighWater high_water_;
  std::unique_ptr<rocksdb::DB> database_;
  ChainEnd end_;
  std::optional<std::uint64_t> snapshot_at_;  // the record behind which the pieces of the last one stand
  std::optional<Snapshot> snapshot_;
  std::optional<Error> failure_;

  std::mutex mutex_;
  std::condition_variable wake_writer_;
  std::deque<Waiting> queue_;  // guarded by mutex_, as the next four
  std::size_t waiting_records_ = 0;
  std::size_t waiting_bytes_ = 0;
  bool closing_ = false;
  Recovered recovered_;

  std::atomic<std::uint64_t> bytes_since_snapshot_;
  std::atomic<std::uint64_t> needed_bytes_ = 0;  ///< by what is being written
  std::thread writer_;                           // last, so that it starts when all else is there
};

/// Opens the mark, or makes it when neither it nor a database exists.
Result<HighWater> open_mark(const std::filesystem::path& directory, bool has_records) {
  const std::filesystem::path file = directory / "HIGH_WATER";
  std::error_code error;
  if (std::filesystem::exists(file, error)) {
    auto mark = HighWater::open(file);
    if (mark && mark->mark().seq > 0 && !has_records)
      return fail_with_damage(
          fmt::format("the state journal's database {} is missing: {} records were acknowledged",
                      (directory / "db").string(), mark->mark().seq));
    return mark;
  }
  if (has_records)
    return fail_with_damage(
        fmt::format("{} is missing, though the state journal's database is there", file.string()));
  return HighWater::create(file);
}

Result<OpenJournal> open_parts(const std::filesystem::path& directory, const JournalLimits& limits) {
  const std::filesystem::path database_directory = directory / "db";
  auto lock = FileLock::acquire(directory / "LOCK");
  if (!lock) return tl::unexpected<Error>(lock.error());
  const auto exists = has_database(database_directory);
  if (!exists) return tl::unexpected<Error>(exists.error());
  auto high_water = open_mark(directory, *exists);
  if (!high_water) return tl::unexpected<Error>(high_water.error());
  VerifiedChain chain;
  if (*exists) {
    auto database = open_database_read_only(database_directory, limits.database);
    if (!database) return tl::unexpected<Error>(database.error());
    auto verified = verify_chain(**database, high_water->mark(), database_directory);
    if (!verified) return tl::unexpected<Error>(verified.error());
    chain = std::move(*verified);
  }
  auto database = open_database(database_directory, limits.database);
  if (!database) return tl::unexpected<Error>(database.error());
  const auto end = read_chain_end(**database, database_directory);
  if (!end) return tl::unexpected<Error>(end.error());
  if (*end != chain.end)
    return fail_with_damage(
        fmt::format("the state journal in {} changed when it was opened: record {} became {}",
                    database_directory.string(), chain.end.seq, end->seq));
  for (const std::uint64_t cut : chain.unfinished) {
    if (const auto status = delete_pieces(**database, cut); !status.ok())
      return fail_with_status(status, "cannot write the state journal in", database_directory);
  }
  return OpenJournal{std::move(*lock), std::move(*high_water), std::move(*database), std::move(chain)};
}

}  // namespace

Result<std::unique_ptr<StateJournal>> open_journal(const std::filesystem::path& directory,
                                                   const JournalLimits& limits) {
  auto made = make_directory(directory);
  if (!made) return tl::unexpected<Error>(made.error());
  auto parts = open_parts(directory, limits);
  if (!parts) return tl::unexpected<Error>(parts.error());
  return std::make_unique<RocksJournal>(directory, limits, std::move(*parts));
}

Result<std::unique_ptr<StateJournal>> StateJournal::open(const std::filesystem::path& directory) {
  return open_journal(directory, JournalLimits{});
}

}  // namespace ds::storage
