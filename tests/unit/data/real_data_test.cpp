#include <gtest/gtest.h>

#include <cmath>

#include "files.hpp"

namespace ds::data {
namespace {

using scheduler::DataSpec;
using scheduler::PadSequences;
using scheduler::Tokenize;

/// Public data sets that lie beside the repository on some machines only.
class RealData : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return (root_ / name).string(); }
  bool is_missing(const std::string& folder) const { return !std::filesystem::exists(root_ / folder); }

  const std::filesystem::path root_ = std::filesystem::path(DS_SOURCE_DIR) / "../shared/data";
};

#define NEEDS(folder) \
  if (is_missing(folder)) GTEST_SKIP() << "../shared/data/" folder " is not on this machine"

TEST_F(RealData, Mnist) {
  NEEDS("mnist");
  DataSpec spec;
  spec.train = {.paths = {at("mnist/train-images-idx3-ubyte.gz")},
                .labels = {at("mnist/train-labels-idx1-ubyte.gz")}};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->size(), 60000U);
  EXPECT_EQ(data->class_counts(),
            (std::vector<std::uint64_t>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}));
  double sum = 0;
  for (std::uint64_t first = 0; first < data->size(); first += 1000) {
    std::vector<std::uint64_t> samples(1000);
    std::iota(samples.begin(), samples.end(), first);
    const auto batch = data->make_batch(samples, {});
    ASSERT_TRUE(batch);
    for (const float pixel : floats_of(*batch, "image")) sum += static_cast<double>(pixel);
  }
  EXPECT_NEAR(sum / 60000 / 784, 0.1307, 0.0001);  // the mean that everybody normalizes with
}

TEST_F(RealData, Hippocampus) {
  NEEDS("hippocampus3d");
  DataSpec spec;
  spec.train = {
      .paths = {at("hippocampus3d/images")}, .format = "nifti", .labels = {at("hippocampus3d/labels")}};
  spec.transforms = {transform(scheduler::Normalize{{}, {}, true}), transform(scheduler::Crop{{48, 64, 48}})};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->size(), 260U);
  ASSERT_EQ(data->class_counts().size(), 3U);
  EXPECT_EQ(data->class_counts()[1], 445938U);
  EXPECT_EQ(data->class_counts()[2], 410816U);
  const auto batch = data->make_batch(first_samples(2), Draw{});
  ASSERT_TRUE(batch) << batch.error().message;
  EXPECT_EQ(batch->find("label")->shape, (std::vector<std::int64_t>{2, 48, 64, 48}));
}

TEST_F(RealData, Banking77) {
  NEEDS("banking77");
  DataSpec spec;
  spec.train = {.paths = {at("banking77/train.csv")},
                .columns = {{"text", {"text"}}, {"label", {"category"}}}};
  spec.transforms = {transform(Tokenize{"byte_pair", 1000}), transform(PadSequences{32})};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->size(), 10003U);
  EXPECT_EQ(data->preprocessing().labels.size(), 77U);
  EXPECT_EQ(data->preprocessing().vocabulary.size(), 1000U);
}

TEST_F(RealData, Reuters) {
  NEEDS("text-r8");
  DataSpec spec;
  spec.train = {.paths = {at("text-r8/train.txt")},
                .format = "tsv",
                .columns = {{"text", {"2"}}, {"label", {"1"}}},
                .header = false};
  spec.transforms = {transform(Tokenize{}), transform(PadSequences{64})};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->size(), 5485U);
  EXPECT_EQ(data->preprocessing().labels.size(), 8U);
}

TEST_F(RealData, MovieReviews) {
  NEEDS("text-mr");
  DataSpec spec;
  spec.train = {.paths = {at("text-mr/text_train.txt")}, .labels = {at("text-mr/label_train.txt")}};
  EXPECT_NE(error_of_opening(spec).find("text_train.txt:37:34: byte 0xE9 is not UTF-8"), std::string::npos);
  std::string utf8;  // of Latin-1, as iconv makes it
  for (const char c : read_bytes(spec.train.paths[0])) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) utf8 += static_cast<char>(0xC0 | byte >> 6);
    utf8 += static_cast<char>(byte >= 0x80 ? (0x80 | (byte & 0x3F)) : byte);
  }
  const DataFolder folder;
  spec.train = {.paths = {folder.write("text.txt", utf8)}, .labels = {at("text-mr/label_train.txt")}};
  spec.transforms = {transform(Tokenize{}), transform(PadSequences{32})};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->size(), 7108U);
  EXPECT_EQ(data->preprocessing().labels, (std::vector<std::string>{"0", "1"}));
}

TEST_F(RealData, CensusIncome) {
  NEEDS("adult");
  DataSpec spec;
  spec.train = {.paths = {at("adult/adult-train.csv")},
                .columns = {{"features", {"1", "3", "5", "11", "12", "13"}}, {"label", {"15"}}},
                .header = false};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->size(), 32561U);
  EXPECT_EQ(data->class_counts(), (std::vector<std::uint64_t>{24720, 7841}));
}

}  // namespace
}  // namespace ds::data
