#include "actors/fabric/block_pool.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace ds::fabric {
namespace {

TEST(BlockPool, UsesABlockAgainWhenItsLastOwnerHasLetGo) {
  auto first = take_block(1 << 20);
  auto second_owner = first;
  const std::byte* memory = first.get();
  first.reset();
  auto other = take_block(1 << 20);
  EXPECT_NE(other.get(), memory);
  second_owner.reset();
  EXPECT_EQ(take_block(1 << 20).get(), memory);
}

TEST(BlockPool, KeepsNoMoreThanItsBound) {
  std::vector<std::shared_ptr<std::byte[]>> blocks;
  for (int i = 0; i < 9; ++i) blocks.push_back(take_block(std::size_t{64} << 20));
  blocks.clear();
  EXPECT_LE(pooled_bytes(), kMaxPooledBytes);
  EXPECT_GT(pooled_bytes(), 0u);
}

TEST(BlockPool, FindsWhereBytesOfALargeBlockLie) {
  auto block = take_block(1 << 20);
  auto part = find_shared_part({block.get() + 4096, 500'000});
  ASSERT_TRUE(part);
  EXPECT_EQ(part->offset, 4096u);
  EXPECT_GE(part->block_bytes, std::size_t{1} << 20);
  EXPECT_GE(part->fd, 0);
  EXPECT_FALSE(find_shared_part({block.get(), part->block_bytes + 1}));
  const std::vector<std::byte> heap(1 << 20);
  EXPECT_FALSE(find_shared_part(heap));
}

TEST(BlockPool, NeverUsesARetiredBlockAgain) {
  auto block = take_block(1 << 20);
  const std::uint64_t number = find_shared_part({block.get(), 1 << 20})->block;
  retire_block({block.get(), 1 << 20});
  EXPECT_FALSE(find_shared_part({block.get(), 1 << 20}));
  block.reset();
  for (int i = 0; i < 10; ++i) {
    auto next = take_block(1 << 20);
    EXPECT_NE(find_shared_part({next.get(), 1 << 20})->block, number);
  }
}

TEST(BlockPool, FallsBackToTheHeapBeyondItsDescriptors) {
  std::vector<std::shared_ptr<std::byte[]>> blocks;
  for (std::size_t i = 0; i < kMaxSharedBlocks + 10; ++i) blocks.push_back(take_block(kPooledFrom));
  std::size_t shared = 0;
  for (const auto& block : blocks) shared += find_shared_part({block.get(), kPooledFrom}) ? 1 : 0;
  EXPECT_LE(shared, kMaxSharedBlocks);
  EXPECT_GT(shared, 0u);
  for (const auto& block : blocks) block[kPooledFrom - 1] = std::byte{1};
}

TEST(BlockPool, ServesManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 2000; ++i) {
        auto block = take_block(kPooledFrom + static_cast<std::size_t>(i % 7) * 30'000);
        block[0] = static_cast<std::byte>(t);
        std::this_thread::yield();
        ASSERT_EQ(block[0], static_cast<std::byte>(t));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace ds::fabric
