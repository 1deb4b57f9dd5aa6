#include "actors/fabric/transport.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/unit/fabric/peer_process.hpp"
#include "tests/unit/fabric/station.hpp"

namespace ds::fabric {
namespace {

using namespace std::chrono_literals;

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
  peer.stop();
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
  peer.stop();
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

TEST(Transport, LetsOneFrameBeLargerThanAllOthersTogether) {
  TransportOptions small = options();
  small.max_queued_bytes = 1 << 20;
  PeerProcess peer("echo");
  Station a(small);
  ASSERT_TRUE(a.send(peer.address(), text("hello")));
  ASSERT_TRUE(a.frames.take());
  peer.stop();
  const Buffer large = pattern(8 << 20, 3);
  ASSERT_TRUE(a.send(peer.address(), {Buffer::copy_of("small"), large}));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(a.send(peer.address(), text("small")));
  const Result<void> second = a.send(peer.address(), {large});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::resource_exhausted);
  peer.signal(SIGCONT);
  for (int i = 0; i < 101; ++i) ASSERT_TRUE(a.frames.take());
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

TEST(Transport, EndsThoughFramesWaitForAStoppedPeer) {
  PeerProcess peer("echo");
  const Buffer chunk = pattern(8 << 20, 3);
  auto before = std::chrono::steady_clock::now();
  {
    Station a;
    ASSERT_TRUE(a.send(peer.address(), text("hello")));
    ASSERT_TRUE(a.frames.take());
    peer.stop();
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(a.send(peer.address(), {chunk}));
    before = std::chrono::steady_clock::now();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, kPatience);
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

/// Takes every descriptor that this process may have, until it ends.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = std::min<rlim_t>(before_.rlim_cur, 1024);
    setrlimit(RLIMIT_NOFILE, &few);
    for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) taken_.push_back(fd);
  }
  ~NoDescriptors() {
    for (const int fd : taken_) ::close(fd);
    setrlimit(RLIMIT_NOFILE, &before_);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
  std::vector<int> taken_;
};

TEST(Transport, ListensAgainOnceThereAreDescriptors) {
  TransportOptions network = options();
  network.lanes = Lanes::network;
  Station a(network);
  Station b(network);
  b.transport->on_frame(Channel::actors, [&](const ProcessAddress& from, Transport::Parts parts) {
    EXPECT_TRUE(b.send(from, std::move(parts)));
  });
  const auto ask = [&](Station& station) {
    ASSERT_TRUE(station.send(b.self(), text("question")));
    ASSERT_TRUE(station.frames.take());
  };
  ask(a);
  const int stranger = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(stranger, 0);
  {
    const NoDescriptors none;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(b.self().port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(stranger, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    // While these are answered, its thread comes by the door, where it can let nobody in.
    for (int i = 0; i < 300; ++i) ask(a);
  }
  Station later(network);
  ask(later);
  ::close(stranger);
}

}  // namespace
}  // namespace ds::fabric
