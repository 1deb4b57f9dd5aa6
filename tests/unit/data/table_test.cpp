#include <gtest/gtest.h>

#include "files.hpp"

namespace ds::data {
namespace {

using scheduler::DataSpec;
using scheduler::PadSequences;
using scheduler::Tokenize;

DataSpec text_spec(const std::string& path, std::uint32_t length = 4) {
  DataSpec spec;
  spec.train = {.paths = {path}, .format = "csv", .columns = {{"text", {"text"}}, {"label", {"label"}}}};
  spec.transforms = {transform(Tokenize{"word", 100}), transform(PadSequences{length})};
  return spec;
}

TEST(CsvSource, MakesTokensAndClassesOfQuotedAndMultiLineRows) {
  const DataFolder folder;
  const auto data = open_or_fail(text_spec(folder.write(
      "a.csv",
      "id,label,text\r\n1,spam,\"Buy, now\"\r\n\r\n2,ham,\"she said \"\"buy\"\"\nand left\"\r\n3,ham,")));
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->size(), 3U);
  EXPECT_EQ(data->preprocessing().labels, (std::vector<std::string>{"ham", "spam"}));
  EXPECT_EQ(data->preprocessing().vocabulary,
            (std::vector<std::string>{"<pad>", "<unknown>", "buy", "and", "left", "now", "said", "she"}));
  EXPECT_EQ(data->class_counts(), (std::vector<std::uint64_t>{2, 1}));
  const Batch batch = whole_batch(*data);
  EXPECT_EQ(wholes_of(batch, "text"), (std::vector<std::int64_t>{2, 5, 0, 0, 7, 6, 2, 3, 0, 0, 0, 0}));
  EXPECT_EQ(wholes_of(batch, "label"), (std::vector<std::int64_t>{1, 0, 0}));
  EXPECT_EQ(batch.fields.back().first, "label");
  EXPECT_EQ(batch.find("text")->shape, (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(folder.plain(data->place_of(0)), "a.csv:2");
  EXPECT_EQ(folder.plain(data->place_of(1)), "a.csv:4");
  EXPECT_EQ(folder.plain(data->place_of(2)), "a.csv:6");
}

TEST(CsvSource, MakesTokensOfNeighbouringWordsForBothSets) {
  const DataFolder folder;
  DataSpec spec = text_spec(folder.write("a.csv", "text,label\nnew york,x\nin New York,y\n"), 5);
  spec.transforms = {transform(Tokenize{"word", 100, 2}), transform(PadSequences{5})};
  spec.validate = spec.train;
  spec.validate->paths = {folder.write("b.csv", "text,label\nyork in new york,x\n")};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->preprocessing().ngrams, 2U);
  EXPECT_EQ(data->preprocessing().vocabulary,
            (std::vector<std::string>{"<pad>", "<unknown>", "new", "new york", "york", "in", "in new"}));
  EXPECT_EQ(wholes_of(whole_batch(*data), "text"), (std::vector<std::int64_t>{2, 4, 3, 0, 0, 5, 2, 6, 4, 3}));
  const auto validation = Dataset::open_validation(spec, data->preprocessing(), {});
  ASSERT_TRUE(validation) << validation.error().message;
  EXPECT_EQ(wholes_of(whole_batch(**validation), "text"), (std::vector<std::int64_t>{4, 5, 2, 6, 4}));

  DataSpec words = spec;
  words.transforms[0] = transform(Tokenize{"word", 100});
  EXPECT_NE(open_or_fail(words)->fingerprint(), data->fingerprint());
}

TEST(CsvSource, SaysWhereARowIsWrong) {
  const DataFolder folder;
  const auto error = [&](const std::string& content) {
    return folder.plain(error_of_opening(text_spec(folder.write("a.csv", content))));
  };
  EXPECT_EQ(error("text,label\na,b\nc\n"), "a.csv:3:2: expected 2 fields as in the header, got 1");
  EXPECT_EQ(error("text,label\na,b\nc,d,e\n"), "a.csv:3:5: expected 2 fields as in the header, got 3");
  EXPECT_EQ(error("text,label\n\"x\ny\",b\nä,\n"), "a.csv:4:3: the label (column \"label\") is empty");
  EXPECT_EQ(error("text,label\na,b\r\nc,d,e\r\n"), "a.csv:3:5: expected 2 fields as in the header, got 3");
  EXPECT_EQ(error("text,label\na,b\nc"), "a.csv:3:2: expected 2 fields as in the header, got 1");
  EXPECT_EQ(error("text,label\nx,y\na,\"\"\n"), "a.csv:3:3: the label (column \"label\") is empty");
  EXPECT_EQ(error("text,label\na,b\nc,\"d\ne,f\n"), "a.csv:3:3: this quote is never closed");
  EXPECT_EQ(error("text,label\nx,y\n\"a\" ,b\n"),
            "a.csv:3:4: text behind a closing quote, where a comma or the line's end should be");
  EXPECT_EQ(error("text,label\nx,y\na\xC3n,b\n"), "a.csv:3:2: byte 0xC3 is not UTF-8");
  EXPECT_EQ(error("text,label\nx,y\nä\xFF,b\n"), "a.csv:3:2: byte 0xFF is not UTF-8");
  EXPECT_EQ(error("\xFF\xFEt"), "a.csv:1:1: byte 0xFF is not UTF-8");
  EXPECT_EQ(error("text,label\ra,b\r"), "a.csv:1:11: a carriage return without a newline behind it");
  EXPECT_EQ(error("text,label\nx,y\nsay \"hi\",b\n"),
            "a.csv:3:5: a quote inside a field that does not begin with one");
  EXPECT_EQ(error("text,label\ngr\xFCn,b\n"), "a.csv:2:3: byte 0xFC is not UTF-8");
  EXPECT_EQ(error("text,label\na,b\xC3"), "a.csv:2:4: the file ends inside a UTF-8 character");
  EXPECT_EQ(error("text,label\na,b\r"), "a.csv:2:4: a carriage return without a newline behind it");
  EXPECT_EQ(error(""), "a.csv:1:1: the file is empty");
  EXPECT_EQ(error("\n\r\n"), "a.csv:1:1: the file holds nothing but blank lines");
  EXPECT_EQ(error("text,label\n"), "a.csv:2:1: no row after the header");
  EXPECT_EQ(error("text,lable\na,b\n"), "a.csv:1:1: the header has no column \"label\"");
  EXPECT_EQ(error("text,label,label\na,b,c\n"), "a.csv:1:12: the header has the column \"label\" twice");
}

TEST(CsvSource, SkipsBadRecordsUpToABound) {
  const DataFolder folder;
  DataSpec spec = text_spec(folder.write("a.csv", "text,label\na,x\nb\nc,y\nd,e,f\ng,y\n"));
  spec.on_bad_record = {true, 2};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->size(), 5U);
  const Batch batch = whole_batch(*data);
  EXPECT_EQ(batch.rows, 3U);
  EXPECT_EQ(batch.skipped, 2U);
  EXPECT_EQ(wholes_of(batch, "label"), (std::vector<std::int64_t>{0, 1, 1}));
  spec.on_bad_record.most = 1;
  EXPECT_EQ(folder.plain(error_of_opening(spec)),
            "more than 1 bad records, which is what on_bad_record allows; one of them: a.csv:3:2: expected 2 "
            "fields as in the header, got 1");
}

TEST(CsvSource, NeedsNoHeaderAndReadsNumbers) {
  const DataFolder folder;
  DataSpec spec;
  spec.train = {.paths = {folder.write("a.csv", "1.5, 2,no\n-3,+4e1,yes\n")},
                .columns = {{"features", {"1", "2"}}, {"label", {"3"}}},
                .header = false};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  const Batch batch = whole_batch(*data);
  EXPECT_EQ(floats_of(batch, "features"), (std::vector<float>{1.5F, 2, -3, 40}));
  EXPECT_EQ(wholes_of(batch, "label"), (std::vector<std::int64_t>{0, 1}));
  folder.write("a.csv", "1.5,x,no\n");
  const auto bad = Dataset::open_training(spec, {});
  ASSERT_FALSE(bad);
  EXPECT_EQ(folder.plain(bad.error().message), "a.csv:1:5: expected a number in column \"2\", got \"x\"");
}

TEST(CsvSource, TakesLabelsWithFractionsForNumbersAndSortsWholeOnesByValue) {
  const DataFolder folder;
  DataSpec spec;
  spec.train = {.paths = {folder.write("a.csv", "x,y\n1,0.5\n2,3\n")},
                .columns = {{"features", {"x"}}, {"label", {"y"}}}};
  auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_TRUE(data->preprocessing().labels.empty());
  EXPECT_EQ(floats_of(whole_batch(*data), "label"), (std::vector<float>{0.5F, 3}));
  EXPECT_EQ(data->fields().back(), (FieldShape{"label", Element::float32, {}}));
  folder.write("a.csv", "x,y\n1,10\n2,9\n3,-1\n");
  data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->preprocessing().labels, (std::vector<std::string>{"-1", "9", "10"}));
  EXPECT_EQ(wholes_of(whole_batch(*data), "label"), (std::vector<std::int64_t>{2, 1, 0}));
}

TEST(TsvSource, SplitsAtTabs) {
  const DataFolder folder;
  DataSpec spec;
  spec.train = {.paths = {folder.write("a.tsv", "a\tx, y\nb\tz\n")},
                .columns = {{"text", {"2"}}, {"label", {"1"}}},
                .header = false};
  spec.transforms = {transform(Tokenize{}), transform(PadSequences{2})};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(wholes_of(whole_batch(*data), "text"), (std::vector<std::int64_t>{2, 3, 4, 0}));
}

TEST(JsonLines, ReadsTextsNumbersAndArrays) {
  const DataFolder folder;
  DataSpec spec;
  spec.train = {.paths = {folder.write("a.jsonl",
                                       "{\"t\":\"a \\u00e4\",\"v\":[1,[2,3]],\"y\":true}\n\n"
                                       "{\"y\":false,\"v\":[4,5,6],\"t\":\"\"}\n")},
                .columns = {{"label", {"y"}}, {"text", {"t"}}, {"features", {"v"}}}};
  spec.transforms = {transform(Tokenize{}), transform(PadSequences{2})};
  auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  const Batch batch = whole_batch(*data);
  EXPECT_EQ(floats_of(batch, "features"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(wholes_of(batch, "text"), (std::vector<std::int64_t>{2, 3, 0, 0}));
  EXPECT_EQ(data->preprocessing().labels, (std::vector<std::string>{"false", "true"}));
  EXPECT_EQ(folder.plain(data->place_of(1)), "a.jsonl:3");

  const auto error = [&](const std::string& line) {
    folder.write("a.jsonl", "{\"t\":\"a\",\"v\":1,\"y\":\"b\"}\n" + line + "\n");
    return folder.plain(error_of_opening(spec));
  };
  EXPECT_EQ(error("{\"t\": }"), "a.jsonl:2:7: no JSON that can be read");
  EXPECT_EQ(error("[1]"), "a.jsonl:2:1: expected a JSON object");
  EXPECT_EQ(error("{\"t\":\"a\",\"v\":1}"), "a.jsonl:2:1: the object has no \"y\"");
  EXPECT_EQ(error("{\"t\":1,\"v\":1,\"y\":1}"), "a.jsonl:2:1: \"t\" is no text");
  EXPECT_EQ(error("{\"t\":\"\",\"v\":null,\"y\":1}"),
            "a.jsonl:2:1: \"v\" is no number nor an array of numbers");
}

TEST(TextSource, TakesALineForASampleAndItsLabelFromAnotherFile) {
  const DataFolder folder;
  DataSpec spec;
  spec.train = {.paths = {folder.write("text.txt", "one two\n\ntwo\r\n")},
                .labels = {folder.write("label.txt", "1\n0\n1")}};
  spec.transforms = {transform(Tokenize{}), transform(PadSequences{2})};
  auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->size(), 3U);
  EXPECT_EQ(wholes_of(whole_batch(*data), "text"), (std::vector<std::int64_t>{3, 2, 0, 0, 2, 0}));
  EXPECT_EQ(wholes_of(whole_batch(*data), "label"), (std::vector<std::int64_t>{1, 0, 1}));
  folder.write("label.txt", "1\n0\n");
  EXPECT_EQ(folder.plain(error_of_opening(spec)),
            "text.txt has 3 lines, label.txt has 2: each text needs one label");
  folder.write("label.txt", "1\n0\n\n");
  EXPECT_EQ(folder.plain(error_of_opening(spec)), "label.txt:3:1: the label is empty");
  folder.write("label.txt", "1\n0\n1\n");
  folder.write("text.txt", "a\nä\xFF\nb\n");
  EXPECT_EQ(folder.plain(error_of_opening(spec)), "text.txt:2:2: byte 0xFF is not UTF-8");
}

TEST(Dataset, NeedsTextToBecomeNumbersOfOneLength) {
  const DataFolder folder;
  DataSpec spec = text_spec(folder.write("a.csv", "text,label\na,b\nb c,d\n"));
  spec.transforms.pop_back();
  EXPECT_EQ(error_of_opening(spec), "the field \"text\" differs in size from sample to sample");
  spec.transforms.clear();
  EXPECT_EQ(error_of_opening(spec), "the field \"text\" is text, not numbers");
  spec.transforms = {transform(scheduler::Resize{{2, 2}})};
  EXPECT_EQ(error_of_opening(spec), "data.transforms[0]: none of the fields image is there");
}

TEST(Dataset, GivesAValidationSetWhatTheTrainingSetTaught) {
  const DataFolder folder;
  DataSpec spec = text_spec(folder.write("a.csv", "text,label\nred blue,x\nblue,y\n"), 2);
  spec.validate = spec.train;
  spec.validate->paths = {folder.write("b.csv", "text,label\ngreen red,z\nblue,y\n")};
  const auto training = open_or_fail(spec);
  ASSERT_NE(training, nullptr);
  const auto validation = Dataset::open_validation(spec, training->preprocessing(), {});
  ASSERT_TRUE(validation) << validation.error().message;
  const Batch batch = whole_batch(**validation);
  EXPECT_EQ(wholes_of(batch, "text"), (std::vector<std::int64_t>{1, 3, 2, 0}));
  EXPECT_EQ(wholes_of(batch, "label"), (std::vector<std::int64_t>{-1, 1}));
  EXPECT_EQ((*validation)->class_counts(), (std::vector<std::uint64_t>{0, 1}));
  EXPECT_NE((*validation)->fingerprint(), training->fingerprint());
}

TEST(Dataset, HasAFingerprintOfBytesAndSettingsNotOfPlaces) {
  const DataFolder folder;
  DataSpec spec = text_spec(folder.write("a.csv", "text,label\na,b\nb,d\n"));
  const std::string before = open_or_fail(spec)->fingerprint();
  spec.train.paths = {folder.write("elsewhere/b.csv", "text,label\na,b\nb,d\n")};
  EXPECT_EQ(open_or_fail(spec)->fingerprint(), before);
  spec.transforms = {transform(Tokenize{"word", 100}), transform(PadSequences{5})};
  EXPECT_NE(open_or_fail(spec)->fingerprint(), before);
  spec = text_spec(folder.write("a.csv", "text,label\na,b\nb,e\n"));
  EXPECT_NE(open_or_fail(spec)->fingerprint(), before);
}

TEST(Dataset, ReadsSeveralFilesFoldersAndGlobsSortedByName) {
  const DataFolder folder;
  folder.write("in/b.csv", "label,text\nx,three\n");
  folder.write("in/a.csv", "text,label\none,x\ntwo,y\n");
  folder.write("in/.hidden.csv", "no");
  folder.write("in/notes.txt", "no");
  DataSpec spec = text_spec(folder / "in", 1);
  for (const std::string& path : {folder / "in", folder / "in/*.csv", folder / "in/[ab].csv"}) {
    spec.train.paths = {path};
    const auto data = open_or_fail(spec);
    ASSERT_NE(data, nullptr) << path;
    ASSERT_EQ(data->size(), 3U) << path;
    EXPECT_EQ(folder.plain(data->place_of(2)), "in/b.csv:2");
    EXPECT_EQ(wholes_of(whole_batch(*data), "text"), (std::vector<std::int64_t>{2, 4, 3}));
  }
  spec.train.records = {1, 2};
  EXPECT_EQ(open_or_fail(spec)->size(), 1U);
  EXPECT_EQ(folder.plain(open_or_fail(spec)->place_of(0)), "in/a.csv:3");
  spec.train.records = {1, 9};
  EXPECT_EQ(error_of_opening(spec), "data.train.records: 1 to 9 of the 3 records that there are");
  spec.train.paths = {folder / "in/*.tsv"};
  EXPECT_EQ(folder.plain(error_of_opening(spec)), "in/*.tsv: no file matches");
  spec.train.paths = {folder / "gone.csv"};
  EXPECT_EQ(folder.plain(error_of_opening(spec)), "cannot open gone.csv: No such file or directory");
}

}  // namespace
}  // namespace ds::data
