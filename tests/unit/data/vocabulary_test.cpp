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

}  // namespace
}  // namespace ds::data
