#include "actors/node/log_buffer.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace ds::node
