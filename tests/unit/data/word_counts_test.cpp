#include "actors/data/word_counts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "actors/data/first_pass.hpp"
#include "files.hpp"

namespace ds::data {
namespace {

using Ranked = std::vector<std::pair<std::string, std::uint64_t>>;

/// Texts of which few words are frequent and most are rare, as in any language.
std::vector<std::string> skewed_texts(std::size_t count) {
  std::mt19937 random(5);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) {
    std::string text;
    for (int word = 0; word < 12; ++word) {
      const auto rank = random() % 3 > 0 ? random() % 3 : random() % 2000;
      text += "w" + std::to_string(rank) + " ";
    }
    texts.push_back(text);
  }
  return texts;
}

TEST(WordCounts, CountsNeighboursWithinATextOnly) {
  WordCounts counts(3);
  counts.add_text("a b a b");
  counts.add_text("b");
  counts.add_text("");
  EXPECT_EQ(counts.ranked(),
            (Ranked{{"b", 3}, {"a", 2}, {"a b", 2}, {"a b a", 1}, {"b a", 1}, {"b a b", 1}}));
}

TEST(WordCounts, AreExactUpToTheBound) {
  WordCounts counts(2, 6);
  counts.add_text("a b a b b a b a a b");
  EXPECT_EQ(counts.ranked(), (Ranked{{"a", 5}, {"b", 5}, {"a b", 4}, {"b a", 3}, {"a a", 1}, {"b b", 1}}));
  counts.add_text("c");
  EXPECT_EQ(counts.ranked(), (Ranked{{"a", 5}, {"b", 5}, {"a b", 4}})) << "half of 6 may stay";
}

TEST(WordCounts, ForgetTheRarestBeyondTheBoundAndKeepWhatIsFrequent) {
  WordCounts exact(2), bounded(2, 400);
  for (const std::string& text : skewed_texts(2000)) {
    exact.add_text(text);
    bounded.add_text(text);
    ASSERT_LE(bounded.size(), 400U);
  }
  ASSERT_GT(exact.size(), 5000U);
  const Ranked all = exact.ranked(), kept = bounded.ranked();
  const std::map<std::string, std::uint64_t> truth(all.begin(), all.end());
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(kept[i], all[i]) << "w0 to w2 and their pairs";
  for (const auto& [words, count] : kept) EXPECT_LE(count, truth.at(words)) << words;
}

TEST(WordCounts, AddedUpAreThoseOfAllTexts) {
  const std::vector<std::string> texts = skewed_texts(200);
  WordCounts whole(2), sum(2), part(2);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    whole.add_text(texts[i]);
    part.add_text(texts[i]);
    if (i % 70 != 69) continue;
    sum.take(part);
    EXPECT_EQ(part.size(), 0U);
  }
  sum.take(part);
  EXPECT_EQ(sum.ranked(), whole.ranked());
}

TEST(FirstPass, CountsTheSameWordsWithAnyNumberOfThreadsBeyondTheBoundToo) {
  const DataFolder folder;
  std::string csv = "text,label\n";
  for (const std::string& text : skewed_texts(20'000)) csv += text + ",x\n";
  const scheduler::SourceSpec spec{.paths = {folder.write("a.csv", csv)},
                                   .format = "csv",
                                   .columns = {{"text", {"text"}}, {"label", {"label"}}}};
  const auto source = open_source(spec, "data.train", {});
  ASSERT_TRUE(source) << source.error().message;
  const auto count = [&](std::uint32_t threads, std::size_t most) {
    const FirstPassPlan plan{
        .has_label = true, .text_fields = {0}, .threads = threads, .ngrams = 2, .most_words = most};
    const auto pass = take_first_pass(**source, plan);
    return pass ? pass->words.ranked() : Ranked{};
  };
  const Ranked bounded = count(1, 3000);
  ASSERT_FALSE(bounded.empty());
  EXPECT_LE(bounded.size(), 3000U);
  EXPECT_GT(count(1, WordCounts::kUsual).size(), 3000U);
  for (const std::uint32_t threads : {2U, 5U}) EXPECT_EQ(count(threads, 3000), bounded) << threads;
}

}  // namespace
}  // namespace ds::data
