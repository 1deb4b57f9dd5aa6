#include "actors/train/encoded_rows.hpp"

#include <gtest/gtest.h>

namespace ds::train {
namespace {

TEST(DistinctLabels, AreSortedByTheirBytes) {
  const std::vector<std::string> labels{"b", "B", "a", "b", "10", "9"};
  EXPECT_EQ(distinct_labels(labels), (std::vector<std::string>{"10", "9", "B", "a", "b"}));
}

TEST(EncodedRows, HoldWordsAndLabelsByNumber) {
  const storage::LabelledText text{{"one two", "two", ""}, {"yes", "maybe", "no"}, ""};
  const Vocabulary vocabulary = Vocabulary::of(text.texts, 10);
  const std::vector<std::string> labels{"no", "yes"};
  const EncodedRows rows = encode_rows(text, vocabulary, labels, 2);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows.words, (std::vector<std::int32_t>{3, 2, 2, 0, 0, 0}));
  EXPECT_EQ(rows.labels, (std::vector<std::int32_t>{1, EncodedRows::kUnknownLabel, 0}));
  EXPECT_EQ(rows.words_of(1)[0], 2);
}

TEST(MajorityAccuracy, IsThatOfTheMostFrequentTrainingLabel) {
  EncodedRows training, validation;
  training.labels = {0, 1, 1, 2, 2};
  validation.labels = {1, 1, 2, EncodedRows::kUnknownLabel};
  EXPECT_DOUBLE_EQ(majority_accuracy(training, validation), 0.5);
  EXPECT_DOUBLE_EQ(majority_accuracy(training, EncodedRows{}), 0);
}

}  // namespace
}  // namespace ds::train
