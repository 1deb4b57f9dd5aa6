// What strangers send to a transport's port, from random bytes to replayed handshakes. Each test looks from
// outside: at sockets, the process's own descriptors and memory, the log, and at whether a genuine peer still
// gets in.
#include <gtest/gtest.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <thread>

#include "tests/integration/fabric_station.hpp"
#include "tests/integration/hostile_client.hpp"

namespace ds::fabric::tests {
namespace {

using namespace std::chrono_literals;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryTells = false;  // a sanitizer keeps freed memory
#else
constexpr bool kMemoryTells = true;
#endif

// Blocks of memory that a process keeps for its next large frames take a descriptor each.
constexpr std::size_t kKeptBlocks = 8;

/// Counts log lines about refused connections.
class RefusalLog final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::atomic<int> refusals{0};

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string text(message.payload.data(), message.payload.size());
    if (message.level >= spdlog::level::warn && text.find("refused") != std::string::npos) ++refusals;
  }
  void flush_() override {}
};

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::chrono::steady_clock::time_point after(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = after(kPatience);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

bool has_address(const std::string& host) {
  TransportOptions options;
  options.host = host;
  options.secret = "secret";
  return Transport::start(options).has_value();
}

std::string random_bytes(std::mt19937& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

class FabricHostile : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    log_ = std::make_shared<RefusalLog>();
    before_ = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("", log_));
    if (!has_address(GetParam())) GTEST_SKIP() << "this machine has no address " << GetParam();
    listener_ = std::make_unique<Station>(options());
    genuine_peer_gets_in();  // what is taken once and kept is taken now
    descriptors_ = open_descriptors();
    resident_ = resident_bytes();
  }

  void TearDown() override {
    if (listener_ && !HasFailure()) {
      while (connected_-- > 0) EXPECT_TRUE(listener_->losses.take());
      genuine_peer_gets_in();
      EXPECT_TRUE(eventually([&] { return open_descriptors() <= descriptors_ + kKeptBlocks; }))
          << open_descriptors() << " descriptors, were " << descriptors_;
      if (kMemoryTells) {
        EXPECT_LT(resident_bytes(), resident_ + (std::size_t{24} << 20));
      }
      EXPECT_EQ(listener_->losses.size(), 0u);
      EXPECT_EQ(listener_->frames.size(), 0u);
      EXPECT_EQ(log_->refusals, refused() == 0 ? 0 : 1) << "logged once for a host";
    }
    listener_.reset();
    spdlog::set_default_logger(before_);
  }

  static TransportOptions options(const std::string& secret = "secret") {
    TransportOptions result;
    result.host = GetParam();
    result.secret = secret;
    result.handshake_timeout = 2s;
    result.max_unproven_peers = 32;
    result.max_frame_bytes = std::size_t{4} << 20;
    return result;
  }

  // Others may hold all places for strangers for a while, so it tries again as a client would.
  void genuine_peer_gets_in() {
    ProcessAddress address;
    {
      Station peer(options());
      address = peer.self();
      std::optional<Frame> got;
      for (auto deadline = after(kPatience); !got && std::chrono::steady_clock::now() < deadline;) {
        ASSERT_TRUE(peer.send(listener_->self(), "knock"));
        while (!(got = listener_->frames.take(50ms)) && !peer.losses.take(0ms) &&
               std::chrono::steady_clock::now() < deadline) {
        }
      }
      ASSERT_TRUE(got) << "a genuine peer does not get in";
      EXPECT_EQ(got->parts[0].text(), "knock");
      EXPECT_EQ(got->from, address);
      const std::string big(std::size_t{1} << 20, 'x');
      ASSERT_TRUE(listener_->send(got->from, big));
      auto answer = peer.frames.take();
      ASSERT_TRUE(answer);
      EXPECT_TRUE(answer->parts[0].text() == big);
    }
    auto gone = listener_->losses.take();
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->peer, address);
  }

  // A genuine handshake, recorded by somebody in between.
  Conversation record_handshake() {
    RecordingProxy proxy(GetParam(), port());
    Station peer(options());
    ProcessAddress detour = listener_->self();
    detour.port = proxy.port();
    auto recorded = std::async(std::launch::async, [&] { return proxy.record(); });
    EXPECT_TRUE(peer.send(detour, "recorded"));
    Conversation said = recorded.get();
    EXPECT_FALSE(said.first.empty());
    EXPECT_FALSE(said.second.empty());
    return said;
  }
  // What came of it, a frame and a loss, is of no more interest.
  void forget_recorded() {
    EXPECT_TRUE(listener_->frames.take());
    EXPECT_TRUE(listener_->losses.take());
  }

  std::uint16_t port() const { return listener_->self().port; }
  std::uint64_t refused() const { return (*listener_)->counters().connections_refused; }
  bool refused_becomes(std::uint64_t count) {
    return eventually([&] { return refused() >= count; }) && refused() == count;
  }

  std::shared_ptr<RefusalLog> log_;
  std::shared_ptr<spdlog::logger> before_;
  std::unique_ptr<Station> listener_;
  int connected_ = 0;  ///< peers that were connected when the test ended
  std::size_t descriptors_ = 0;
  std::size_t resident_ = 0;
};

TEST_P(FabricHostile, RandomBytesAreRefusedAndCounted) {
  std::mt19937 random(std::random_device{}());
  constexpr std::uint64_t kRounds = 1500;
  for (std::uint64_t i = 0; i < kRounds; ++i) {
    HostileClient client(GetParam(), port());
    ASSERT_TRUE(client.connected());
    client.send(random_bytes(random, i % 10 == 0 ? 20'000 : random() % 700));
  }
  EXPECT_TRUE(refused_becomes(kRounds)) << refused();
}

TEST_P(FabricHostile, AHandshakeThatEndsAtAnyByteIsRefused) {
  const Conversation said = record_handshake();
  forget_recorded();
  const std::string whole = said.first + said.second;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    HostileClient client(GetParam(), port());
    client.send(std::string_view(whole).substr(0, length));
    client.end_sending();
    ASSERT_TRUE(client.hung_up(kPatience)) << length;
  }
  EXPECT_TRUE(refused_becomes(whole.size())) << refused();
}

TEST_P(FabricHostile, AHandshakeWithAnyByteChangedIsRefused) {
  const Conversation said = record_handshake();
  forget_recorded();
  std::uint64_t tried = 0;
  for (std::size_t at = 0; at < said.first.size() + said.second.size(); at += 3, ++tried) {
    std::string whole = said.first + said.second;
    whole[at] = static_cast<char>(whole[at] ^ 1);
    HostileClient client(GetParam(), port());
    client.send(whole);
    client.end_sending();
    ASSERT_TRUE(client.hung_up(kPatience)) << at;
  }
  EXPECT_TRUE(refused_becomes(tried)) << refused();
}

TEST_P(FabricHostile, AReplayedHandshakeIsRefused) {
  const Conversation said = record_handshake();
  forget_recorded();
  for (std::uint64_t i = 1; i <= 3; ++i) {
    HostileClient client(GetParam(), port());
    client.send(said.first);
    const std::string challenge = client.read(1);
    EXPECT_FALSE(challenge.empty());
    EXPECT_NE(challenge, said.answer.substr(0, challenge.size())) << "the challenge is not fresh";
    client.send(said.second);
    EXPECT_TRUE(client.hung_up(kPatience));
    EXPECT_TRUE(refused_becomes(i)) << refused();
  }
}

TEST_P(FabricHostile, AReplayDoesNotDisturbWhomItImitates) {
  connected_ = 1;
  RecordingProxy proxy(GetParam(), port());
  Station peer(options());
  ProcessAddress detour = listener_->self();
  detour.port = proxy.port();
  auto recorded = std::async(std::launch::async, [&] { return proxy.record(); });
  ASSERT_TRUE(peer.send(detour, "1"));
  const Conversation said = recorded.get();
  ASSERT_TRUE(listener_->frames.take());
  HostileClient client(GetParam(), port());
  client.send(said.first);
  client.read(1);
  client.send(said.second);
  EXPECT_TRUE(client.hung_up(kPatience));
  ASSERT_TRUE(listener_->send(peer.self(), "2"));
  EXPECT_TRUE(peer.frames.take());
  ASSERT_TRUE(peer.send(detour, "3"));
  EXPECT_TRUE(listener_->frames.take());
  EXPECT_EQ(peer.losses.size() + listener_->losses.size(), 0u);
}

TEST_P(FabricHostile, AWrongSecretIsRefusedOnBothSides) {
  for (std::uint64_t i = 1; i <= 3; ++i) {
    Station stranger(options(i == 1 ? "" : "Secret"));
    ASSERT_TRUE(stranger.send(listener_->self(), "let me in"));
    auto loss = stranger.losses.take();
    ASSERT_TRUE(loss);
    EXPECT_EQ(loss->why.code, ErrorCode::permission_denied);
    EXPECT_TRUE(refused_becomes(i)) << refused();
  }
}

TEST_P(FabricHostile, AnOversizedHandshakeIsRefusedAtItsFirstBytes) {
  HostileClient client(GetParam(), port());
  client.send(std::string_view("\xff\xff\x01\x01", 4));
  EXPECT_TRUE(client.hung_up(kPatience));
  EXPECT_TRUE(refused_becomes(1)) << refused();
}

TEST_P(FabricHostile, AFrameAboveTheLimitEndsThatConnectionAlone) {
  connected_ = 1;
  Station bystander(options());
  ASSERT_TRUE(bystander.send(listener_->self(), "hello"));
  ASSERT_TRUE(listener_->frames.take());
  {
    TransportOptions without_limit = options();
    without_limit.max_frame_bytes = std::size_t{64} << 20;
    Station peer(without_limit);
    for (int round = 0; round < 3; ++round) {
      ASSERT_TRUE(peer.send(listener_->self(), std::string((std::size_t{4} << 20) + 1, 'x')));
      EXPECT_TRUE(peer.losses.take());
      auto loss = listener_->losses.take();
      ASSERT_TRUE(loss);
      EXPECT_EQ(loss->peer, peer.self());
      ASSERT_TRUE(peer.send(listener_->self(), std::string(std::size_t{4} << 20, 'x')));
      EXPECT_TRUE(listener_->frames.take());
    }
  }
  EXPECT_TRUE(listener_->losses.take());  // the peer's end
  ASSERT_TRUE(bystander.send(listener_->self(), "still here"));
  EXPECT_TRUE(listener_->frames.take());
  EXPECT_EQ(bystander.losses.size() + listener_->losses.size(), 0u);
}

TEST_P(FabricHostile, ThousandsOfSlowConnectionsHoldABoundedNumberOfPlaces) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t count = std::min<std::size_t>(2000, limit.rlim_max - 300);
  std::vector<HostileClient> clients;
  std::size_t most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    clients.emplace_back(GetParam(), port());
    clients.back().send("z");  // the first byte of a length, and never another
    if (i % 100 == 0) most = std::max(most, open_descriptors() - clients.size());
  }
  // Those that wait for an accept() are the kernel's; those accepted are ours, and at most 32 with one being
  // closed.
  EXPECT_LE(most, descriptors_ + 34);
  genuine_peer_gets_in();
  for (auto& client : clients) EXPECT_TRUE(client.hung_up(kPatience));
  EXPECT_TRUE(eventually([&] { return refused() >= count; })) << refused();
}

TEST_P(FabricHostile, SilentConnectionsAreClosedAfterTheHandshakeTimeout) {
  const auto before = std::chrono::steady_clock::now();
  std::vector<HostileClient> clients;
  for (int i = 0; i < 20; ++i) clients.emplace_back(GetParam(), port());
  genuine_peer_gets_in();
  for (auto& client : clients) EXPECT_TRUE(client.hung_up(kPatience));
  EXPECT_GE(std::chrono::steady_clock::now() - before, 1900ms);
  EXPECT_TRUE(refused_becomes(20)) << refused();
}

TEST_P(FabricHostile, HalfOpenAndResetConnectionsAreRefused) {
  const Conversation said = record_handshake();
  forget_recorded();
  std::uint64_t count = 0;
  for (int i = 0; i < 100; ++i) {
    for (std::size_t length : {std::size_t{0}, said.first.size() / 2, said.first.size()}) {
      HostileClient half(GetParam(), port());
      half.send(std::string_view(said.first).substr(0, length));
      half.end_sending();
      HostileClient gone(GetParam(), port());
      gone.send(std::string_view(said.first).substr(0, length));
      gone.reset();
      count += 2;
      EXPECT_TRUE(half.hung_up(kPatience));
    }
  }
  // The kernel may drop a connection that was reset before it was accepted.
  EXPECT_TRUE(eventually([&] { return refused() >= count / 2; })) << refused();
  EXPECT_LE(refused(), count);
}

INSTANTIATE_TEST_SUITE_P(Addresses, FabricHostile, testing::Values("127.0.0.1", "::1"),
                         [](const auto& entry) {
                           return std::string(entry.param) == "::1" ? "IPv6" : "IPv4";
                         });

}  // namespace
}  // namespace ds::fabric::tests
