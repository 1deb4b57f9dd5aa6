#include "actors/node/fence.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <limits>

#include "tests/unit/node/process_life.hpp"

namespace ds::node {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

TEST(Fence, HasNoEndBeforeAHeadHasSaidAnything) {
  const auto fence = Fence::make();
  EXPECT_EQ(fence->left_ns(0), std::numeric_limits<std::int64_t>::max());
}

TEST(Fence, IsExtendedButNeverCutShort) {
  auto fence = Fence::make();
  const auto now = Fence::now_ns();
  EXPECT_FALSE(fence->extend(now + 100 * kSecond));
  EXPECT_FALSE(fence->extend(now + 50 * kSecond));
  EXPECT_GT(fence->left_ns(0), 60 * kSecond);
  EXPECT_FALSE(fence->extend(now + 200 * kSecond));
  EXPECT_GT(fence->left_ns(0), 150 * kSecond);
}

TEST(Fence, OfATermThatIsOverStaysClosed) {
  auto fence = Fence::make();
  const auto first = fence->term();
  fence->extend(Fence::now_ns() + kSecond / 100);
  ASSERT_TRUE(holds_soon([&] { return fence->left_ns(first) == 0; }));
  EXPECT_FALSE(fence->extend(Fence::now_ns() - 1)) << "an answer that came too late";
  EXPECT_EQ(fence->term(), first);
  EXPECT_TRUE(fence->extend(Fence::now_ns() + 100 * kSecond));
  EXPECT_EQ(fence->left_ns(first), 0);
  EXPECT_GT(fence->left_ns(fence->term()), 0);
}

TEST(Fence, IsSeenByProcessesThatWereForkedBefore) {
  auto fence = Fence::make();
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 30'000 && fence->left_ns(0) == std::numeric_limits<std::int64_t>::max(); ++i)
      usleep(1'000);
    _exit(fence->left_ns(0) < 101 * kSecond ? 7 : 1);
  }
  fence->extend(Fence::now_ns() + 100 * kSecond);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

}  // namespace
}  // namespace ds::node
