#include "storage/log/log_store.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "storage/text/utf8.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace fs = std::filesystem;
using ds::ErrorCode;
using ds::storage::escape_control_characters;
using ds::storage::LogPart;
using ds::storage::LogStore;

namespace {

/// Reads from `offset` to the end in parts of `limit` bytes.
std::string read_all(const LogStore& store, const std::string& job, std::uint64_t offset, std::size_t limit) {
  std::string text;
  for (;;) {
    const LogPart part = store.read(job, offset, limit).value();
    if (part.text.empty()) return text;
    EXPECT_EQ(part.next, part.offset + part.text.size());
    text += part.text;
    offset = part.next;
  }
}

}  // namespace

TEST(LogStore, ReadsBackInPartsOfAnySizeWithoutCuttingCharacters) {
  const TemporaryFolder folder;
  LogStore store(folder.path() / "logs");
  std::string expected;
  for (int i = 0; i < 50; ++i) {
    const std::string line = "zeile " + std::to_string(i) + " grün €uro 🙂\n";
    ASSERT_TRUE(store.append("job-1", line));
    expected += line;
  }
  for (const std::size_t limit : {1UL, 2UL, 3UL, 5UL, 64UL, 100'000UL})
    EXPECT_EQ(read_all(store, "job-1", 0, limit), expected);
}

TEST(LogStore, GoesOnAfterReopening) {
  const TemporaryFolder folder;
  ASSERT_TRUE(LogStore(folder.path()).append("job", "first\n"));
  LogStore store(folder.path());
  ASSERT_TRUE(store.append("job", "second\n"));
  EXPECT_EQ(store.read("job", 6, 100).value().text, "second\n");
  EXPECT_EQ(read_all(store, "job", 0, 100), "first\nsecond\n");
}

TEST(LogStore, HasAnEmptyLogForAJobThatWroteNothing) {
  const TemporaryFolder folder;
  const LogStore store(folder.path());
  const LogPart part = store.read("job", 10, 100).value();
  EXPECT_EQ(part.text, "");
  EXPECT_EQ(part.next, 0U);
}

TEST(LogStore, DropsTheOldestSegmentsAndKeepsOffsets) {
  const TemporaryFolder folder;
  LogStore store(folder.path());
  const std::string line = std::string(1022, 'x') + "€\n";  // ends of segments fall inside characters
  const std::string block = [&] {
    std::string lines;
    for (int i = 0; i < 512; ++i) lines += line;
    return lines;
  }();
  std::uint64_t written = 0;
  while (written < 7 * LogStore::kSegmentBytes) {
    ASSERT_TRUE(store.append("job", block));
    written += block.size();
  }
  std::size_t files = 0;
  std::uint64_t kept = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.path() / "job")) {
    ++files;
    kept += entry.file_size();
    EXPECT_LE(entry.file_size(), LogStore::kSegmentBytes);
  }
  EXPECT_EQ(files, LogStore::kSegments);
  const LogPart oldest = store.read("job", 0, 10).value();
  EXPECT_EQ(oldest.offset, written - kept);
  const std::string rest = read_all(store, "job", 0, 1 << 20);
  EXPECT_EQ(rest.size(), kept);
  EXPECT_TRUE(rest.ends_with(line + line));
  EXPECT_EQ(store.read("job", written + 5, 10).value().next, written);
  EXPECT_EQ(store.read("job", written - 1, 10).value().text, "\n");
  EXPECT_EQ(store.read("job", written - 3, 10).value().offset, written - 1);  // inside the character
}

TEST(LogStore, KeepsJobsApartAndFewFilesOpen) {
  const TemporaryFolder folder;
  LogStore store(folder.path());
  for (int round = 0; round < 2; ++round)
    for (int job = 0; job < 200; ++job)
      ASSERT_TRUE(store.append("job-" + std::to_string(job), std::to_string(job) + "\n"));
  for (int job = 0; job < 200; ++job)
    EXPECT_EQ(read_all(store, "job-" + std::to_string(job), 0, 100),
              std::to_string(job) + "\n" + std::to_string(job) + "\n");
  int open_logs = 0;
  for (const fs::directory_entry& descriptor : fs::directory_iterator("/proc/self/fd")) {
    std::error_code closed;  // the descriptor that lists the folder is gone by now
    const fs::path target = fs::read_symlink(descriptor.path(), closed);
    if (!closed && target.string().starts_with(folder.path().string())) ++open_logs;
  }
  EXPECT_LE(open_logs, 32);
}

TEST(LogStore, ForgetsARemovedJob) {
  const TemporaryFolder folder;
  LogStore store(folder.path());
  ASSERT_TRUE(store.append("job", "old"));
  ASSERT_TRUE(store.remove("job"));
  ASSERT_TRUE(store.remove("job"));
  EXPECT_EQ(store.read("job", 0, 10).value().text, "");
  ASSERT_TRUE(store.append("job", "new"));
  EXPECT_EQ(store.read("job", 0, 10).value().text, "new");
}

TEST(LogStore, RefusesJobsThatAreNoIdentifiers) {
  const TemporaryFolder folder;
  LogStore store(folder.path() / "logs");
  for (const char* job : {"", "..", "../other", "a/b", "/etc", "A"}) {
    EXPECT_EQ(store.append(job, "x").error().code, ErrorCode::invalid_argument) << job;
    EXPECT_EQ(store.read(job, 0, 1).error().code, ErrorCode::invalid_argument) << job;
    EXPECT_EQ(store.remove(job).error().code, ErrorCode::invalid_argument) << job;
  }
}

TEST(LogStore, TakesAppendsAndReadsFromSeveralThreads) {
  const TemporaryFolder folder;
  LogStore store(folder.path());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&store] {
      for (int i = 0; i < 500; ++i) {
        EXPECT_TRUE(store.append("job", "0123456789\n"));
        EXPECT_TRUE(store.read("job", 0, 100));
      }
    });
  for (std::thread& thread : threads) thread.join();
  const std::string text = read_all(store, "job", 0, 4096);
  ASSERT_EQ(text.size(), 4U * 500U * 11U);
  for (std::size_t i = 0; i < text.size(); i += 11) ASSERT_EQ(text.substr(i, 11), "0123456789\n");
}

TEST(EscapeControlCharacters, LeavesTextAndShowsTheRest) {
  EXPECT_EQ(escape_control_characters("plain\ttext\ngrün 🙂"), "plain\ttext\ngrün 🙂");
  EXPECT_EQ(escape_control_characters("\x1b[31mred\r"), "\\x1B[31mred\\x0D");
  EXPECT_EQ(escape_control_characters(std::string("\0\x7f", 2)), "\\x00\\x7F");
  EXPECT_EQ(escape_control_characters("\xC2\x9B"), "\\xC2\\x9B");  // the one-character form of ESC [
  EXPECT_EQ(escape_control_characters("a\xFFz\xC3"), "a\\xFFz\\xC3");
  EXPECT_EQ(escape_control_characters("\xC0\xAF\xED\xA0\x80"), "\\xC0\\xAF\\xED\\xA0\\x80");
}

TEST(Utf8, FindsWhereTheLastWholeCharacterEnds) {
  using ds::storage::complete_utf8_prefix;
  EXPECT_EQ(complete_utf8_prefix(""), 0U);
  EXPECT_EQ(complete_utf8_prefix("ab"), 2U);
  EXPECT_EQ(complete_utf8_prefix("a€"), 4U);
  EXPECT_EQ(complete_utf8_prefix("a\xE2\x82"), 1U);
  EXPECT_EQ(complete_utf8_prefix("a\xF0\x9F\x99"), 1U);
  EXPECT_EQ(complete_utf8_prefix("a\xFF"), 2U);  // never becomes a character, so nothing is to be waited for
}
