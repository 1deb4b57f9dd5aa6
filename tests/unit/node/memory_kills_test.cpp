#include "actors/node/memory_kills.hpp"

#include <gtest/gtest.h>

namespace ds::node {
namespace {

TEST(MemoryKills, AreReadFromTheKernelsCounters) {
  EXPECT_EQ(parse_memory_kills("drop_slab 0\noom_kill 42\nnuma_hit 7\n"), 42U);
  EXPECT_EQ(parse_memory_kills("oom_kill 3"), 3U);
  EXPECT_EQ(parse_memory_kills("oom_killer 3\nnr_oom_kill 4\n"), std::nullopt);
  EXPECT_EQ(parse_memory_kills("oom_kill\n"), std::nullopt);
  EXPECT_EQ(parse_memory_kills(""), std::nullopt);
}

TEST(MemoryKills, AreClaimedOnceEach) {
  MemoryKills kills(5);
  EXPECT_FALSE(kills.claim(5));
  EXPECT_TRUE(kills.claim(7));
  EXPECT_TRUE(kills.claim(7));
  EXPECT_FALSE(kills.claim(7));
}

TEST(MemoryKills, CanBeClaimedUntilTheSecondTickAfterThem) {
  MemoryKills kills(0);
  kills.on_tick(1);
  EXPECT_TRUE(kills.claim(1));
  kills.on_tick(2);
  kills.on_tick(2);
  EXPECT_FALSE(kills.claim(2));
  EXPECT_TRUE(kills.claim(3));
}

}  // namespace
}  // namespace ds::node
