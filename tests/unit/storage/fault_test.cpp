#include <gtest/gtest.h>

#include <fstream>

#include "damage.hpp"
#include "probe.hpp"
#include "stored_example.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace fs = std::filesystem;
using ds::ErrorCode;
using ds::storage::CheckpointStore;
using ds::storage::StateJournal;

TEST(StateJournal, RecoversOrRefusesAfterAnyFileWasDamaged) {
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "journal";
  write_example_journal(original);
  expect_no_silent_damage(original, "judge-journal", list_damages(original, 5));
}

TEST(StateJournal, RefusesWhenItsWholeDatabaseIsGone) {
  const TemporaryFolder folder;
  write_example_journal(folder.path());
  fs::remove_all(folder.path() / "db");
  const auto journal = StateJournal::open(folder.path());
  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().code, ErrorCode::data_loss);
  EXPECT_NE(journal.error().message.find((folder.path() / "db").string()), std::string::npos);
}

TEST(StateJournal, RefusesAJournalWhoseTailWasLost) {
  const TemporaryFolder folder;
  write_example_journal(folder.path());
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.path() / "db"))
    if (entry.path().extension() == ".log") fs::resize_file(entry.path(), entry.file_size() / 2);
  const auto journal = StateJournal::open(folder.path());
  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().code, ErrorCode::data_loss);
  EXPECT_NE(journal.error().message.find("lost records"), std::string::npos) << journal.error().message;
}

TEST(StateJournal, RefusesAnOlderCopyOfItsDatabase) {
  const TemporaryFolder folder;
  const fs::path live = folder.path() / "live";
  {
    auto journal = StateJournal::open(live);
    ASSERT_TRUE(journal) << journal.error().message;
    ASSERT_TRUE(append_and_wait(**journal, {"first"}));
  }
  fs::copy(live / "db", folder.path() / "old", fs::copy_options::recursive);
  {
    auto journal = StateJournal::open(live);
    ASSERT_TRUE(journal) << journal.error().message;
    ASSERT_TRUE(append_and_wait(**journal, {"second"}));
  }
  fs::remove_all(live / "db");
  fs::rename(folder.path() / "old", live / "db");
  const auto journal = StateJournal::open(live);
  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().code, ErrorCode::data_loss);
}

TEST(StateJournal, OpensADatabaseThatIsAheadOfItsMark) {
  const TemporaryFolder folder;
  const fs::path mark = folder.path() / "HIGH_WATER";
  const fs::path old_mark = folder.path() / "old";
  {
    auto journal = StateJournal::open(folder.path());
    ASSERT_TRUE(journal) << journal.error().message;
    ASSERT_TRUE(append_and_wait(**journal, {"first"}));
    fs::copy_file(mark, old_mark);
    ASSERT_TRUE(append_and_wait(**journal, {"second"}));
    ASSERT_TRUE(append_and_wait(**journal, {"third"}));
  }
  fs::copy_file(old_mark, mark, fs::copy_options::overwrite_existing);
  auto journal = StateJournal::open(folder.path());
  ASSERT_TRUE(journal) << journal.error().message;
  EXPECT_EQ((*journal)->take_recovered().events, (std::vector<std::string>{"first", "second", "third"}));
}

TEST(StateJournal, KeepsEveryAcknowledgedEventWhenItsProcessIsKilled) {
  const TemporaryFolder folder;
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 6; ++round) {
    Probe writer({"append", folder.path().string()});
    for (int i = 0; i < 40 + 17 * round; ++i) {
      const auto line = writer.read_line();
      ASSERT_TRUE(line) << "the writer ended by itself";
      ASSERT_EQ(line->find("refused"), std::string::npos) << *line;
      acknowledged = std::stoull(*line);
    }
    writer.kill();
    while (const auto line = writer.read_line()) acknowledged = std::stoull(*line);
    auto journal = StateJournal::open(folder.path());
    ASSERT_TRUE(journal) << journal.error().message;
    const auto events = (*journal)->take_recovered().events;
    ASSERT_GE(events.size(), acknowledged);
    for (std::size_t i = 0; i < events.size(); ++i) ASSERT_EQ(events[i], "event " + std::to_string(i + 1));
  }
}

TEST(CheckpointStore, RecoversOrRefusesAfterAnyFileWasDamaged) {
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "checkpoints";
  write_example_checkpoints(original);
  expect_no_silent_damage(original, "judge-checkpoints", list_damages(original, 5));
}

TEST(CheckpointStore, RefusesWhenItsWholeDatabaseIsGone) {
  const TemporaryFolder folder;
  write_example_checkpoints(folder.path());
  fs::remove_all(folder.path() / "db");
  const auto store = CheckpointStore::open(folder.path());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::data_loss);
  EXPECT_NE(store.error().message.find((folder.path() / "db").string()), std::string::npos);
}

TEST(CheckpointStore, KeepsEveryCommittedVersionWhenItsProcessIsKilled) {
  const TemporaryFolder folder;
  std::uint64_t committed = 0;
  for (int round = 0; round < 5; ++round) {
    Probe writer({"save", folder.path().string()});
    for (int i = 0; i < 3 + 2 * round; ++i) {
      const auto line = writer.read_line();
      ASSERT_TRUE(line) << "the writer ended by itself";
      ASSERT_EQ(line->find("refused"), std::string::npos) << *line;
      committed = std::stoull(*line);
    }
    writer.kill();
    while (const auto line = writer.read_line()) committed = std::stoull(*line);
    const auto store = CheckpointStore::open(folder.path());
    ASSERT_TRUE(store) << store.error().message;
    const auto entries = (*store)->list("killed");
    ASSERT_TRUE(entries);
    ASSERT_GE(entries->back().step, committed);
    for (const auto& entry : *entries) {
      const auto checkpoint = (*store)->load("killed", entry.step);
      ASSERT_TRUE(checkpoint) << checkpoint.error().message;
      EXPECT_EQ(compare_with_example(*checkpoint, "killed"), "");
    }
  }
}
