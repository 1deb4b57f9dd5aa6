#include "actors/worker/server_link.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace ds::worker {
namespace {

using namespace parameters;

struct Sent {
  std::uint32_t range = 0;
  std::uint64_t ticket = 0;
};

/// A link whose requests are kept instead of sent.
struct Fixture {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Sent> sent;
  ServerLink link{{{0, 4096}, {4096, 5000}}, {71, 72}, [this](auto range, auto ticket, const Request&) {
                    std::lock_guard lock(mutex);
                    sent.push_back({range, ticket});
                    changed.notify_all();
                  }};

  std::vector<Sent> wait_for(std::size_t count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return sent.size() >= count; });
    return sent;
  }
};

std::vector<RangeRequest> two_pulls() {
  return {{0, Pull{}}, {1, Pull{}}};
}

Answer pulled(std::uint64_t version) {
  Pulled answer;
  answer.version = version;
  return answer;
}

TEST(ServerLink, ReturnsAnswersInTheOrderOfTheRequests) {
  Fixture f;
  std::thread servers([&] {
    const auto sent = f.wait_for(2);
    f.link.on_answer(sent[1].ticket, pulled(11));
    f.link.on_answer(sent[1].ticket, pulled(99));  // again: nobody waits for it
    f.link.on_answer(sent[0].ticket, pulled(10));
  });
  const auto answers = f.link.call(two_pulls());
  servers.join();
  ASSERT_TRUE(answers);
  EXPECT_EQ(*answers, (std::vector<Answer>{pulled(10), pulled(11)}));
  EXPECT_EQ(f.sent[0].range, 0U);
  EXPECT_EQ(f.sent[1].range, 1U);
}

TEST(ServerLink, EndsACallWithTheFirstFailureAndGoesOnAfterwards) {
  Fixture f;
  std::thread servers([&] {
    auto sent = f.wait_for(2);
    f.link.on_answer(sent[1].ticket, fail(ErrorCode::conflict, "no"));
    sent = f.wait_for(4);
    f.link.on_answer(sent[0].ticket, pulled(1));  // late, of the call before
    f.link.on_answer(sent[2].ticket, pulled(2));
    f.link.on_answer(sent[3].ticket, pulled(3));
  });
  const auto refused = f.link.call(two_pulls());
  const auto answers = f.link.call(two_pulls());
  servers.join();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "no");
  ASSERT_TRUE(answers);
  EXPECT_EQ(*answers, (std::vector<Answer>{pulled(2), pulled(3)}));
}

TEST(ServerLink, HasOneRequestAtATimeOnItsWayToAServer) {
  std::mutex mutex;
  std::vector<Sent> sent;
  ServerLink* answered = nullptr;
  std::vector<std::thread> servers;
  ServerLink link({{0, 1}, {1, 2}, {2, 3}, {3, 4}}, {5, 6, 5, 5},
                  [&](std::uint32_t range, std::uint64_t ticket, const Request&) {
                    std::lock_guard lock(mutex);
                    sent.push_back({range, ticket});
                    servers.emplace_back([&, ticket] { answered->on_answer(ticket, pulled(ticket)); });
                  });
  answered = &link;
  const auto answers = link.call({{0, Pull{}}, {1, Pull{}}, {2, Pull{}}, {3, Pull{}}});
  for (std::thread& server : servers) server.join();
  ASSERT_TRUE(answers);
  EXPECT_EQ(*answers, (std::vector<Answer>{pulled(1), pulled(2), pulled(3), pulled(4)}));
  std::vector<std::uint32_t> to_first;
  for (const Sent& one : sent) {
    if (one.range != 1) to_first.push_back(one.range);
  }
  EXPECT_EQ(to_first, (std::vector<std::uint32_t>{0, 2, 3}));
}

TEST(ServerLink, SendsNothingMoreToAServerThatHasNotAnswered) {
  std::vector<std::uint32_t> sent;
  std::mutex mutex;
  std::condition_variable changed;
  ServerLink link({{0, 1}, {1, 2}}, {5, 5}, [&](std::uint32_t range, std::uint64_t, const Request&) {
    std::lock_guard lock(mutex);
    sent.push_back(range);
    changed.notify_all();
  });
  std::thread caller([&] { EXPECT_FALSE(link.call({{0, Pull{}}, {1, Pull{}}})); });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !sent.empty(); });
  }
  link.abort({ErrorCode::cancelled, "the generation ended", {}});
  caller.join();
  EXPECT_EQ(sent, (std::vector<std::uint32_t>{0}));
}

TEST(ServerLink, FailsTheCallInProgressAndAllLaterOnesWhenItIsAborted) {
  Fixture f;
  std::thread other([&] {
    f.wait_for(2);
    f.link.abort({ErrorCode::cancelled, "the generation ended", {}});
  });
  const auto cut = f.link.call(two_pulls());
  other.join();
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::cancelled);
  EXPECT_FALSE(f.link.call(two_pulls()));
  EXPECT_EQ(f.sent.size(), 2U) << "an aborted link sent something";
}

}  // namespace
}  // namespace ds::worker
