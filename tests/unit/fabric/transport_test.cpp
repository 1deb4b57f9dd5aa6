#include "actors/fabric/transport.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <numeric>
#include <random>
#include <thread>

#include "tests/unit/fabric/peer_process.hpp"
#include "tests/unit/fabric/waiting.hpp"

namespace ds::fabric {
namespace {

using namespace std::chrono_literals;

TransportOptions options(const std::string& secret = "secret") {
  TransportOptions result;
  result.secret = secret;
  return result;
}

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

struct Frame {
  ProcessAddress from;
  Transport::Parts parts;
};
struct Loss {
  ProcessAddress peer;
  Error why;
};

/// A transport whose frames and losses are kept.
struct Station {
  explicit Station(TransportOptions with = options()) {
    auto started = Transport::start(with);
    if (!started) throw std::runtime_error(started.error().message);
    transport = std::move(*started);
    transport->on_frame(Channel::actors, [this](const ProcessAddress& from, Transport::Parts parts) {
      frames.put({from, std::move(parts)});
    });
    transport->add_on_lost([this](const ProcessAddress& peer, const Error& why) { losses.put({peer, why}); });
  }
  ~Station() { transport.reset(); }
  const ProcessAddress& self() const { return transport->self(); }
  Result<void> send(const ProcessAddress& to, Transport::Parts parts) {
    return transport->send(to, Channel::actors, std::move(parts));
  }

  Inbox<Frame> frames;
  Inbox<Loss> losses;
  std::unique_ptr<Transport> transport;
};

Buffer pattern(std::size_t size, unsigned seed) {
  return Buffer::make(size, [&](std::span<std::byte> out) {
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<std::byte>(i % 997 == 0 ? random() : i * 31 + seed);
  });
}

// In memory that can be lent, or not.
Buffer pattern_for(Way way, std::size_t size, unsigned seed) {
  Buffer made = pattern(size, seed);
  if (way != Way::read) return made;
  auto heap = std::make_shared<std::vector<std::byte>>(made.bytes().begin(), made.bytes().end());
  const std::span<const std::byte> bytes(*heap);
  return Buffer(std::move(heap), bytes);
}

Transport::Parts text(std::string_view words) {
  return {Buffer::copy_of(words)};
}

// Sends raw bytes to a port, as somebody would who knows nothing of us. Gives up soon when nobody answers
// there.
void send_raw(std::uint16_t port, std::string_view bytes) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const timeval patience{0, 200'000};
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  std::size_t sent = 0;
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    while (sent < bytes.size()) {
      const auto count = ::send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) break;  // it hung up on us, as it may
      sent += static_cast<std::size_t>(count);
    }
  }
  ::close(socket);
}

// Every TCP port on which this process listens.
std::vector<std::uint16_t> listening_ports() {
  std::vector<std::uint16_t> ports;
  for (int fd = 3; fd < 1024; ++fd) {
    int listening = 0;
    socklen_t length = sizeof(listening);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || listening == 0) continue;
    sockaddr_in address{};
    length = sizeof(address);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    if (address.sin_family == AF_INET) ports.push_back(ntohs(address.sin_port));
  }
  return ports;
}

std::uint16_t unused_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  ::close(socket);
  return ntohs(address.sin_port);
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

TEST(Transport, RefusesAProcessWithAnotherSecret) {
  Station a;
  Station b(options("another"));
  ASSERT_TRUE(a.send(b.self(), text("hello")));
  auto loss = a.losses.take();
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->peer.id, b.self().id);
  EXPECT_EQ(loss->why.code, ErrorCode::permission_denied);
  EXPECT_EQ(b.frames.size(), 0u);
  Station friend_of_b(options("another"));
  ASSERT_TRUE(friend_of_b.send(b.self(), text("welcome")));
  EXPECT_EQ(b.frames.take()->parts[0].text(), "welcome");
}

TEST(Transport, SurvivesGarbageAtItsPort) {
  Station a;
  Station b;
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    std::string garbage(static_cast<std::size_t>(round) * 997, '\0');
    for (char& c : garbage) c = static_cast<char>(random());
    send_raw(b.self().port, garbage);
  }
  send_raw(b.self().port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  send_raw(b.self().port, std::string(100'000, '\xff'));
  ASSERT_TRUE(a.send(b.self(), text("still here?")));
  auto got = b.frames.take();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->parts[0].text(), "still here?");
}

TEST(Transport, ItsOtherPortsSurviveGarbageToo) {
  Station a;
  Station b;
  ASSERT_TRUE(a.send(b.self(), text("hello")));  // UCX's listener is open while a comes in
  ASSERT_TRUE(b.frames.take());
  for (std::uint16_t port : listening_ports()) {
    for (int round = 0; round < 5; ++round)
      send_raw(port, std::string(static_cast<std::size_t>(round) * 501, '\x2a'));
  }
  Station c;
  ASSERT_TRUE(c.send(b.self(), text("still here?")));
  EXPECT_TRUE(b.frames.take());
}

TEST(Transport, ReportsAnAddressWhereNobodyListens) {
  Station a;
  const ProcessAddress nobody{42, "127.0.0.1", unused_port()};
  ASSERT_TRUE(a.send(nobody, text("hello?")));
  auto loss = a.losses.take();
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->peer, nobody);
}

TEST(Transport, RefusesAnotherProcessAtTheAddress) {
  Station a;
  Station b;
  ProcessAddress predecessor = b.self();
  predecessor.id ^= 1;
  ASSERT_TRUE(a.send(predecessor, text("for your predecessor")));
  auto loss = a.losses.take();
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->peer, predecessor);
  EXPECT_EQ(loss->why.code, ErrorCode::unavailable);
  ASSERT_TRUE(a.send(b.self(), text("for you")));
  EXPECT_EQ(b.frames.take()->parts[0].text(), "for you");
  EXPECT_EQ(b.frames.size(), 0u);
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

TEST(Transport, ReportsAKilledPeerOnce) {
  PeerProcess peer("echo");
  Station a;
  ASSERT_TRUE(a.send(peer.address(), text("hello")));
  ASSERT_TRUE(a.frames.take());
  peer.kill();
  auto loss = a.losses.take();
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->peer, peer.address());
  EXPECT_FALSE(a.losses.take(100ms));
  ASSERT_TRUE(a.send(peer.address(), text("are you back?")));
  loss = a.losses.take();
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->peer, peer.address());
}

TEST(Transport, ReportsAPeerThatDiesUnderLoadOnceAndReleasesItsFrames) {
  PeerProcess peer("echo");
  Station a;
  auto owner = std::make_shared<int>(0);
  std::vector<std::byte> memory(4 << 20);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(a.send(peer.address(), {Buffer::copy_of("x"), Buffer(owner, memory)}));
    if (i == 20) {
      ASSERT_TRUE(a.frames.take());
    }
    if (i == 30) peer.kill();
  }
  std::size_t losses = 0;
  while (owner.use_count() > 1) {
    ASSERT_TRUE(a.losses.take());
    ++losses;
    const auto deadline = std::chrono::steady_clock::now() + 1s;
    while (owner.use_count() > 1 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  }
  EXPECT_LE(losses,
            2u);  // the second is of a connection attempt by frames that were queued after the first loss
}

TEST(Transport, GivesUpAPeerThatIsStopped) {
  TransportOptions quick = options();
  quick.heartbeat_interval = 50ms;
  quick.heartbeat_timeout = 400ms;
  PeerProcess peer("echo");
  Station a(quick);
  ASSERT_TRUE(a.send(peer.address(), text("hello")));
  ASSERT_TRUE(a.frames.take());
  EXPECT_FALSE(a.losses.take(50ms));
  peer.signal(SIGSTOP);
  auto loss = a.losses.take();
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->why.code, ErrorCode::deadline_exceeded);
  peer.signal(SIGCONT);
}

TEST(Transport, KeepsAnIdleConnectionBeyondItsTimeout) {
  TransportOptions quick = options();
  quick.heartbeat_interval = 100ms;
  quick.heartbeat_timeout = 1500ms;
  Station a(quick);
  Station b(quick);
  ASSERT_TRUE(a.send(b.self(), text("1")));
  ASSERT_TRUE(b.frames.take());
  EXPECT_FALSE(a.losses.take(3s));
  EXPECT_EQ(b.losses.size(), 0u);
}

TEST(Transport, BoundsWhatWaitsForAPeer) {
  TransportOptions small = options();
  small.max_queued_bytes = 1 << 20;
  PeerProcess peer("echo");
  Station a(small);
  ASSERT_TRUE(a.send(peer.address(), text("hello")));
  ASSERT_TRUE(a.frames.take());
  peer.signal(SIGSTOP);
  const Buffer chunk = pattern(100'000, 3);
  Result<void> result;
  int accepted = 0;
  // The kernel's own socket buffers take some before ours fill up.
  while ((result = a.send(peer.address(), {chunk})) && accepted < 1000) ++accepted;
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::resource_exhausted);
  // Another peer is not held back.
  Station b;
  ASSERT_TRUE(a.send(b.self(), {chunk}));
  ASSERT_TRUE(b.frames.take());
  peer.signal(SIGCONT);
  for (int i = 0; i < accepted; ++i) ASSERT_TRUE(a.frames.take());
}

TEST(Transport, RefusesFramesBeyondItsLimits) {
  TransportOptions small = options();
  small.max_frame_bytes = 1000;
  Station a(small);
  Station b;
  EXPECT_EQ(a.send(b.self(), {pattern(600, 1), pattern(401, 2)}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(a.send(b.self(), Transport::Parts(65)).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(a.send(b.self(), {pattern(600, 1), pattern(400, 2)}));
  ASSERT_TRUE(b.frames.take());
  // What comes in has the same limit: the sender is dropped, and comes back with a frame that fits.
  ASSERT_TRUE(b.send(a.self(), {pattern(1001, 1)}));
  EXPECT_TRUE(a.losses.take());
  EXPECT_TRUE(b.losses.take());
  ASSERT_TRUE(b.send(a.self(), {pattern(1000, 1)}));
  EXPECT_TRUE(a.frames.take());
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

TEST(Transport, EndsThoughFramesWaitForAStoppedPeer) {
  PeerProcess peer("echo");
  const Buffer chunk = pattern(8 << 20, 3);
  auto before = std::chrono::steady_clock::now();
  {
    Station a;
    ASSERT_TRUE(a.send(peer.address(), text("hello")));
    ASSERT_TRUE(a.frames.take());
    peer.signal(SIGSTOP);
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(a.send(peer.address(), {chunk}));
    before = std::chrono::steady_clock::now();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, kPatience);
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
  Station a(ours());
  Station b(ours());
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

TEST(Transport, LendsABlockWithoutACopyAndKeepsItWholeUntilTheReceiverLetsGo) {
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

TEST(Transport, WhatWasLentStaysWholeWhenTheSenderIsGone) {
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

TEST(Transport, AReceiverThatKeepsEverythingDoesNotBlockTheSender) {
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

TEST(Transport, APollingThreadReceivesByItself) {
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

TEST(Transport, LeavesNoSegmentAndNoDescriptorBehind) {
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

TEST(Transport, DeliversToItself) {
  Station a;
  ASSERT_TRUE(a.send(a.self(), text("note to self")));
  EXPECT_EQ(a.frames.take()->parts[0].text(), "note to self");
}

TEST(Transport, SaysWhyItCannotStart) {
  TransportOptions wrong = options();
  wrong.host = "0.0.0.0";
  EXPECT_EQ(Transport::start(wrong).error().code, ErrorCode::invalid_argument);
  wrong.host = "localhost";
  EXPECT_EQ(Transport::start(wrong).error().code, ErrorCode::invalid_argument);
  Station a;
  wrong = options();
  wrong.port = a.self().port;
  EXPECT_FALSE(Transport::start(wrong));
}

}  // namespace
}  // namespace ds::fabric
