// What is left of a journal's events once a snapshot has taken their place, whole or in pieces.
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>

#include "storage/state/journal.hpp"
#include "storage/state/journal_limits.hpp"
#include "storage/state/journal_record.hpp"
#include "storage/state/snapshot_pieces.hpp"
#include "stored_example.hpp"
#include "tests/unit/temporary_folder.hpp"

using ds::ErrorCode;
using ds::Result;
using ds::storage::StateJournal;

namespace {

using Events = std::vector<std::string>;

std::unique_ptr<StateJournal> open_or_throw(const std::filesystem::path& directory) {
  auto journal = ds::storage::open_journal(directory, {});
  if (!journal) throw std::runtime_error(journal.error().message);
  return std::move(*journal);
}

}  // namespace

TEST(StateJournal, ReplacesEventsByASnapshot) {
  const TemporaryFolder folder;
  {
    const auto journal = open_or_throw(folder.path());
    ASSERT_TRUE(append_and_wait(*journal, {"old event"}));
    EXPECT_EQ(journal->bytes_since_snapshot(), 9U);
    ASSERT_TRUE(compact_and_wait(*journal, {"state"}));
    EXPECT_EQ(journal->bytes_since_snapshot(), 0U);
    ASSERT_TRUE(append_and_wait(*journal, {"new"}));
  }
  const auto journal = open_or_throw(folder.path());
  EXPECT_EQ(journal->bytes_since_snapshot(), 3U);
  const StateJournal::Recovered recovered = journal->take_recovered();
  EXPECT_EQ(recovered.snapshot, Events{"state"});
  EXPECT_EQ(recovered.events, Events{"new"});
}

TEST(StateJournal, CommitsASnapshotAmongWaitingEventsAtItsPlace) {
  const TemporaryFolder folder;
  {
    const auto journal = open_or_throw(folder.path());
    journal->append({"1"}, nullptr);
    journal->append({"2"}, nullptr);
    journal->compact({"1+2"}, nullptr);
    journal->append({"3"}, nullptr);
  }
  const auto recovered = open_or_throw(folder.path())->take_recovered();
  EXPECT_EQ(recovered.snapshot, Events{"1+2"});
  EXPECT_EQ(recovered.events, Events{"3"});
}

TEST(StateJournal, TakesASnapshotInPiecesWithEventsInBetween) {
  const TemporaryFolder folder;
  {
    const auto journal = open_or_throw(folder.path());
    journal->append({"1"}, nullptr);
    journal->compact({"one", true, false}, nullptr);
    journal->append({"22"}, nullptr);
    journal->compact({"", false, false}, nullptr);
    journal->append({"3"}, nullptr);
    ASSERT_TRUE(append_and_wait(*journal, {"4"}));
    EXPECT_EQ(journal->bytes_since_snapshot(), 5U) << "it is not whole yet";
    ASSERT_TRUE(compact_and_wait(*journal, {"end", false, true}));
    EXPECT_EQ(journal->bytes_since_snapshot(), 4U);
  }
  const auto journal = open_or_throw(folder.path());
  EXPECT_EQ(journal->bytes_since_snapshot(), 4U);
  const auto recovered = journal->take_recovered();
  EXPECT_EQ(recovered.snapshot, (Events{"one", "", "end"}));
  EXPECT_EQ(recovered.events, (Events{"22", "3", "4"}));
  ASSERT_TRUE(compact_and_wait(*journal, {"another"}));
  ASSERT_TRUE(compact_and_wait(*journal, {"of the same"})) << "there is nothing that it would replace";
  EXPECT_EQ(journal->bytes_since_snapshot(), 0U);
}

TEST(StateJournal, BeginsWithASnapshotOfNothing) {
  const TemporaryFolder folder;
  {
    const auto journal = open_or_throw(folder.path());
    ASSERT_TRUE(compact_and_wait(*journal, {"no", true, false}));
    ASSERT_TRUE(compact_and_wait(*journal, {"thing", false, true}));
  }
  EXPECT_EQ(open_or_throw(folder.path())->take_recovered().snapshot, (Events{"no", "thing"}));
  {
    const auto journal = open_or_throw(folder.path());
    ASSERT_TRUE(append_and_wait(*journal, {"1"}));
  }
  const auto recovered = open_or_throw(folder.path())->take_recovered();
  EXPECT_EQ(recovered.snapshot, (Events{"no", "thing"}));
  EXPECT_EQ(recovered.events, Events{"1"});
}

TEST(StateJournal, ReadsASnapshotThatAnEarlierVersionWroteAsOneRecord) {
  const TemporaryFolder folder;
  ds::storage::ChainEnd end;
  const Events event{"old"}, state{"state"}, next{"new"};
  using Kind = ds::storage::JournalRecord::Kind;
  (void)ds::storage::encode_next_record(end, Kind::events, event);
  const auto snapshot = ds::storage::encode_next_record(end, Kind::snapshot, state);
  const auto later = ds::storage::encode_next_record(end, Kind::events, next);
  ASSERT_TRUE(open_or_throw(folder.path()));
  {
    rocksdb::DB* database = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, (folder.path() / "db").string(), &database).ok());
    const std::unique_ptr<rocksdb::DB> owner(database);
    ASSERT_TRUE(database->Put({}, ds::storage::to_record_key(2), snapshot).ok());
    ASSERT_TRUE(database->Put({}, ds::storage::to_record_key(3), later).ok());
  }
  const auto journal = open_or_throw(folder.path());
  const auto recovered = journal->take_recovered();
  EXPECT_EQ(recovered.snapshot, state);
  EXPECT_EQ(recovered.events, next);
  ASSERT_TRUE(compact_and_wait(*journal, {"as it is now"}));
}

namespace {

/// Names, sizes and times of all files below it; empty where one went meanwhile.
std::map<std::string, std::pair<std::uintmax_t, std::filesystem::file_time_type>> list_files(
    const std::filesystem::path& directory) {
  std::map<std::string, std::pair<std::uintmax_t, std::filesystem::file_time_type>> files;
  try {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
      if (entry.is_regular_file())
        files[entry.path().string()] = {entry.file_size(), entry.last_write_time()};
    }
  } catch (const std::filesystem::filesystem_error&) {
    return {};
  }
  return files;
}

/// The files as they are at one moment, though the database tidies up beside: until none has changed
/// meanwhile.
void copy_at_one_moment(const std::filesystem::path& from, const std::filesystem::path& to) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (true) {
    const auto before = list_files(from);
    std::error_code error;
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive, error);
    if (!error && !before.empty() && before == list_files(from)) return;
    if (std::chrono::steady_clock::now() > give_up) throw std::runtime_error("its files keep changing");
    std::filesystem::remove_all(to);
  }
}

/// What a journal holds, if the process is killed now.
StateJournal::Recovered recovered_after_kill(const std::filesystem::path& directory) {
  const TemporaryFolder folder;
  copy_at_one_moment(directory, folder.path() / "copy");
  auto recovered = open_or_throw(folder.path() / "copy")->take_recovered();
  // A second start after the first one finds the same.
  const auto again = open_or_throw(folder.path() / "copy")->take_recovered();
  EXPECT_EQ(again.snapshot, recovered.snapshot);
  EXPECT_EQ(again.events, recovered.events);
  return recovered;
}

}  // namespace

TEST(StateJournal, HoldsTheOldStateOrTheNewOneWhereverItsProcessDiesBetweenPieces) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const TemporaryFolder folder;
    auto journal = open_or_throw(folder.path());
    StateJournal::Recovered expected, next;  // what there is, and what there will be with the snapshot
    bool is_under_way = false;
    for (int i = 0; i < 60 && !HasFailure(); ++i) {
      const auto text = std::to_string(i) + std::string(random() % 3 == 0 ? random() % 300'000 : 9, 't');
      const auto what = random() % 10;
      if (what < 5) {
        ASSERT_TRUE(append_and_wait(*journal, {text, "e"}));
        for (auto* one : {&expected, &next}) one->events.insert(one->events.end(), {text, "e"});
      } else if (what < 9) {
        const bool is_first = !is_under_way || random() % 8 == 0, is_last = random() % 4 == 0;
        const bool is_needless = is_first && expected.events.empty() && !expected.snapshot.empty();
        if (is_needless) continue;
        if (is_first) next = {};
        next.snapshot.push_back(text);
        ASSERT_TRUE(compact_and_wait(*journal, {text, is_first, is_last}));
        is_under_way = !is_last;
        if (is_last) expected = next;
      } else {
        journal.reset();
        journal = open_or_throw(folder.path());
        is_under_way = false;
      }
      const auto recovered = recovered_after_kill(folder.path());
      ASSERT_EQ(recovered.snapshot, expected.snapshot) << "after step " << i;
      ASSERT_EQ(recovered.events, expected.events) << "after step " << i;
    }
  }
}

TEST(StateJournal, RefusesASnapshotOfWhichAPieceIsGoneOrIsAnothers) {
  const auto is_refused = [](const std::function<rocksdb::Status(rocksdb::DB&)>& damage) {
    const TemporaryFolder folder;
    {
      const auto journal = open_or_throw(folder.path());
      EXPECT_TRUE(append_and_wait(*journal, {"1"}));
      for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(compact_and_wait(*journal, {"piece " + std::to_string(i), i == 0, i == 2}));
      EXPECT_TRUE(append_and_wait(*journal, {"2"}));
    }
    {
      rocksdb::DB* database = nullptr;
      EXPECT_TRUE(rocksdb::DB::Open({}, (folder.path() / "db").string(), &database).ok());
      const std::unique_ptr<rocksdb::DB> owner(database);
      EXPECT_TRUE(damage(*database).ok());
    }
    const auto opened = StateJournal::open(folder.path());
    EXPECT_FALSE(opened);
    if (opened) return;
    EXPECT_EQ(opened.error().code, ErrorCode::data_loss);
    EXPECT_NE(opened.error().message.find(folder.path().string()), std::string::npos)
        << opened.error().message;
  };
  for (const std::uint64_t piece : {0U, 1U, 2U}) {
    const auto key = ds::storage::to_piece_key(1, piece);
    is_refused([&](rocksdb::DB& database) { return database.Delete({}, key); });
    is_refused([&](rocksdb::DB& database) { return database.Put({}, key, "damaged"); });
    // Sealed, but not the one that was written there.
    ds::storage::SnapshotIndex other{{1, {}}, piece, {}};
    is_refused([&](rocksdb::DB& database) {
      return database.Put({}, key, ds::storage::encode_next_piece(other, "of another journal"));
    });
  }
  is_refused([](rocksdb::DB& database) { return database.Delete({}, ds::storage::to_record_key(1)); });
}
