#include "storage/checkpoint/checkpoint_store.hpp"

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <thread>

#include "storage/checkpoint/checkpoint_limits.hpp"
#include "storage/checkpoint/manifest.hpp"
#include "stored_example.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace fs = std::filesystem;
using namespace ds::storage;
using ds::ErrorCode;

namespace {

std::unique_ptr<CheckpointStore> open_or_throw(const fs::path& directory,
                                               const CheckpointLimits& limits = {}) {
  auto store = open_checkpoint_store(directory, limits);
  if (!store) throw std::runtime_error(store.error().message);
  return std::move(*store);
}

ds::Result<void> save_tensor(CheckpointStore& store, const std::string& job, std::uint64_t step,
                             double accuracy, const std::vector<std::byte>& tensor) {
  const std::vector<NamedBytes> tensors = {{"tensor", tensor}};
  return store.save(job, {step, 0, 1, {{"accuracy", accuracy}}}, "", tensors);
}

std::vector<std::uint64_t> steps_of(const CheckpointStore& store, const std::string& job) {
  std::vector<std::uint64_t> steps;
  const auto entries = store.list(job).value();
  for (const CheckpointEntry& entry : entries) steps.push_back(entry.step);
  return steps;
}

std::size_t count_keys(const fs::path& directory, const std::string& prefix) {
  rocksdb::DB* opened = nullptr;
  if (!rocksdb::DB::OpenForReadOnly({}, (directory / "db").string(), &opened).ok())
    throw std::runtime_error("open");
  const std::unique_ptr<rocksdb::DB> database(opened);
  const std::unique_ptr<rocksdb::Iterator> at(database->NewIterator({}));
  std::size_t count = 0;
  for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) ++count;
  return count;
}

/// Changes the database of a closed store behind the store's back.
void edit(const fs::path& directory, const std::function<void(rocksdb::DB&)>& change) {
  rocksdb::DB* opened = nullptr;
  if (!rocksdb::DB::Open({}, (directory / "db").string(), &opened).ok()) throw std::runtime_error("open");
  const std::unique_ptr<rocksdb::DB> database(opened);
  change(*database);
}

void overwrite_chunk(const fs::path& directory, const std::vector<std::byte>& chunk) {
  const std::string key = to_chunk_key(sha256({reinterpret_cast<const char*>(chunk.data()), chunk.size()}));
  edit(directory, [&](rocksdb::DB& database) { ASSERT_TRUE(database.Put({}, key, "something else").ok()); });
}

}  // namespace

TEST(CheckpointStore, GivesBackWhatWasSavedAlsoAfterReopening) {
  const TemporaryFolder folder;
  {
    const auto store = open_or_throw(folder.path());
    ASSERT_TRUE(save_example(*store, "job-1", 10));
    EXPECT_EQ(compare_with_example(store->load("job-1", 10).value(), "job-1"), "");
  }
  const auto store = open_or_throw(folder.path());
  EXPECT_EQ(compare_with_example(store->load("job-1", 10).value(), "job-1"), "");
  EXPECT_EQ(store->list("job-1").value().front(), store->load("job-1", 10).value().entry);
}

TEST(CheckpointStore, KnowsAbsenceFromDamage) {
  const TemporaryFolder folder;
  const auto store = open_or_throw(folder.path());
  EXPECT_TRUE(store->list("nobody").value().empty());
  EXPECT_FALSE(store->load_newest("nobody", nullptr).value());
  EXPECT_EQ(store->load("nobody", 1).error().code, ErrorCode::not_found);
  EXPECT_TRUE(store->remove("nobody"));
  EXPECT_TRUE(store->prune("nobody", {}));
}

TEST(CheckpointStore, RefusesJobsThatAreNoIdentifiers) {
  const TemporaryFolder folder;
  const auto store = open_or_throw(folder.path());
  for (const std::string job : {"", "../x", "a/b", "Upper", ".hidden", "-x", "a b", "a\n"}) {
    EXPECT_EQ(save_example(*store, job, 1).error().code, ErrorCode::invalid_argument) << job;
    EXPECT_EQ(store->list(job).error().code, ErrorCode::invalid_argument) << job;
  }
  EXPECT_EQ(store->list(std::string(128, 'a')).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(store->list(std::string(127, 'a')));
}

TEST(CheckpointStore, RefusesTwoTensorsOfOneName) {
  const TemporaryFolder folder;
  const auto store = open_or_throw(folder.path());
  const std::vector<NamedBytes> tensors = {{"w", {}}, {"w", {}}};
  EXPECT_EQ(store->save("job", {}, "", tensors).error().code, ErrorCode::invalid_argument);
}

TEST(CheckpointStore, StoresEqualChunksOnce) {
  const TemporaryFolder folder;
  {
    const auto store = open_or_throw(folder.path());
    const auto tensor = make_tensor(1, 2 * kChunkBytes + 1);
    for (const char* job : {"a", "b"})
      for (std::uint64_t step = 1; step <= 2; ++step) ASSERT_TRUE(save_tensor(*store, job, step, 0, tensor));
    const std::vector<std::byte> zeros(4 * kChunkBytes);
    ASSERT_TRUE(save_tensor(*store, "a", 3, 0, zeros));
    EXPECT_EQ(store->load("a", 3).value().tensors.front().second, zeros);
  }
  EXPECT_EQ(count_keys(folder.path(), "c/"), 3U + 1U);
  EXPECT_EQ(count_keys(folder.path(), "p/"), 0U);
}

TEST(CheckpointStore, ReplacesAStepThatIsSavedAgain) {
  const TemporaryFolder folder;
  {
    const auto store = open_or_throw(folder.path());
    ASSERT_TRUE(save_tensor(*store, "job", 1, 0.1, make_tensor(1, 100)));
    ASSERT_TRUE(save_tensor(*store, "job", 1, 0.2, make_tensor(2, 100)));
  }
  {
    const auto store = open_or_throw(folder.path());
    EXPECT_EQ(store->load("job", 1).value().tensors.front().second, make_tensor(2, 100));
    EXPECT_EQ(store->list("job").value().front().metrics.at("accuracy"), 0.2);
  }
  EXPECT_EQ(count_keys(folder.path(), "c/"), 1U);
}

TEST(CheckpointStore, PrunesVersionsAndTheChunksOfNobodyElse) {
  const TemporaryFolder folder;
  {
    const auto store = open_or_throw(folder.path());
    for (std::uint64_t step = 1; step <= 6; ++step)
      ASSERT_TRUE(save_tensor(*store, "job", step, step == 2 ? 0.9 : 0.5, make_tensor(step, 1000)));
    ASSERT_TRUE(save_tensor(*store, "other", 1, 0, make_tensor(1, 1000)));
    ASSERT_TRUE(store->prune("job", {.keep_last = 2, .keep_best = 1, .best_metric = "accuracy"}));
    EXPECT_EQ(steps_of(*store, "job"), (std::vector<std::uint64_t>{2, 5, 6}));
    EXPECT_EQ(store->load("job", 2).value().tensors.front().second, make_tensor(2, 1000));
    EXPECT_TRUE(store->load("other", 1));
  }
  EXPECT_EQ(count_keys(folder.path(), "c/"), 4U);
  {
    const auto store = open_or_throw(folder.path());
    EXPECT_EQ(steps_of(*store, "job"), (std::vector<std::uint64_t>{2, 5, 6}));
    ASSERT_TRUE(store->remove("job"));
    EXPECT_TRUE(steps_of(*store, "job").empty());
  }
  EXPECT_EQ(count_keys(folder.path(), "c/"), 1U);
  EXPECT_TRUE(fs::exists(folder.path() / "marks" / "other.mark"));
  EXPECT_FALSE(fs::exists(folder.path() / "marks" / "job.mark"));
}

TEST(CheckpointStore, FallsBackToTheNewestVersionThatIsWhole) {
  const TemporaryFolder folder;
  {
    const auto store = open_or_throw(folder.path());
    for (std::uint64_t step = 1; step <= 3; ++step)
      ASSERT_TRUE(save_tensor(*store, "job", step, 0, make_tensor(step, 50)));
  }
  overwrite_chunk(folder.path(), make_tensor(3, 50));
  {
    const auto store = open_or_throw(folder.path());
    std::vector<ds::Error> skipped;
    EXPECT_EQ(store->load_newest("job", &skipped).value()->entry.step, 2U);
    ASSERT_EQ(skipped.size(), 1U);
    EXPECT_EQ(skipped.front().code, ErrorCode::data_loss);
    EXPECT_NE(skipped.front().message.find((folder.path() / "db").string()), std::string::npos);
  }
  overwrite_chunk(folder.path(), make_tensor(1, 50));
  overwrite_chunk(folder.path(), make_tensor(2, 50));
  EXPECT_EQ(open_or_throw(folder.path())->load_newest("job", nullptr).error().code, ErrorCode::data_loss);
}

TEST(CheckpointStore, HealsADamagedChunkThatIsSavedAgain) {
  const TemporaryFolder folder;
  const auto tensor = make_tensor(1, 50);
  ASSERT_TRUE(save_tensor(*open_or_throw(folder.path()), "job", 1, 0, tensor));
  overwrite_chunk(folder.path(), tensor);
  const auto store = open_or_throw(folder.path());
  EXPECT_FALSE(store->load("job", 1));
  ASSERT_TRUE(save_tensor(*store, "job", 2, 0, tensor));
  EXPECT_EQ(store->load("job", 2).value().tensors.front().second, tensor);
  EXPECT_TRUE(store->load("job", 1));
}

TEST(CheckpointStore, NoticesThatTheDatabaseLostAVersionAndTakesTheHintToGoOn) {
  const TemporaryFolder folder;
  for (std::uint64_t step = 1; step <= 2; ++step)
    ASSERT_TRUE(save_tensor(*open_or_throw(folder.path()), "job", step, 0, make_tensor(step, 50)));
  edit(folder.path(),
       [](rocksdb::DB& database) { ASSERT_TRUE(database.Delete({}, to_manifest_key("job", 2)).ok()); });
  const auto refused = CheckpointStore::open(folder.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::data_loss);
  EXPECT_NE(refused.error().message.find((folder.path() / "db").string() + " lost checkpoint 2 of job"),
            std::string::npos)
      << refused.error().message;
  const fs::path mark = folder.path() / "marks" / "job.mark";
  ASSERT_NE(refused.error().hint.find("delete " + mark.string()), std::string::npos);
  fs::remove(mark);
  EXPECT_EQ(open_or_throw(folder.path())->load_newest("job", nullptr).value()->entry.step, 1U);
}

TEST(CheckpointStore, CollectsChunksOfASaveThatNeverCameToItsCommit) {
  const TemporaryFolder folder;
  ASSERT_TRUE(save_tensor(*open_or_throw(folder.path()), "job", 1, 0, make_tensor(1, 50)));
  // What a process leaves that dies between its chunks and its manifest: one chunk of its own, one that a
  // version shares.
  edit(folder.path(), [](rocksdb::DB& database) {
    const auto shared = make_tensor(1, 50);
    const Sha256 shared_sum = sha256({reinterpret_cast<const char*>(shared.data()), shared.size()});
    const std::string key = to_intent_key(2);
    ASSERT_TRUE(database.Put({}, key, encode_intent(key, {sha256("lost"), shared_sum})).ok());
    ASSERT_TRUE(database.Put({}, to_chunk_key(sha256("lost")), "lost").ok());
  });
  EXPECT_TRUE(open_or_throw(folder.path())->load("job", 1));
  EXPECT_EQ(count_keys(folder.path(), "c/"), 1U);
  EXPECT_EQ(count_keys(folder.path(), "p/"), 0U);
}

TEST(CheckpointStore, RefusesASaveBelowTheDiskReserveWithoutATrace) {
  const TemporaryFolder folder;
  {
    const auto store = open_or_throw(folder.path(), {.reserve_bytes = 1ULL << 60});
    EXPECT_EQ(save_example(*store, "job", 1).error().code, ErrorCode::resource_exhausted);
    EXPECT_TRUE(store->list("job").value().empty());
  }
  EXPECT_EQ(count_keys(folder.path(), ""), 0U);
}

TEST(CheckpointStore, IsHeldByOneAtATime) {
  const TemporaryFolder folder;
  const auto store = open_or_throw(folder.path());
  EXPECT_EQ(CheckpointStore::open(folder.path()).error().code, ErrorCode::conflict);
}

TEST(CheckpointStore, ReadsWholeVersionsWhileOthersAreSavedAndPruned) {
  const TemporaryFolder folder;
  const auto store = open_or_throw(folder.path());
  ASSERT_TRUE(save_example(*store, "job", 1));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (std::uint64_t step = 2; step <= 12; ++step) {
      EXPECT_TRUE(save_example(*store, "job", step));
      EXPECT_TRUE(store->prune("job", {.keep_last = 1, .keep_best = 0, .best_metric = ""}));
    }
    done = true;
  });
  std::uint64_t newest = 0;
  while (!done) {
    std::vector<ds::Error> skipped;
    const auto checkpoint = store->load_newest("job", &skipped);
    EXPECT_TRUE(checkpoint);
    EXPECT_TRUE(skipped.empty());
    if (!checkpoint || !*checkpoint) continue;  // every version that was listed went before it was read
    EXPECT_EQ(compare_with_example(**checkpoint, "job"), "");
    EXPECT_GE((*checkpoint)->entry.step, newest);
    newest = (*checkpoint)->entry.step;
  }
  writer.join();
}

TEST(Retention, KeepsTheUnionOfTheLastAndTheBest) {
  const auto entry = [](std::uint64_t step, double accuracy) {
    return CheckpointEntry{step, 0, 0, {{"accuracy", accuracy}}};
  };
  const std::vector<CheckpointEntry> entries = {
      entry(1, 0.9), entry(2, 0.9), entry(3, 0.1), entry(4, NAN), {5, 0, 0, {}}};
  using Steps = std::vector<std::uint64_t>;
  EXPECT_EQ(choose_kept_steps(entries, {1, 1, "accuracy"}), (Steps{2, 5}));
  EXPECT_EQ(choose_kept_steps(entries, {1, 2, "accuracy"}), (Steps{1, 2, 5}));
  EXPECT_EQ(choose_kept_steps(entries, {0, 0, "accuracy"}), (Steps{5}));
  EXPECT_EQ(choose_kept_steps(entries, {2, 9, "loss"}), (Steps{4, 5}));
  EXPECT_EQ(choose_kept_steps(entries, {9, 9, "accuracy"}), (Steps{1, 2, 3, 4, 5}));
  EXPECT_EQ(choose_kept_steps({}, {}), Steps{});
  EXPECT_EQ(choose_kept_steps(entries, {0, 0, "", true, {2}}), (Steps{2, 5}));
  EXPECT_EQ(choose_kept_steps(entries, {0, 0, "", true, {2}, true}), (Steps{2})) << "the newest is nobody's";
  EXPECT_EQ(choose_kept_steps(entries, {0, 0, "", true, {}, true}), Steps{});
}

TEST(Manifest, KeepsEveryFloatingPointBit) {
  Manifest manifest;
  manifest.entry.metrics = {{"a", -0.0}, {"b", INFINITY}, {"c", std::numeric_limits<double>::denorm_min()}};
  const std::string key = to_manifest_key("job", 0);
  const auto read = decode_manifest(key, encode_manifest(key, manifest));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->entry.metrics, manifest.entry.metrics);
  EXPECT_TRUE(std::signbit(read->entry.metrics.at("a")));
  EXPECT_FALSE(decode_manifest(to_manifest_key("job", 1), encode_manifest(key, manifest)));
}
