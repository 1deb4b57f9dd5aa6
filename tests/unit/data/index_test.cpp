#include "storage/dataset/record_index.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "files.hpp"
#include "storage/dataset/csv_parser.hpp"
#include "storage/dataset/csv_record.hpp"
#include "storage/dataset/index_folder.hpp"
#include "storage/dataset/read_meter.hpp"
#include "storage/dataset/record_scanner.hpp"

namespace ds::data {
namespace {

using storage::DataFile;
using storage::PieceCache;
using storage::RecordIndex;
using storage::RecordLayout;

std::shared_ptr<const DataFile> open_file(const std::string& path) {
  auto file = DataFile::open(path, std::make_shared<PieceCache>(std::size_t{1} << 20));
  if (!file) throw std::runtime_error(file.error().message);
  return std::move(*file);
}

std::vector<std::string> records_of(const DataFile& file, const RecordIndex& index) {
  std::vector<std::string> records;
  storage::FilePin pin;
  for (std::uint64_t i = 0; i < index.size(); ++i)
    records.emplace_back(file.view(index.at(i).offset, index.at(i).size, pin).value());
  return records;
}

/// Rows as the strict parser sees them in the whole file, put together again.
std::vector<std::vector<std::string>> rows_of(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  storage::CsvParser parser(
      "x", [&](std::vector<storage::CsvField>& fields, storage::TextPosition) -> Result<void> {
        rows.emplace_back();
        for (storage::CsvField& field : fields) rows.back().push_back(field.text);
        return {};
      });
  if (!parser.feed(text) || !parser.finish()) rows.clear();
  return rows;
}

TEST(RecordIndex, AgreesWithTheStrictParserOnRandomTables) {
  const DataFolder folder;
  std::mt19937 random(1);
  std::size_t compared = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    constexpr const char* kParts[] = {"a",    "\"",       "\"\"",        ",", "\n",
                                      "\r\n", "\"x\ny\"", "\"a,\"\"b\"", "b", "\n"};
    for (std::uint32_t n = random() % 12; n > 0; --n) text += kParts[random() % std::size(kParts)];
    const auto rows = rows_of(text);
    if (rows.empty()) continue;
    ++compared;
    const auto file = open_file(folder.write("a.csv", text));
    const auto index = RecordIndex::build(*file, RecordLayout::csv, 1);
    ASSERT_TRUE(index);
    std::vector<std::vector<std::string>> got;
    storage::CsvRow row;
    for (const std::string& record : records_of(*file, *index)) {
      ASSERT_TRUE(storage::read_csv_row(
          record, ',', "x", [] { return storage::TextPosition{}; }, row))
          << text;
      got.emplace_back(row.fields.begin(), row.fields.end());
    }
    ASSERT_EQ(got, rows) << text;
  }
  EXPECT_GT(compared, 500U);
}

/// More than one segment, with quoted newlines on the borders and a byte order mark in front.
std::string large_table() {
  std::string text = "\xEF\xBB\xBFtext,label\n";
  for (int i = 0; text.size() < (std::size_t{9} << 20); ++i) {
    text += "\"row " + std::to_string(i) + "\n";
    text.append(static_cast<std::size_t>(i * 37 % 4000), i % 3 == 0 ? '\n' : 'x');
    text += "\",b\n";
  }
  return text;
}

TEST(RecordIndex, IsTheSameForAnyNumberOfThreads) {
  const DataFolder folder;
  const std::string text = large_table();
  const auto file = open_file(folder.write("a.csv", text));
  const auto one = RecordIndex::build(*file, RecordLayout::csv, 1);
  const auto three = RecordIndex::build(*file, RecordLayout::csv, 3);
  ASSERT_TRUE(one);
  ASSERT_TRUE(three);
  ASSERT_EQ(one->size(), rows_of(text).size());
  ASSERT_EQ(one->size(), three->size());
  for (std::uint64_t i = 0; i < one->size(); ++i) {
    ASSERT_EQ(one->at(i).offset, three->at(i).offset);
    ASSERT_EQ(one->at(i).size, three->at(i).size);
  }
  const std::uint64_t last = one->size() - 1;
  const auto lines =
      std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(one->at(last).offset), '\n');
  EXPECT_EQ(one->line_of(*file, last).value(), static_cast<std::uint64_t>(lines) + 1);
}

TEST(RecordIndex, IsKeptAndRebuiltWhenStaleOrDamaged) {
  const DataFolder folder;
  std::filesystem::create_directory(folder.path() / "index");
  const std::string text = large_table();
  const std::string path = folder.write("a.csv", text);
  const auto place = RecordIndex::kept_at(*open_file(path), RecordLayout::csv, folder.path() / "index");
  const auto records = [&] {
    const auto file = open_file(path);
    const auto index = RecordIndex::open(*file, RecordLayout::csv, 2, folder.path() / "index");
    return index ? index->size() : 0;
  };
  const std::uint64_t count = records();
  ASSERT_TRUE(std::filesystem::exists(place));
  const std::string kept = read_bytes(place);
  const auto written = std::filesystem::last_write_time(place);
  EXPECT_EQ(records(), count);
  EXPECT_EQ(std::filesystem::last_write_time(place), written);  // it was read, not built again

  for (const std::size_t at : {std::size_t{0}, kept.size() / 3, kept.size() - 1}) {
    std::string damaged = kept;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    folder.write("index/" + place.filename().string(), damaged);
    EXPECT_EQ(records(), count) << at;
    EXPECT_EQ(read_bytes(place), kept) << at;
    folder.write("index/" + place.filename().string(), kept.substr(0, at));
    EXPECT_EQ(records(), count) << at;
    EXPECT_EQ(read_bytes(place), kept) << at;
  }
  folder.write("a.csv", text + "one more,b\n");
  EXPECT_EQ(records(), count + 1);
  // The same size, but other bytes at the end.
  folder.write("a.csv", text + "one\nmo,e,b\n");
  EXPECT_EQ(records(), count + 2);
}

TEST(RecordIndex, DoesWithoutAPlaceToKeepIt) {
  const DataFolder folder;
  const auto file = open_file(folder.write("a.csv", large_table()));
  const auto index = RecordIndex::open(*file, RecordLayout::csv, 1, folder.path() / "not there");
  ASSERT_TRUE(index);
  EXPECT_GT(index->size(), 100U);
}

TEST(DataFile, SaysSoWhenItShrinksOrChangesWhileRead) {
  const DataFolder folder;
  const std::string text = large_table();
  const std::string path = folder.write("a.csv", text);
  scheduler::DataSpec spec;
  spec.train = {.paths = {path}, .columns = {{"text", {"text"}}, {"label", {"label"}}}};
  spec.transforms = {transform(scheduler::Tokenize{}), transform(scheduler::PadSequences{4})};
  const auto data = open_or_fail(spec, {folder.path() / "not there"});
  ASSERT_NE(data, nullptr);
  ASSERT_TRUE(data->make_batch(first_samples(8), {}));
  std::filesystem::resize_file(path, 1000);
  for (const std::uint64_t sample : {std::uint64_t{0}, data->size() - 1}) {
    const auto batch = data->make_batch(std::vector<std::uint64_t>{sample}, {});
    ASSERT_FALSE(batch);
    EXPECT_EQ(batch.error().code, ErrorCode::conflict);
    EXPECT_NE(batch.error().message.find("a.csv changed while it was read"), std::string::npos);
  }
}

/// A file of more than a MiB in a folder where nothing can be written, whoever asks.
class FileInAnUnwritableFolder : public ::testing::Test {
 protected:
  ~FileInAnUnwritableFolder() override {
    storage::use_index_folder({});
    for (const int descriptor : descriptors_) ::close(descriptor);
  }

  std::shared_ptr<const DataFile> open_next(std::size_t rows = 200'000) {
    std::string text;
    for (std::size_t row = 0; row < rows; ++row) text += std::to_string(row) + ",x\n";
    const std::string path = folder_.write("rows" + std::to_string(descriptors_.size()) + ".csv", text);
    descriptors_.push_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return open_file("/proc/self/fd/" + std::to_string(descriptors_.back()));
  }

  static std::uint64_t bytes_read_to_open(const DataFile& file) {
    const auto before = storage::ReadMeter::read();
    const auto index = RecordIndex::open(file, RecordLayout::csv, 1, {});
    EXPECT_TRUE(index);
    EXPECT_EQ(index->size(), 200'000U);
    return storage::ReadMeter::read() - before;
  }

  std::filesystem::path indices() const { return folder_.path() / "indices"; }

  const DataFolder folder_;
  std::vector<int> descriptors_;
};

TEST_F(FileInAnUnwritableFolder, HasItsIndexKeptInTheFolderOfTheNode) {
  const auto file = open_next();
  storage::use_index_folder({indices(), 1 << 30, [](const Error& why) { ADD_FAILURE() << why.message; }});
  EXPECT_GE(bytes_read_to_open(*file), file->size());
  EXPECT_EQ(bytes_read_to_open(*file), 0U) << "it was kept";
  EXPECT_EQ(std::filesystem::status(indices()).permissions(), std::filesystem::perms::owner_all);
}

TEST_F(FileInAnUnwritableFolder, MakesTheIndexGoThatWasNotUsedForLongest) {
  const auto first = open_next(), second = open_next(), third = open_next();
  storage::use_index_folder({indices(), 2'500'000, [](const Error& why) { ADD_FAILURE() << why.message; }});
  bytes_read_to_open(*first);
  bytes_read_to_open(*second);
  EXPECT_EQ(bytes_read_to_open(*first), 0U) << "two have room";
  bytes_read_to_open(*third);
  EXPECT_EQ(bytes_read_to_open(*first), 0U);
  EXPECT_EQ(bytes_read_to_open(*third), 0U);
  EXPECT_GE(bytes_read_to_open(*second), second->size()) << "three have not";
}

TEST_F(FileInAnUnwritableFolder, IsReadThroughEachTimeAndSaidOnceWhenItsIndexCannotBeKept) {
  const auto file = open_next();
  int said = 0;
  storage::use_index_folder({"/proc/self/no-folder", 1 << 30, [&](const Error&) { ++said; }});
  EXPECT_GE(bytes_read_to_open(*file), file->size());
  EXPECT_GE(bytes_read_to_open(*file), file->size());
  EXPECT_EQ(said, 1);
}

}  // namespace
}  // namespace ds::data
