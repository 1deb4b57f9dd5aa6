#include "storage/dataset/csv_first_look.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "storage/dataset/csv_parser.hpp"
#include "storage/dataset/nearest_name.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace fs = std::filesystem;
using namespace ds::storage;
using ds::Error;
using ds::ErrorCode;

namespace {

class CsvFile {
 public:
  explicit CsvFile(const std::string& content) : path_(folder_.path() / "data.csv") {
    std::ofstream(path_, std::ios::binary) << content;
  }
  const fs::path& path() const { return path_; }

  /// The message without the folder, so that a test can name it whole.
  std::string error_at_first_look() const {
    const auto looked = check_labelled_text(path_, "text", "label");
    if (looked) return "no error";
    EXPECT_EQ(looked.error().code, ErrorCode::invalid_argument);
    return looked.error().message.substr(folder_.path().string().size() + 1);
  }

 private:
  TemporaryFolder folder_;
  fs::path path_;
};

std::string error_of(const std::string& content) {
  return CsvFile(content).error_at_first_look();
}

std::string quote(const std::string& field) {
  std::string quoted = "\"";
  for (const char c : field) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

TEST(CsvFirstLook, PassesWhatIsGood) {
  EXPECT_EQ(error_of("id,label,text\r\n1,spam,\"buy, now\"\r\n"), "no error");
  EXPECT_EQ(error_of("\xEF\xBB\xBFtext,label\na,b"), "no error");
  EXPECT_EQ(error_of("text,label\n\n\"she said \"\"hi\"\"\nand left\",b\n"), "no error");
}

TEST(CsvFirstLook, SaysWhereTheFirstRowIsRagged) {
  EXPECT_EQ(error_of("text,label\nc\n"), "data.csv:2:2: expected 2 fields as in the header, got 1");
  EXPECT_EQ(error_of("text,label\r\nc,d,e\r\n"), "data.csv:2:5: expected 2 fields as in the header, got 3");
  EXPECT_EQ(error_of("text,label\nä,\n"), "data.csv:2:3: the label (column \"label\") is empty");
  EXPECT_EQ(error_of("text,label\nc"), "data.csv:2:2: expected 2 fields as in the header, got 1");
  EXPECT_EQ(error_of("text,label\na,\"\"\n"), "data.csv:2:3: the label (column \"label\") is empty");
}

TEST(CsvFirstLook, SaysWhereAQuoteIsWrong) {
  EXPECT_EQ(error_of("text,label\nc,\"d\ne,f\n"), "data.csv:2:3: this quote is never closed");
  EXPECT_EQ(error_of("text,label\nsay \"hi\",b\n"),
            "data.csv:2:5: a quote inside a field that does not begin with one");
  EXPECT_EQ(error_of("text,label\n\"a\" ,b\n"),
            "data.csv:2:4: text behind a closing quote, where a comma or the line's end should be");
}

TEST(CsvFirstLook, RefusesBytesThatAreNotUtf8) {
  EXPECT_EQ(error_of("text,label\ngr\xFCn,b\n"), "data.csv:2:3: byte 0xFC is not UTF-8");
  EXPECT_EQ(error_of("text,label\na\xC3n,b\n"), "data.csv:2:2: byte 0xC3 is not UTF-8");
  EXPECT_EQ(error_of("text,label\nä\xFF,b\n"), "data.csv:2:2: byte 0xFF is not UTF-8");
  EXPECT_EQ(error_of("\xFF\xFEt\0e\0"), "data.csv:1:1: byte 0xFF is not UTF-8");
  EXPECT_EQ(error_of("text,label\na,b\xC3"), "data.csv:2:4: the file ends inside a UTF-8 character");
}

TEST(CsvFirstLook, RefusesLoneCarriageReturns) {
  EXPECT_EQ(error_of("text,label\ra,b\r"), "data.csv:1:11: a carriage return without a newline behind it");
  EXPECT_EQ(error_of("text,label\na,b\r"), "data.csv:2:4: a carriage return without a newline behind it");
}

TEST(CsvFirstLook, RefusesFilesWithoutRows) {
  EXPECT_EQ(error_of(""), "data.csv:1:1: the file is empty");
  EXPECT_EQ(error_of("\n\r\n"), "data.csv:1:1: the file holds nothing but blank lines");
  EXPECT_EQ(error_of("text,label\n"), "data.csv:2:1: no row after the header");
}

TEST(CsvFirstLook, SuggestsTheNearestColumn) {
  const CsvFile file("utterance,intend\nx,y\n");
  const Error error = check_labelled_text(file.path(), "utterance", "intent").error();
  EXPECT_NE(error.message.find("data.csv:1:1: the header has no column \"intent\""), std::string::npos);
  EXPECT_EQ(error.hint, "Did you mean \"intend\"? The columns are: utterance, intend");
  EXPECT_EQ(error_of("text,label,label\na,b,c\n"),
            "data.csv:1:12: the header has the column \"label\" twice");
}

TEST(CsvFirstLook, TellsAMissingFileFromADirectory) {
  const TemporaryFolder folder;
  EXPECT_EQ(check_labelled_text(folder.path() / "no.csv", "a", "b").error().code, ErrorCode::not_found);
  EXPECT_EQ(check_labelled_text(folder.path(), "a", "b").error().code, ErrorCode::invalid_argument);
}

TEST(CsvFirstLook, LooksAtTheBeginningOnly) {
  EXPECT_TRUE(check_labelled_text(CsvFile("text,label\na,b\nragged\n").path(), "text", "label"));
  EXPECT_TRUE(check_labelled_text(CsvFile("text,label\n" + std::string(100'000, 'x') + ",b\n").path(), "text",
                                  "label"));
  EXPECT_FALSE(check_labelled_text(CsvFile("text,label\nragged\n").path(), "text", "label"));
  EXPECT_FALSE(check_labelled_text(CsvFile("text,label\n").path(), "text", "label"));
  EXPECT_FALSE(check_labelled_text(CsvFile("").path(), "text", "label"));
  EXPECT_FALSE(check_labelled_text(CsvFile(std::string(100'000, 'x')).path(), "text", "label"));
}

TEST(Csv, ReadsBackEveryTableThatWasWrittenWithQuotes) {
  const std::vector<std::string> pieces = {"a", "\"", ",", "\n", "\r\n", " ", "ü", "🙂", "\t", "''", "x,y"};
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const std::size_t columns = 1 + random() % 5;
    const std::size_t rows = random() % 20;
    std::vector<std::vector<std::string>> table(rows, std::vector<std::string>(columns));
    std::string written;
    for (auto& row : table) {
      for (std::size_t i = 0; i < columns; ++i) {
        for (std::size_t n = random() % 6; n > 0; --n) row[i] += pieces[random() % pieces.size()];
        const bool needs_quotes =
            row[i].find_first_of("\",\n\r") != std::string::npos || (columns == 1 && row[i].empty());
        written += (i == 0 ? "" : ",") + (needs_quotes || random() % 2 == 0 ? quote(row[i]) : row[i]);
      }
      written += random() % 2 == 0 ? "\n" : "\r\n";
    }
    std::vector<std::vector<std::string>> read;
    CsvParser parser("t.csv", [&](std::vector<CsvField>& fields, TextPosition) -> ds::Result<void> {
      auto& row = read.emplace_back();
      for (CsvField& field : fields) row.push_back(std::move(field.text));
      return {};
    });
    for (std::size_t at = 0; at < written.size();) {
      const std::size_t size = 1 + random() % 7;
      ASSERT_TRUE(parser.feed(std::string_view(written).substr(at, size))) << "seed " << seed;
      at += size;
    }
    ASSERT_TRUE(parser.finish()) << "seed " << seed;
    ASSERT_EQ(read, table) << "seed " << seed;
  }
}

TEST(Csv, NeverDiesOnRandomBytes) {
  for (std::uint32_t seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    constexpr std::string_view kBytes = "ab\",\n\r\xC3\xBC\xEF\xBB\xBF\xFF ";
    std::string bytes;
    for (std::size_t n = random() % 40; n > 0; --n) bytes += kBytes[random() % kBytes.size()];
    std::size_t columns_seen = 0;
    CsvParser parser("t.csv", [&](std::vector<CsvField>& fields, TextPosition end) -> ds::Result<void> {
      for (const CsvField& field : fields) EXPECT_GE(field.at.line * field.at.column, 1U);
      EXPECT_GE(end.line, fields.front().at.line) << "seed " << seed;
      columns_seen += fields.size();
      return {};
    });
    if (parser.feed(bytes)) (void)parser.finish();
    EXPECT_LE(columns_seen, bytes.size() + 1) << "seed " << seed;
  }
}

TEST(NearestName, FindsTypingErrorsAndNothingElse) {
  const std::vector<std::string> names = {"text", "label", "utterance", ""};
  EXPECT_EQ(find_nearest_name("txt", names), "text");
  EXPECT_EQ(find_nearest_name("Label", names), "label");
  EXPECT_EQ(find_nearest_name("utterence", names), "utterance");
  EXPECT_EQ(find_nearest_name("price", names), std::nullopt);
  EXPECT_EQ(find_nearest_name("", names), std::nullopt);
}
