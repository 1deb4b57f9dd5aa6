#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "actors/fabric/process_page.hpp"
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

/// A page that this process can read and no other one: the kernel's own, mapped into every process.
std::span<const std::byte> page_for_us_alone() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("[vvar]") == std::string::npos) continue;
    const auto at = reinterpret_cast<const std::byte*>(std::stoull(line, nullptr, 16));
    std::byte copy{};
    const iovec to{&copy, 1};
    const iovec from{const_cast<std::byte*>(at), 1};
    if (::process_vm_readv(::getpid(), &to, 1, &from, 1, 0) < 0) return {at, 4096};
  }
  return {};
}

TEST(LocalLink, MemoryThatNoOtherProcessCanReadComesInFragments) {
  const auto unreadable = page_for_us_alone();
  if (unreadable.empty()) GTEST_SKIP() << "this system has no such page";
  Station a;
  Station b;
  for (unsigned round = 0; round < 5; ++round) {
    const Buffer beside = pattern(1 << 20, round);
    ASSERT_TRUE(a.send(b.self(), {beside, Buffer(nullptr, unreadable)}));
    auto got = b.frames.take();
    ASSERT_TRUE(got);
    EXPECT_TRUE(got->parts[0] == beside);
    EXPECT_EQ(got->parts[1].size(), unreadable.size());
  }
  EXPECT_EQ(a.losses.size() + b.losses.size(), 0u);
}

TEST(LocalLink, NobodyElseCanMoveAHeartbeat) {
  auto pulse = SharedSegment::create("ds-pulse", ProcessPulse::kBytes, SharedSegment::Writers::maker);
  ASSERT_TRUE(pulse);
  pulse->bytes()[0] = std::byte{7};
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, pulse->fd(), 0), MAP_FAILED);
  auto theirs =
      SharedSegment::attach(OwnedFd(::dup(pulse->fd())), ProcessPulse::kBytes, SharedSegment::Writers::maker);
  ASSERT_TRUE(theirs);
  EXPECT_EQ(theirs->bytes()[0], std::byte{7});
  EXPECT_NE(::mprotect(theirs->bytes().data(), 4096, PROT_READ | PROT_WRITE), 0);
  auto open = SharedSegment::create("ds-page", ProcessPulse::kBytes);
  ASSERT_TRUE(open);
  EXPECT_FALSE(
      SharedSegment::attach(OwnedFd(::dup(open->fd())), ProcessPulse::kBytes, SharedSegment::Writers::maker));
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
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;  // the iterator's own
      const std::string target = std::filesystem::read_symlink(entry.path(), gone);
      // How many blocks the pool keeps depends on when the last ones came back.
      if (target.find("memfd:ds-block") == std::string::npos) ++entries;
    }
    return entries;
  };
  const auto segments = [] {
    std::ifstream maps("/proc/self/maps");
    std::size_t found = 0;
    for (std::string line; std::getline(maps, line);) {
      for (const char* label : {"memfd:ds-link", "memfd:ds-page", "memfd:ds-pulse"})
        found += line.find(label) != std::string::npos;
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
