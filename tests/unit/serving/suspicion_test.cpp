// Requests that kill the replicas that run them, among others that do not.
#include "actors/serving/suspicion.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace ds::serving {
namespace {

TEST(Suspicion, FallsOnWhatADeadReplicaHadAndIsHeldAgainstWhatTheNextOneRanAlone) {
  Suspicion request;
  request.on_sent();
  EXPECT_FALSE(request.is_suspect());
  EXPECT_TRUE(request.on_death()) << "it may have been another one";
  EXPECT_TRUE(request.is_suspect());
  request.on_sent();
  EXPECT_TRUE(request.on_death()) << "the replica died before it began";
  request.on_sent();
  request.on_begun();
  request.on_sent();
  EXPECT_TRUE(request.on_death()) << "that was at the replica before, which refused it";
  request.on_sent();
  request.on_begun();
  EXPECT_FALSE(request.on_death()) << "nothing else ran";
}

/// Replicas that run batches of what they have, and die of some of it; what a router does with the rest.
TEST(Suspicion, CostsTwoReplicasARequestAtMostAndNoOtherRequestIsGivenUp) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    constexpr std::size_t kRequests = 40, kReplicas = 3;
    std::vector<Suspicion> requests(kRequests);
    std::vector<bool> kills(kRequests), done(kRequests), refused(kRequests);
    std::vector<int> deaths(kRequests);
    for (std::size_t i = 0; i < kRequests; ++i) kills[i] = random() % 8 == 0;
    std::map<std::size_t, std::vector<std::size_t>> at;  // replica to its requests
    const auto send = [&](std::size_t request) {
      requests[request].on_sent();
      at[random() % kReplicas].push_back(request);
    };
    for (std::size_t i = 0; i < kRequests; ++i) send(i);
    const auto die = [&](std::vector<std::size_t>& has) {
      for (const auto one : std::exchange(has, {})) {
        if (requests[one].on_death()) {
          send(one);
        } else {
          done[one] = refused[one] = true;
        }
      }
    };
    for (int step = 0; step < 10'000 && std::ranges::count(done, false) > 0; ++step) {
      auto& has = at[random() % kReplicas];
      if (has.empty()) continue;
      if (random() % 16 == 0) {  // of something outside, before it begins a batch
        die(has);
        continue;
      }
      std::ranges::shuffle(has, random);
      std::vector<std::size_t> batch{has.front()};
      if (requests[has.front()].is_suspect()) {
        requests[has.front()].on_begun();
      } else {
        std::ranges::copy_if(has, std::back_inserter(batch), [&](auto one) {
          return one != has.front() && !requests[one].is_suspect() && random() % 2 == 0;
        });
      }
      const auto killer = std::ranges::find_if(batch, [&](auto one) { return kills[one]; });
      if (killer != batch.end()) {
        ++deaths[*killer];
        die(has);
        continue;
      }
      for (const auto one : batch) {
        done[one] = true;
        std::erase(has, one);
      }
    }
    for (std::size_t i = 0; i < kRequests; ++i) {
      ASSERT_TRUE(done[i]) << i;
      ASSERT_EQ(refused[i], kills[i]) << i;
      ASSERT_LE(deaths[i], 2) << i;
    }
  }
}

}  // namespace
}  // namespace ds::serving
