#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "tests/unit/fabric/station.hpp"

namespace ds::fabric {
namespace {

using namespace std::chrono_literals;

/// Every way that frames can take between two processes of this host.
enum class Way { lent, read, fragments, network };

TransportOptions over(Way way) {
  TransportOptions result = options();
  result.lanes = way == Way::network ? Lanes::network : Lanes::automatic;
  result.read_peer_memory = way != Way::fragments;
  return result;
}

class TransportOver : public testing::TestWithParam<Way> {
 protected:
  TransportOptions ours() const { return over(GetParam()); }
};

std::string name_of(const testing::TestParamInfo<Way>& info) {
  const char* names[] = {"LentBlocks", "ReadMemory", "Fragments", "Network"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(EveryWay, TransportOver,
                         testing::Values(Way::lent, Way::read, Way::fragments, Way::network), name_of);

/// The ways on which a large frame takes its time: one that is lent is there at once.
class TransportThatCopies : public TransportOver {};
INSTANTIATE_TEST_SUITE_P(EveryWay, TransportThatCopies,
                         testing::Values(Way::read, Way::fragments, Way::network), name_of);

// In memory that can be lent, or not.
Buffer pattern_for(Way way, std::size_t size, unsigned seed) {
  Buffer made = pattern(size, seed);
  if (way != Way::read) return made;
  auto heap = std::make_shared<std::vector<std::byte>>(made.bytes().begin(), made.bytes().end());
  const std::span<const std::byte> bytes(*heap);
  return Buffer(std::move(heap), bytes);
}

TEST_P(TransportOver, DeliversFramesOfAllSizesInOrderAndWhole) {
  Station a(ours());
  Station b(ours());
  const std::size_t sizes[] = {0, 1, 4096, 1 << 20, 33 << 20, 100, 70000, 8192, 0, 5};
  unsigned seed = 0;
  std::vector<Transport::Parts> sent;
  for (std::size_t size : sizes) {
    for (std::size_t parts = 0; parts < 4; ++parts) {
      Transport::Parts frame;
      for (std::size_t part = 0; part < parts; ++part)
        frame.push_back(pattern_for(GetParam(), part == 1 ? size : size / 3, ++seed));
      sent.push_back(frame);
      ASSERT_TRUE(a.send(b.self(), frame));
    }
  }
  for (const auto& frame : sent) {
    auto got = b.frames.take();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->from, a.self());
    ASSERT_EQ(got->parts.size(), frame.size());
    for (std::size_t i = 0; i < frame.size(); ++i) EXPECT_TRUE(got->parts[i] == frame[i]) << frame[i].size();
  }
  EXPECT_EQ(a.losses.size() + b.losses.size(), 0u);
}

TEST_P(TransportOver, KeepsTheOrderOfTenThousandMixedFramesFromManyThreads) {
  Station a(ours());
  Station b(ours());
  constexpr int kThreads = 4;
  constexpr int kEach = 2500;
  std::vector<std::thread> senders;
  for (int t = 0; t < kThreads; ++t) {
    senders.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        Transport::Parts frame = text(std::to_string(t) + " " + std::to_string(i));
        if (i % 100 == 0) frame.push_back(pattern_for(GetParam(), 200'000, 1));
        while (!a.send(b.self(), frame)) std::this_thread::yield();
      }
    });
  }
  std::vector<int> next(kThreads, 0);
  for (int i = 0; i < kThreads * kEach; ++i) {
    auto got = b.frames.take();
    ASSERT_TRUE(got);
    int thread = 0;
    int number = 0;
    ASSERT_EQ(std::sscanf(std::string(got->parts[0].text()).c_str(), "%d %d", &thread, &number), 2);
    ASSERT_EQ(number, next[static_cast<std::size_t>(thread)]++);
  }
  for (auto& sender : senders) sender.join();
}

TEST_P(TransportThatCopies, AnswersRequestsAllTheWhileALargeFrameIsOnItsWay) {
  Station a(ours());
  Station b(ours());
  std::atomic<bool> arrived{false};
  b.transport->on_frame(Channel::actors, [&](const ProcessAddress& from, Transport::Parts parts) {
    if (parts[0].size() > 100) {
      arrived = true;
    } else {
      EXPECT_TRUE(b.transport->send(from, Channel::actors, std::move(parts), 2));
    }
  });
  const auto ask = [&] {
    ASSERT_TRUE(a.transport->send(b.self(), Channel::actors, text("question"), 2));
    ASSERT_TRUE(a.frames.take());
  };
  ask();  // connects
  ASSERT_TRUE(a.transport->send(b.self(), Channel::actors, {pattern_for(GetParam(), 128 << 20, 1)}, 1));
  int answered = 0;
  while (!arrived) {
    ask();
    if (HasFatalFailure()) return;
    if (!arrived) ++answered;
  }
  // One that waited for what is queued before it would be answered after the frame, or just before it.
  EXPECT_GE(answered, 5);
}

TEST_P(TransportOver, TwoProcessesThatConnectAtOnceStayConnected) {
  for (int round = 0; round < 5; ++round) {
    Station a(ours());
    Station b(ours());
    ASSERT_TRUE(a.send(b.self(), text("from a")));
    ASSERT_TRUE(b.send(a.self(), text("from b")));
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(a.send(b.self(), text(std::to_string(i))));
      ASSERT_TRUE(b.send(a.self(), text(std::to_string(i))));
    }
    for (Station* station : {&a, &b}) {
      ASSERT_TRUE(station->frames.take());
      for (int i = 0; i < 50; ++i) {
        auto got = station->frames.take();
        ASSERT_TRUE(got);
        EXPECT_EQ(got->parts[0].text(), std::to_string(i));
      }
      EXPECT_EQ(station->losses.size(), 0u);
    }
  }
}

TEST_P(TransportOver, FindsOutWhoListensAtAnAddressWithoutId) {
  Station a(ours());
  Station b(ours());
  ProcessAddress nameless = b.self();
  nameless.id = 0;
  ASSERT_TRUE(a.send(nameless, text("who are you")));
  ASSERT_TRUE(a.send(nameless, text("again")));
  EXPECT_EQ(b.frames.take()->parts[0].text(), "who are you");
  ASSERT_TRUE(b.send(a.self(), text("b")));
  EXPECT_EQ(a.frames.take()->from, b.self());
  EXPECT_EQ(b.frames.take()->parts[0].text(), "again");
  const ProcessAddress named = b.self();
  b.transport.reset();
  EXPECT_EQ(a.losses.take()->peer, named);
  EXPECT_EQ(a.losses.take()->peer, nameless);
}

TEST_P(TransportOver, PeersLearnAtOnceThatItEnds) {
  Station a(ours());
  auto b = std::make_unique<Station>(ours());
  const ProcessAddress address = b->self();
  ASSERT_TRUE(a.send(address, text("hello")));
  ASSERT_TRUE(b->frames.take());
  b.reset();
  auto loss = a.losses.take();
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->peer, address);
  EXPECT_FALSE(a.losses.take(50ms));
}

TEST_P(TransportOver, DropsAPeerOnRequest) {
  Station a(ours());
  Station b(ours());
  ASSERT_TRUE(a.send(b.self(), text("hello")));
  ASSERT_TRUE(b.frames.take());
  a.transport->drop(b.self(), Error{ErrorCode::cancelled, "had enough", {}});
  auto loss = a.losses.take();
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->why.message, "had enough");
  EXPECT_EQ(b.losses.take()->peer, a.self());
  ASSERT_TRUE(a.send(b.self(), text("again")));
  EXPECT_TRUE(b.frames.take());
}

TEST_P(TransportOver, SendsWhatWasQueuedBeforeItEnds) {
  Station b(ours());
  {
    Station a(ours());
    for (int i = 0; i < 20; ++i)
      ASSERT_TRUE(a.send(b.self(), {pattern_for(GetParam(), 1 << 20, static_cast<unsigned>(i))}));
  }
  for (unsigned i = 0; i < 20; ++i) {
    auto got = b.frames.take();
    ASSERT_TRUE(got) << i;
    EXPECT_TRUE(got->parts[0] == pattern_for(GetParam(), 1 << 20, i));
  }
}

TEST_P(TransportOver, ASmallFrameOfAnotherStreamNeedNotWaitForABigOne) {
  Station a(ours());
  Station b(ours());
  ASSERT_TRUE(a.send(b.self(), text("hello")));
  ASSERT_TRUE(b.frames.take());
  const Buffer big = pattern_for(GetParam(), 64 << 20, 1);
  ASSERT_TRUE(a.transport->send(b.self(), Channel::actors, {big}, 1));
  ASSERT_TRUE(a.transport->send(b.self(), Channel::actors, text("after the big one"), 1));
  ASSERT_TRUE(a.transport->send(b.self(), Channel::actors, text("another's"), 2));
  ASSERT_TRUE(a.transport->send(b.self(), Channel::actors, text("after all"), kInOrder));
  std::vector<std::string> order;
  for (int i = 0; i < 4; ++i) {
    auto got = b.frames.take();
    ASSERT_TRUE(got);
    order.push_back(got->parts[0].size() > 100 ? "big" : std::string(got->parts[0].text()));
  }
  EXPECT_EQ(order.back(), "after all");
  std::erase(order, "another's");
  EXPECT_EQ(order, (std::vector<std::string>{"big", "after the big one", "after all"}));
}

TEST_P(TransportOver, KeepsTheOrderOfWhatPilesUpBeforeASlowReceiver) {
  TransportOptions patient = ours();
  patient.heartbeat_timeout = 60s;  // its handler blocks the progress thread, which no handler should
  Station a(patient);
  Station b(patient);
  std::promise<void> go;
  auto may_go = go.get_future().share();
  b.transport->on_frame(Channel::actors, [&, may_go](const ProcessAddress& from, Transport::Parts parts) {
    may_go.wait();
    b.frames.put({from, std::move(parts)});
  });
  std::size_t sent = 0;
  const auto send = [&](std::size_t padding) {
    Transport::Parts frame = text(std::to_string(sent));
    if (padding != 0) frame.push_back(pattern_for(GetParam(), padding, 1));
    ASSERT_TRUE(a.send(b.self(), frame));
    ++sent;
  };
  for (int i = 0; i < 5000; ++i) send(100);
  send(20'000);
  send(0);
  for (int i = 0; i < 1100; ++i) send(20'000);
  go.set_value();
  for (std::size_t i = 0; i < sent; ++i) {
    auto got = b.frames.take();
    ASSERT_TRUE(got) << i;
    ASSERT_EQ(got->parts[0].text(), std::to_string(i));
  }
  EXPECT_EQ(a.losses.size() + b.losses.size(), 0u);
}

}  // namespace
}  // namespace ds::fabric
