#include "actors/collective/transport_exchange.hpp"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/unit/fabric/peer_process.hpp"
#include "tests/unit/fabric/waiting.hpp"

namespace ds::collective {
namespace {

using fabric::PeerProcess;
using fabric::ProcessAddress;
using fabric::Transport;
using fabric::TransportOptions;

std::shared_ptr<Transport> start() {
  TransportOptions options;
  options.secret = "secret";
  return std::move(*Transport::start(options));
}

/// Hubs of several processes, and one generation of a gang over them.
struct Gang {
  explicit Gang(std::size_t size, std::size_t max_unreceived_bytes = kMaxUnreceivedBytes) {
    for (std::size_t i = 0; i < size; ++i) {
      transports.push_back(start());
      hubs.push_back(std::make_unique<ExchangeHub>(transports.back(), max_unreceived_bytes));
      members.push_back(transports.back()->self());
    }
    form(1);
  }
  void form(std::uint64_t generation) {
    exchanges.clear();
    for (std::uint32_t rank = 0; rank < hubs.size(); ++rank) {
      exchanges.push_back(*hubs[rank]->make("job", generation, rank, members));
    }
  }
  std::vector<std::shared_ptr<Transport>> transports;
  std::vector<ProcessAddress> members;
  std::vector<std::unique_ptr<ExchangeHub>> hubs;
  std::vector<std::shared_ptr<Exchange>> exchanges;
};

TEST(TransportExchange, MovesBuffersBetweenAllRanksByTag) {
  Gang gang(3);
  for (std::uint32_t from = 0; from < 3; ++from) {
    for (std::uint32_t to = 0; to < 3; ++to) {
      for (std::uint64_t tag : {2, 1}) {
        ASSERT_TRUE(
            gang.exchanges[from]->send(to, tag, Buffer::copy_of(std::to_string(from) + std::to_string(tag))));
      }
    }
  }
  for (std::uint32_t to = 0; to < 3; ++to) {
    for (std::uint32_t from = 0; from < 3; ++from) {
      for (std::uint64_t tag : {1, 2}) {
        EXPECT_EQ(gang.exchanges[to]->receive(from, tag)->text(), std::to_string(from) + std::to_string(tag));
      }
    }
  }
}

TEST(TransportExchange, KeepsTheOrderWithinATagAndMovesLargeBuffers) {
  Gang gang(2);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(
        gang.exchanges[0]->send(1, 7, Buffer::make(std::size_t{9} << 20, [&](std::span<std::byte> out) {
                                  std::fill(out.begin(), out.end(), static_cast<std::byte>(i));
                                })));
  }
  for (int i = 0; i < 5; ++i) {
    auto got = gang.exchanges[1]->receive(0, 7);
    ASSERT_TRUE(got);
    ASSERT_EQ(got->size(), std::size_t{9} << 20);
    EXPECT_EQ(got->bytes().front(), static_cast<std::byte>(i));
    EXPECT_EQ(got->bytes().back(), static_cast<std::byte>(i));
  }
}

TEST(TransportExchange, AbortWakesWhoWaitsAndTheFirstReasonStays) {
  Gang gang(2);
  auto waiting = std::async(std::launch::async, [&] { return gang.exchanges[0]->receive(1, 1); });
  gang.exchanges[0]->abort({ErrorCode::conflict, "a newer generation", {}});
  gang.exchanges[0]->abort({ErrorCode::internal, "too late", {}});
  EXPECT_EQ(waiting.get().error().message, "a newer generation");
  EXPECT_EQ(gang.exchanges[0]->send(1, 1, {}).error().code, ErrorCode::conflict);
  EXPECT_EQ(gang.exchanges[0]->receive(1, 2).error().code, ErrorCode::conflict);
}

TEST(TransportExchange, AbortStaysWithItsMemberUnlessItIsToReachEverybody) {
  Gang gang(3);
  gang.exchanges[0]->abort({ErrorCode::cancelled, "only here", {}});
  ASSERT_TRUE(gang.exchanges[1]->send(2, 1, Buffer::copy_of("still")));
  EXPECT_EQ(gang.exchanges[2]->receive(1, 1)->text(), "still");
  EXPECT_FALSE(gang.exchanges[1]->aborted());

  auto waiting = std::async(std::launch::async, [&] { return gang.exchanges[2]->receive(0, 1); });
  const Error why{ErrorCode::conflict, "rank 1 disagrees", "ask it"};
  gang.exchanges[1]->abort_everywhere(why);
  EXPECT_EQ(gang.exchanges[1]->aborted(), why);
  EXPECT_EQ(waiting.get().error(), why);
  EXPECT_EQ(gang.exchanges[2]->aborted(), why);
  EXPECT_EQ(gang.exchanges[0]->aborted()->message, "only here") << "the first reason stays";
}

TEST(TransportExchange, TheLossOfAMemberNamesItsRank) {
  PeerProcess peer("echo");
  auto transport = start();
  ExchangeHub hub(transport);
  auto exchange = *hub.make("job", 1, 0, {transport->self(), peer.address()});
  auto waiting = std::async(std::launch::async, [&] { return exchange->receive(1, 1); });
  peer.kill();
  auto result = waiting.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::unavailable);
  EXPECT_NE(result.error().message.find("rank 1"), std::string::npos) << result.error().message;
}

TEST(TransportExchange, AMemberThatNeverLivedIsNoticedToo) {
  auto transport = start();
  ExchangeHub hub(transport);
  auto exchange = *hub.make("job", 1, 0, {transport->self(), {5, "127.0.0.1", 1}});
  EXPECT_EQ(exchange->receive(1, 1).error().code, ErrorCode::unavailable);
}

TEST(TransportExchange, FramesOfAnOlderGenerationAreDropped) {
  Gang gang(2);
  auto old = gang.exchanges[0];
  gang.form(2);
  ASSERT_TRUE(old->send(1, 1, Buffer::copy_of("late")));
  ASSERT_TRUE(gang.exchanges[0]->send(1, 1, Buffer::copy_of("new")));
  EXPECT_EQ(gang.exchanges[1]->receive(0, 1)->text(), "new");
}

TEST(TransportExchange, UnreceivedBytesAreBounded) {
  Gang gang(2, 1000);
  ASSERT_TRUE(gang.exchanges[0]->send(1, 1, Buffer::copy_of(std::string(600, 'x'))));
  ASSERT_TRUE(gang.exchanges[0]->send(1, 2, Buffer::copy_of(std::string(600, 'x'))));
  EXPECT_EQ(gang.exchanges[1]->receive(0, 3).error().code, ErrorCode::resource_exhausted);
  ASSERT_TRUE(gang.exchanges[0]->send(0, 1, Buffer::copy_of(std::string(1001, 'x'))));
  EXPECT_EQ(gang.exchanges[0]->receive(0, 1).error().code, ErrorCode::resource_exhausted);
}

TEST(TransportExchange, AStrangerCannotSpeakForARank) {
  Gang gang(2);
  auto stranger = start();
  ExchangeHub hub(stranger);
  // It claims rank 0, but it is another process.
  auto forged = *hub.make("job", 1, 0, {stranger->self(), gang.members[1]});
  ASSERT_TRUE(forged->send(1, 1, Buffer::copy_of("forged")));
  ASSERT_TRUE(gang.exchanges[0]->send(1, 1, Buffer::copy_of("true")));
  EXPECT_EQ(gang.exchanges[1]->receive(0, 1)->text(), "true");
}

TEST(TransportExchange, RefusesWhatDoesNotFitTogether) {
  Gang gang(2);
  EXPECT_EQ(gang.hubs[0]->make("job", 1, 0, gang.members).error().code, ErrorCode::already_exists);
  EXPECT_EQ(gang.hubs[0]->make("job", 2, 2, gang.members).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(gang.hubs[0]->make("job", 2, 0, {ProcessAddress{}}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(gang.exchanges[0]->send(2, 1, {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(gang.exchanges[0]->receive(9, 1).error().code, ErrorCode::invalid_argument);
}

TEST(TransportExchange, TheEndOfTheHubWakesWhoWaits) {
  Gang gang(2);
  auto waiting = std::async(std::launch::async, [&] { return gang.exchanges[0]->receive(1, 1); });
  gang.hubs[0].reset();
  EXPECT_EQ(waiting.get().error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace ds::collective
