#include "storage/state/journal.hpp"

#include <fmt/format.h>
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

namespace ds::storage {

namespace {

std::size_t count_bytes(const std::vector<std::string>& payload) {
  std::size_t bytes = 0;
  for (const std::string& item : payload) bytes += item.size();
  return bytes;
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
    enqueue({JournalRecord::Kind::events, std::move(events), std::move(on_durable), false});
  }

  void compact(std::string snapshot, OnDurable on_durable) override {
    std::vector<std::string> payload;
    payload.push_back(std::move(snapshot));
    enqueue({JournalRecord::Kind::snapshot, std::move(payload), std::move(on_durable), false});
  }

  Result<void> check_room() const override { return limits_.require_free(directory_, limits_.reserve_bytes); }
  Result<void> check_progress() const override {
    return limits_.require_free(directory_, limits_.least_bytes + needed_bytes_);
  }

  std::uint64_t bytes_since_snapshot() const override { return bytes_since_snapshot_; }

 private:
  struct Waiting {
    JournalRecord::Kind kind;
    std::vector<std::string> payload;
    OnDurable on_durable;
    bool refused;  // too many waited when it came; it keeps its place so that the calls come in order
  };

  /// A snapshot, of which whoever makes them has one at a time, must not make events be refused.
  static std::size_t counted_bytes(const Waiting& record) {
    return record.kind == JournalRecord::Kind::snapshot ? 0 : count_bytes(record.payload);
  }

  void enqueue(Waiting record) {
    {
      const std::lock_guard guard(mutex_);
      const std::size_t bytes = counted_bytes(record);
      record.refused = waiting_records_ >= limits_.max_waiting_records ||
                       (waiting_records_ > 0 && waiting_bytes_ + bytes > limits_.max_waiting_bytes);
      if (record.refused) {
        record.payload = {};
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

  /// Waits for records; nothing comes only when the journal closes and all was written. A snapshot comes
  /// alone: where there is no room for it there may be for events.
  std::vector<Waiting> take_group() {
    std::unique_lock guard(mutex_);
    wake_writer_.wait(guard, [this] { return closing_ || !queue_.empty(); });
    std::vector<Waiting> group;
    std::size_t bytes = 0;
    const auto is_snapshot = [](const Waiting& one) { return one.kind == JournalRecord::Kind::snapshot; };
    while (!queue_.empty() && (group.empty() || bytes < limits_.max_commit_bytes)) {
      if (!group.empty() && (is_snapshot(group.back()) || is_snapshot(queue_.front()))) break;
      bytes += counted_bytes(queue_.front());
      if (!queue_.front().refused) --waiting_records_;
      group.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    waiting_bytes_ -= bytes;
    return group;
  }

  void commit_and_report(std::vector<Waiting>& group) {
    const Result<void> outcome = commit(group);
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
      const std::string value = encode_next_record(end, record.kind, record.payload);
      rocksdb::Status status;
      if (record.kind == JournalRecord::Kind::snapshot) {
        status = batch.DeleteRange(to_record_key(0), to_record_key(end.seq));
        bytes_since_snapshot = 0;
      } else {
        bytes_since_snapshot += count_bytes(record.payload);
      }
      if (status.ok()) status = batch.Put(to_record_key(end.seq), value);
      if (!status.ok())
        return fail_with_status(status, "cannot prepare a record of the state journal in", directory_);
    }
    if (end == end_) return {};
    // The log and later the table hold the batch, so it may need its size twice.
    const std::uint64_t needed = 2 * batch.GetDataSize();
    const bool is_snapshot = group.front().kind == JournalRecord::Kind::snapshot;
    auto room = is_snapshot ? limits_.require_free(directory_, limits_.reserve_bytes + needed)
                            : wait_for_room(needed);
    if (!room) return room;
    rocksdb::WriteOptions options;
    options.sync = true;
    const rocksdb::Status status = database_->Write(options, &batch);
    if (!status.ok())
      return stop(fail_with_status(status, "cannot write the state journal in", directory_).value());
    end_ = end;
    bytes_since_snapshot_ = bytes_since_snapshot;
    // These records are durable whatever becomes of the mark; without marks, though, later losses would go
    // unnoticed.
    const auto raised = high_water_.raise(end_);
    if (!raised) (void)stop(raised.error());
    return {};
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
