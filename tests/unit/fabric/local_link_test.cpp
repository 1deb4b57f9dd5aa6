#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/fabric/station.hpp"

namespace ds::fabric {
namespace {

using namespace std::chrono_literals;

TEST(LocalLink, LendsABlockWithoutACopyAndKeepsItWholeUntilTheReceiverLetsGo) {
  Station a;
  Station b;
  for (unsigned round = 0; round < 20; ++round) {
    ASSERT_TRUE(a.send(b.self(), {pattern(1 << 20, round)}));
    auto got = b.frames.take();
    ASSERT_TRUE(got);
    Buffer kept = got->parts[0];
    got.reset();
    // The sender has let go; what it sends next must not be written over what was lent.
    ASSERT_TRUE(a.send(b.self(), {pattern(1 << 20, round + 1000)}));
    ASSERT_TRUE(b.frames.take());
    EXPECT_TRUE(kept == pattern(1 << 20, round));
  }
}

TEST(LocalLink, WhatWasLentStaysWholeWhenTheSenderIsGone) {
  Station b;
  std::vector<Buffer> kept;
  {
    Station a;
    for (unsigned i = 0; i < 10; ++i) ASSERT_TRUE(a.send(b.self(), {pattern(1 << 20, i)}));
    for (unsigned i = 0; i < 10; ++i) kept.push_back(b.frames.take()->parts[0]);
  }
  for (unsigned i = 0; i < 10; ++i) {
    const Buffer other = pattern(1 << 20, 1000 + i);  // memory that the sender gave back is used again
    EXPECT_TRUE(kept[i] == pattern(1 << 20, i));
  }
}

TEST(LocalLink, AReceiverThatKeepsEverythingDoesNotBlockTheSender) {
  Station a;
  Station b;
  std::vector<Buffer> kept;
  for (unsigned i = 0; i < 40; ++i) {  // far more than may be lent at a time
    ASSERT_TRUE(a.send(b.self(), {pattern(8 << 20, i)}));
    auto got = b.frames.take();
    ASSERT_TRUE(got);
    kept.push_back(got->parts[0]);
  }
  for (unsigned i = 0; i < 40; ++i) EXPECT_TRUE(kept[i] == pattern(8 << 20, i)) << i;
  EXPECT_EQ(a.losses.size() + b.losses.size(), 0u);
}

TEST(LocalLink, APollingThreadReceivesByItself) {
  Station a;
  Station b;
  ASSERT_TRUE(a.send(b.self(), text("hello")));
  ASSERT_TRUE(b.frames.take());
  b.transport->begin_polling();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(a.send(b.self(), text(std::to_string(i))));
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (b.frames.size() == 0 && std::chrono::steady_clock::now() < deadline) b.transport->poll();
    EXPECT_EQ(b.frames.take(0ms)->parts[0].text(), std::to_string(i));
  }
  b.transport->end_polling();
  ASSERT_TRUE(a.send(b.self(), text("and without")));
  EXPECT_TRUE(b.frames.take());
}

TEST(LocalLink, LeavesNoSegmentAndNoDescriptorBehind) {
  const auto count = [] {
    std::size_t entries = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++entries;
    return entries;
  };
  const auto segments = [] {
    std::ifstream maps("/proc/self/maps");
    std::size_t found = 0;
    for (std::string line; std::getline(maps, line);) {
      found +=
          line.find("memfd:ds-link") != std::string::npos || line.find("memfd:ds-page") != std::string::npos;
    }
    return found;
  };
  std::size_t before = 0;
  for (int round = 0; round < 6; ++round) {
    {
      Station a;
      Station b;
      ASSERT_TRUE(a.send(b.self(), {pattern(1 << 20, 1)}));
      ASSERT_TRUE(b.frames.take());
    }
    EXPECT_EQ(segments(), 0u);
    if (round == 2) before = count();  // UCX and the block pool have what they keep
  }
  EXPECT_LE(count(), before);
}

}  // namespace
}  // namespace ds::fabric
