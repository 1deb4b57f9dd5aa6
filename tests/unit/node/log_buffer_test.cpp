#include "actors/node/log_buffer.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "storage/text/utf8.hpp"

namespace ds::node {
namespace {

TEST(LogBuffer, SendsOnePieceAtATime) {
  LogBuffer buffer;
  buffer.add("one\n");
  EXPECT_EQ(buffer.take(), "one\n");
  buffer.add("two\n");
  EXPECT_EQ(buffer.take(), std::nullopt);
  buffer.on_taken();
  EXPECT_EQ(buffer.take(), "two\n");
  buffer.on_taken();
  EXPECT_TRUE(buffer.is_drained());
}

TEST(LogBuffer, CutsLongOutputAtLineEnds) {
  LogBuffer buffer;
  std::string all;
  for (int i = 0; i < 20'000; ++i) all += "line " + std::to_string(i) + "\n";
  buffer.add(all);
  std::string received;
  while (auto piece = buffer.take()) {
    EXPECT_LE(piece->size(), LogBuffer::kPieceBytes);
    EXPECT_EQ(piece->back(), '\n');
    received += *piece;
    buffer.on_taken();
  }
  EXPECT_EQ(received, all);
}

TEST(LogBuffer, SendsAgainWhatAVanishedHeadMayNotHaveTaken) {
  LogBuffer buffer;
  buffer.add("one\n");
  buffer.take();
  buffer.add("two\n");
  buffer.on_new_head();
  EXPECT_EQ(buffer.take(), "one\ntwo\n");
}

TEST(LogBuffer, DropsTheOldestBeyondItsBoundAndSaysSo) {
  LogBuffer buffer;
  for (int i = 0; i < 300; ++i) buffer.add(std::string(10'000, 'x') + "\n");
  buffer.add("the last line\n");
  std::string received;
  while (auto piece = buffer.take()) {
    received += *piece;
    buffer.on_taken();
  }
  EXPECT_LE(received.size(), LogBuffer::kMaxBytes + 100);
  EXPECT_NE(received.find("bytes of output were dropped here"), std::string::npos);
  EXPECT_TRUE(received.ends_with("the last line\n"));
}

TEST(LogBuffer, HoldsALineBackUntilItEndsWhenAskedTo) {
  LogBuffer buffer(true);
  buffer.add("one\ntw");
  EXPECT_EQ(buffer.take(), "one\n");
  buffer.on_taken();
  EXPECT_EQ(buffer.take(), std::nullopt);
  EXPECT_FALSE(buffer.is_drained());
  buffer.add("o");
  buffer.close();
  EXPECT_EQ(buffer.take(), "two");
}

TEST(LogBuffer, JoinsACharacterThatAReadHasCut) {
  const std::string text = "na\xC3\xAFve \xE2\x82\xAC 5 \xF0\x9F\x90\xA2";
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    LogBuffer buffer;
    std::string received;
    const auto take_all = [&] {
      while (const auto piece = buffer.take()) {
        EXPECT_EQ(storage::complete_utf8_prefix(*piece), piece->size()) << "cut at " << cut;
        received += *piece;
        buffer.on_taken();
      }
    };
    buffer.add(text.substr(0, cut));
    take_all();
    buffer.add(text.substr(cut));
    take_all();
    EXPECT_EQ(received, text);
    EXPECT_TRUE(buffer.is_drained());
  }
}

TEST(LogBuffer, LeavesWhatIsNoUtf8AsItIs) {
  LogBuffer buffer;
  const std::string bytes = "\xFF\xFE\x80 ok \xC3";
  buffer.add(bytes);
  auto received = buffer.take().value_or("");
  buffer.on_taken();
  EXPECT_EQ(received, bytes.substr(0, bytes.size() - 1)) << "the last byte may be the first of a character";
  buffer.close();
  received += buffer.take().value_or("");
  EXPECT_EQ(received, bytes);
}

TEST(LogBuffer, CutsALineThatIsLongerThanAPieceBetweenCharacters) {
  LogBuffer buffer;
  std::string text = "x";
  while (text.size() < 3 * LogBuffer::kPieceBytes) text += "\xE2\x82\xAC";
  buffer.add(text);
  std::string received;
  while (const auto piece = buffer.take()) {
    EXPECT_EQ(storage::complete_utf8_prefix(*piece), piece->size());
    received += *piece;
    buffer.on_taken();
  }
  EXPECT_EQ(received, text);
}

TEST(LogBuffer, CountsAllThatItHasDroppedAndSaysSoOnALineOfItsOwn) {
  LogBuffer buffer;
  buffer.add("no end");
  const auto first = buffer.take();
  std::size_t added = 0;
  for (int i = 0; i < 1'000; ++i) {
    buffer.add(std::string(9'999, 'x') + "\n");
    added += 10'000;
  }
  buffer.on_taken();
  const auto notice = buffer.take().value_or("");
  std::size_t dropped = 0;
  ASSERT_EQ(std::sscanf(notice.c_str(), "\n[ds: %zu bytes of output were dropped here]\n", &dropped), 1)
      << notice;
  std::size_t kept = notice.size() - notice.find("]\n") - 2;
  buffer.on_taken();
  while (const auto piece = buffer.take()) {
    kept += piece->size();
    buffer.on_taken();
  }
  EXPECT_EQ(dropped + kept, added);
}

}  // namespace
}  // namespace ds::node
