#include "actors/job/server_commits.hpp"

#include <gtest/gtest.h>

namespace ds::job {
namespace {

using parameters::Commit;

Commit commit_of(std::uint64_t step, double learning_rate) {
  return {step, true, 1, learning_rate, step + 1, {}};
}

TEST(ServerCommits, AreFoundByTheStepThatTheyMade) {
  ServerCommits commits;
  commits.on_paused(1, {commit_of(6, 0.1)});
  commits.on_paused(2, {commit_of(7, 0.1)});
  EXPECT_EQ(commits.that_made(8), std::vector{commit_of(7, 0.1)});
  EXPECT_TRUE(commits.that_made(9).empty());
  commits.on_lost(2);
  EXPECT_TRUE(commits.that_made(8).empty());
}

TEST(ServerCommits, OfAServerThatBeganAnewAreForgotten) {
  ServerCommits commits;
  commits.on_paused(1, {commit_of(7, 0.1)});
  // All begin anew from step 7; only the second makes the next step, another one than before.
  commits.on_paused(1, {});
  commits.on_paused(2, {commit_of(7, 0.2)});
  EXPECT_EQ(commits.that_made(8), std::vector{commit_of(7, 0.2)});
}

}  // namespace
}  // namespace ds::job
