#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <numeric>
#include <optional>
#include <random>
#include <thread>

#include "storage/codec/wire.hpp"
#include "storage/state/journal.hpp"
#include "storage/state/journal_limits.hpp"
#include "storage/state/journal_record.hpp"
#include "storage/state/snapshot_pieces.hpp"
#include "stored_example.hpp"
#include "tests/unit/temporary_folder.hpp"

using ds::ErrorCode;
using ds::Result;
using ds::storage::JournalLimits;
using ds::storage::StateJournal;

namespace {

using Events = std::vector<std::string>;

std::unique_ptr<StateJournal> open_or_throw(const std::filesystem::path& directory,
                                            const JournalLimits& limits = {}) {
  auto journal = ds::storage::open_journal(directory, limits);
  if (!journal) throw std::runtime_error(journal.error().message);
  return std::move(*journal);
}

/// A file whose `Sync` fails once the switch is thrown.
class FailingFile final : public rocksdb::WritableFileWrapper {
 public:
  FailingFile(std::unique_ptr<rocksdb::WritableFile> file, const std::atomic<bool>& failing)
      : rocksdb::WritableFileWrapper(file.get()), file_(std::move(file)), failing_(failing) {}
  rocksdb::Status Sync() override {
    return failing_ ? rocksdb::Status::IOError("the disk says no") : rocksdb::WritableFileWrapper::Sync();
  }
  rocksdb::Status Fsync() override { return Sync(); }

 private:
  std::unique_ptr<rocksdb::WritableFile> file_;
  const std::atomic<bool>& failing_;
};

class FailingDisk final : public rocksdb::EnvWrapper {
 public:
  FailingDisk() : rocksdb::EnvWrapper(rocksdb::Env::Default()) {}
  const char* Name() const override { return "FailingDisk"; }
  rocksdb::Status NewWritableFile(const std::string& name, std::unique_ptr<rocksdb::WritableFile>* file,
                                  const rocksdb::EnvOptions& options) override {
    const rocksdb::Status status = rocksdb::EnvWrapper::NewWritableFile(name, file, options);
    if (status.ok()) *file = std::make_unique<FailingFile>(std::move(*file), failing);
    return status;
  }
  std::atomic<bool> failing = false;
};

}  // namespace

TEST(StateJournal, StartsEmptyAndRecoversWhatWasAppended) {
  const TemporaryFolder folder;
  {
    const auto journal = open_or_throw(folder.path() / "journal");
    EXPECT_TRUE(journal->take_recovered().snapshot.empty());
    ASSERT_TRUE(append_and_wait(*journal, {"a", ""}));
    ASSERT_TRUE(append_and_wait(*journal, {std::string("\0\n\xFF", 3)}));
  }
  const auto journal = open_or_throw(folder.path() / "journal");
  const StateJournal::Recovered recovered = journal->take_recovered();
  EXPECT_TRUE(recovered.snapshot.empty());
  EXPECT_EQ(recovered.events, (Events{"a", "", std::string("\0\n\xFF", 3)}));
  EXPECT_TRUE(journal->take_recovered().events.empty());
}

TEST(StateJournal, GivesUpASnapshotForWhichThereIsNoRoomAndKeepsItsEvents) {
  const TemporaryFolder folder;
  std::atomic<std::uint64_t> free_bytes{1'000'000};
  JournalLimits limits;
  limits.reserve_bytes = 100'000;
  limits.least_bytes = 0;
  limits.require_free = [&](const std::filesystem::path&, std::uint64_t needed) -> Result<void> {
    if (needed > free_bytes) return ds::fail(ErrorCode::resource_exhausted, "the disk is full");
    return {};
  };
  {
    const auto journal = open_or_throw(folder.path(), limits);
    ASSERT_TRUE(append_and_wait(*journal, {"1"}));
    const auto refused = compact_and_wait(*journal, {"small", true, false, 500'000});
    ASSERT_FALSE(refused) << "all of it would not have room";
    EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
    ASSERT_TRUE(compact_and_wait(*journal, {"first", true, false, 5}));
    free_bytes = 100'000;
    EXPECT_EQ(compact_and_wait(*journal, {"second", false, false}).error().code,
              ErrorCode::resource_exhausted);
    EXPECT_FALSE(compact_and_wait(*journal, {"third", false, true})) << "what it belongs to is gone";
    ASSERT_TRUE(append_and_wait(*journal, {"2"}));
  }
  const auto recovered = open_or_throw(folder.path())->take_recovered();
  EXPECT_TRUE(recovered.snapshot.empty());
  EXPECT_EQ(recovered.events, (Events{"1", "2"}));
}

TEST(StateJournal, ReportsEachAppendOnceInOrderAlsoWhenItCloses) {
  const TemporaryFolder folder;
  constexpr int kAppends = 5000;
  std::vector<int> reported;
  {
    const auto journal = open_or_throw(folder.path());
    for (int i = 0; i < kAppends; ++i)
      journal->append({std::to_string(i)}, [&reported, i](const Result<void>& outcome) {
        if (outcome) reported.push_back(i);
      });
  }
  std::vector<int> expected(kAppends);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(reported, expected);
  EXPECT_EQ(open_or_throw(folder.path())->take_recovered().events.size(), static_cast<std::size_t>(kAppends));
}

TEST(StateJournal, TakesAppendsFromSeveralThreadsAndFromItsCallbacks) {
  const TemporaryFolder folder;
  {
    const auto journal = open_or_throw(folder.path());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&journal] {
        for (int i = 0; i < 100; ++i)
          journal->append({"outer"},
                          [&journal](const Result<void>&) { journal->append({"inner"}, nullptr); });
      });
    for (std::thread& thread : threads) thread.join();
    // The callbacks of all outer events have run when an event that was appended after them is durable.
    ASSERT_TRUE(append_and_wait(*journal, {"last"}));
  }
  EXPECT_EQ(open_or_throw(folder.path())->take_recovered().events.size(), 801U);
}

TEST(StateJournal, IsHeldByOneAtATime) {
  const TemporaryFolder folder;
  const auto journal = open_or_throw(folder.path());
  const auto second = StateJournal::open(folder.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos)
      << second.error().message;
}

TEST(StateJournal, TakesEventsButNoSnapshotBelowTheDiskReserve) {
  const TemporaryFolder folder;
  const auto journal = open_or_throw(folder.path(), {.reserve_bytes = 1ULL << 60});
  const auto room = journal->check_room();
  ASSERT_FALSE(room);
  EXPECT_EQ(room.error().code, ErrorCode::resource_exhausted);
  EXPECT_NE(room.error().message.find(folder.path().string()), std::string::npos) << room.error().message;
  EXPECT_TRUE(journal->check_progress());
  EXPECT_TRUE(append_and_wait(*journal, {"what runs ends"}));
  std::promise<Result<void>> compacted;
  journal->compact({"a snapshot"}, [&](Result<void> outcome) { compacted.set_value(std::move(outcome)); });
  const auto refused = compacted.get_future().get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(append_and_wait(*journal, {"and goes on"}));
}

TEST(StateJournal, LetsEventsWaitWhileTheDiskIsFullAndWritesThemInOrderWhenThereIsRoom) {
  const TemporaryFolder folder;
  std::atomic<bool> is_full{true};
  JournalLimits limits;
  limits.look_again = std::chrono::milliseconds(5);
  limits.require_free = [&](const std::filesystem::path&, std::uint64_t) -> Result<void> {
    if (is_full) return ds::fail(ErrorCode::resource_exhausted, "the disk is full");
    return {};
  };
  std::vector<std::string> durable;
  std::promise<void> last;
  const auto note = [&](const char* name) {
    return [&durable, &last, name](const Result<void>& outcome) {
      EXPECT_TRUE(outcome) << outcome.error().message;
      durable.emplace_back(name);
      if (durable.size() == 2) last.set_value();
    };
  };
  {
    const auto journal = open_or_throw(folder.path() / "journal", limits);
    const auto progress = journal->check_progress();
    ASSERT_FALSE(progress);
    EXPECT_EQ(progress.error().code, ErrorCode::resource_exhausted);
    journal->append({"first"}, note("first"));
    journal->append({"second"}, note("second"));
    auto written = last.get_future();
    EXPECT_EQ(written.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
    is_full = false;
    ASSERT_EQ(written.wait_for(std::chrono::seconds(60)), std::future_status::ready);
    EXPECT_EQ(durable, (std::vector<std::string>{"first", "second"}));
    EXPECT_TRUE(journal->check_progress());
  }
  const auto journal = open_or_throw(folder.path() / "journal");
  EXPECT_EQ(journal->take_recovered().events, (std::vector<std::string>{"first", "second"}));
}

TEST(StateJournal, ThatIsClosedWhileTheDiskIsFullHasWrittenNothingMore) {
  const TemporaryFolder folder;
  std::optional<ErrorCode> told;
  {
    const auto journal = open_or_throw(folder.path(), {.least_bytes = 1ULL << 60});
    journal->append({"never"}, [&](const Result<void>& outcome) {
      told = outcome ? ErrorCode::internal : outcome.error().code;
    });
  }
  EXPECT_EQ(told, ErrorCode::resource_exhausted);
  EXPECT_TRUE(open_or_throw(folder.path())->take_recovered().events.empty());
}

TEST(StateJournal, RefusesWhatWaitsBeyondItsBoundButKeepsTheOrder) {
  const TemporaryFolder folder;
  const auto journal = open_or_throw(folder.path(), {.max_waiting_records = 3});
  std::promise<void> entered;
  std::promise<void> go_on;
  journal->append({"holds the writer"}, [&](const Result<void>&) {
    entered.set_value();
    go_on.get_future().wait();
  });
  entered.get_future().wait();
  std::vector<ErrorCode> codes;
  std::promise<void> done;
  for (int i = 0; i < 5; ++i)
    journal->append({std::to_string(i)}, [&](const Result<void>& outcome) {
      codes.push_back(outcome ? ErrorCode::internal : outcome.error().code);
      if (codes.size() == 5) done.set_value();
    });
  go_on.set_value();
  done.get_future().wait();
  const auto ok = ErrorCode::internal;
  const auto full = ErrorCode::resource_exhausted;
  EXPECT_EQ(codes, (std::vector<ErrorCode>{ok, ok, ok, full, full}));
  EXPECT_TRUE(append_and_wait(*journal, {"room again"}));
}

TEST(StateJournal, TakesEventsBesideASnapshotHoweverLargeThatIs) {
  const TemporaryFolder folder;
  JournalLimits limits;
  limits.max_waiting_bytes = 1000;
  const auto journal = open_or_throw(folder.path(), limits);
  std::promise<void> go_on, last;
  // The writer calls from its own thread: what follows waits until it may go on.
  journal->append({"first"}, [&](const Result<void>&) { go_on.get_future().wait(); });
  std::vector<bool> durable;
  journal->compact({std::string(5000, 's')},
                   [&](const Result<void>& outcome) { durable.push_back(outcome.has_value()); });
  journal->append({"second"}, [&](const Result<void>& outcome) {
    durable.push_back(outcome.has_value());
    last.set_value();
  });
  go_on.set_value();
  last.get_future().wait();
  EXPECT_EQ(durable, (std::vector<bool>{true, true}));
}

TEST(StateJournal, WritesASnapshotAlone) {
  const TemporaryFolder folder;
  FailingDisk disk;
  JournalLimits limits;
  limits.database.env = &disk;
  const auto journal = open_or_throw(folder.path(), limits);
  std::promise<void> go_on, last;
  journal->append({"first"}, [&](const Result<void>&) { go_on.get_future().wait(); });
  bool is_snapshot_there = false, is_event_there = true;
  journal->compact({"state"}, [&](const Result<void>& outcome) {
    is_snapshot_there = outcome.has_value();
    disk.failing = true;  // for what is written after it
  });
  journal->append({"second"}, [&](const Result<void>& outcome) {
    is_event_there = outcome.has_value();
    last.set_value();
  });
  go_on.set_value();
  last.get_future().wait();
  EXPECT_TRUE(is_snapshot_there);
  EXPECT_FALSE(is_event_there) << "it went with the snapshot";
}

TEST(StateJournal, RefusesEverythingAfterAFailedSync) {
  const TemporaryFolder folder;
  FailingDisk disk;
  JournalLimits limits;
  limits.database.env = &disk;
  {
    const auto journal = open_or_throw(folder.path(), limits);
    ASSERT_TRUE(append_and_wait(*journal, {"before"}));
    disk.failing = true;
    EXPECT_FALSE(append_and_wait(*journal, {"during"}));
    disk.failing = false;
    const auto later = append_and_wait(*journal, {"after"});
    ASSERT_FALSE(later);
    EXPECT_NE(later.error().message.find("the disk says no"), std::string::npos) << later.error().message;
  }
  const Events events = open_or_throw(folder.path())->take_recovered().events;
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.front(), "before");
  for (const std::string& event : events) EXPECT_NE(event, "after");
}

TEST(StateJournal, RefusesRecordsOfANewerFormat) {
  ds::storage::ChainEnd end;
  const Events payload = {"event"};
  std::string value = ds::storage::encode_next_record(end, ds::storage::JournalRecord::Kind::events, payload);
  const std::string key = ds::storage::to_record_key(1);
  ASSERT_TRUE(ds::storage::decode_record(key, value));
  value[0] = 2;
  EXPECT_EQ(ds::storage::decode_record(key, value).error().code, ErrorCode::data_loss);
  const std::string newer =
      ds::storage::seal(key, value.substr(0, value.size() - sizeof(ds::storage::Sha256)));
  EXPECT_EQ(ds::storage::decode_record(key, newer).error().code, ErrorCode::unsupported);
}
