#include "actors/data/vocabulary.hpp"

#include <gtest/gtest.h>

namespace ds::data {
namespace {

std::vector<std::string> words_in(std::string_view text) {
  std::vector<std::string> words;
  for (std::string word = next_word(text); !word.empty(); word = next_word(text)) words.push_back(word);
  return words;
}

TEST(NextWord, SplitsAtEverythingThatIsNoLetterOrDigitAndLowersAscii) {
  EXPECT_EQ(words_in("  Don't STOP, 42nd-street!\tx\n"),
            (std::vector<std::string>{"don", "t", "stop", "42nd", "street", "x"}));
  EXPECT_TRUE(words_in("").empty());
  EXPECT_TRUE(words_in(" .,;!?-_'\"").empty());
}

TEST(NextWord, KeepsUtf8CharactersWhole) {
  EXPECT_EQ(words_in("Ärger über 日本語, ok"), (std::vector<std::string>{"Ärger", "über", "日本語", "ok"}));
}

TEST(NextWord, TakesAZeroByteAsASeparator) {
  EXPECT_EQ(words_in(std::string_view("a\0b", 3)), (std::vector<std::string>{"a", "b"}));
}

TEST(Vocabulary, NumbersWordsByFrequencyThenAlphabet) {
  const std::vector<std::string> texts{"b a c", "c b", "c d a"};
  const Vocabulary vocabulary = Vocabulary::of(texts, 100);
  EXPECT_EQ(vocabulary.words(), (std::vector<std::string>{"<pad>", "<unknown>", "c", "a", "b", "d"}));
}

TEST(Vocabulary, KeepsToItsLimitWithTheReservedWords) {
  const std::vector<std::string> texts{"b a c", "c b", "c d a"};
  EXPECT_EQ(Vocabulary::of(texts, 4).words(), (std::vector<std::string>{"<pad>", "<unknown>", "c", "a"}));
  EXPECT_EQ(Vocabulary::of(texts, 2).size(), 2U);
  EXPECT_EQ(Vocabulary::of(texts, 0).size(), 2U);
}

TEST(Vocabulary, EncodesWithUnknownsPaddingAndACut) {
  const std::vector<std::string> texts{"b a c", "c b", "c d a"};
  const Vocabulary vocabulary = Vocabulary::of(texts, 4);
  std::vector<std::int32_t> numbers(4, -7);
  vocabulary.encode("C, zebra!", numbers);
  EXPECT_EQ(numbers, (std::vector<std::int32_t>{2, 1, 0, 0}));
  vocabulary.encode("a c a c c c", numbers);
  EXPECT_EQ(numbers, (std::vector<std::int32_t>{3, 2, 3, 2}));
  vocabulary.encode("...", numbers);
  EXPECT_EQ(numbers, (std::vector<std::int32_t>{0, 0, 0, 0}));
}

TEST(Vocabulary, DoesNotTakeTextForAReservedWord) {
  const std::vector<std::string> texts{"pad unknown <pad>"};
  const Vocabulary vocabulary = Vocabulary::of(texts, 10);
  std::vector<std::int32_t> numbers(2);
  vocabulary.encode("<pad> <unknown>", numbers);
  EXPECT_EQ(numbers, (std::vector<std::int32_t>{2, 3}));
}

TEST(Vocabulary, PutsTheNgramsThatItKnowsBehindTheirLastWord) {
  const std::vector<std::string> texts{"new york city", "New York, city!", "york new"};
  const Vocabulary vocabulary = Vocabulary::of(texts, 100, 3);
  EXPECT_EQ(vocabulary.words(),
            (std::vector<std::string>{"<pad>", "<unknown>", "new", "york", "city", "new york",
                                      "new york city", "york city", "york new"}));
  std::vector<std::int32_t> numbers(8);
  vocabulary.encode("NEW york; city", numbers);
  EXPECT_EQ(numbers, (std::vector<std::int32_t>{2, 3, 5, 4, 7, 6, 0, 0}));
  vocabulary.encode("city zebra new york", numbers);
  EXPECT_EQ(numbers, (std::vector<std::int32_t>{4, 1, 2, 3, 5, 0, 0, 0})) << "no unknown n-grams";
}

TEST(Vocabulary, CutsBetweenAWordAndItsNgramsToo) {
  const std::vector<std::string> texts{"new york city", "new york city"};
  const Vocabulary vocabulary = Vocabulary::of(texts, 100, 3);
  std::vector<std::int64_t> all, numbers;
  vocabulary.encode("new york city york", 100, all);
  ASSERT_EQ(all.size(), 7U);
  for (std::size_t most = 0; most <= all.size(); ++most) {
    vocabulary.encode("new york city york", most, numbers);
    EXPECT_EQ(numbers, std::vector<std::int64_t>(all.begin(), all.begin() + static_cast<int>(most)));
  }
}

TEST(Vocabulary, IsTheSameAgainFromItsWordsAndItsNgrams) {
  const std::string text = std::string(70, 'x') + " of the of The " + std::string(70, 'x') + " of";
  const Vocabulary learnt = Vocabulary::of(std::vector<std::string>{text}, 7, 2);
  std::vector<std::int64_t> first, again, words_alone;
  learnt.encode(text, 100, first);
  Vocabulary(learnt.words(), 2).encode(text, 100, again);
  EXPECT_EQ(again, first);
  Vocabulary(learnt.words()).encode(text, 100, words_alone);
  EXPECT_EQ(words_alone.size(), 7U);
  EXPECT_GT(first.size(), words_alone.size());
}

}  // namespace
}  // namespace ds::data
