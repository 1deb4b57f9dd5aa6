#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace ds::fabric::tests {

/// A plain TCP connection of somebody who need not follow any protocol.
class HostileClient {
 public:
  HostileClient(const std::string& host, std::uint16_t port);
  ~HostileClient();
  HostileClient(HostileClient&& other) noexcept;
  HostileClient& operator=(HostileClient&&) = delete;

  bool connected() const { return connected_; }
  /// Sends what the other side takes; it may hang up meanwhile.
  void send(std::string_view bytes);
  /// Waits for at least `count` bytes; what came until then, or until the other side hung up.
  std::string read(std::size_t count);
  /// Whether the other side hung up in time; what it says until then is thrown away.
  bool hung_up(std::chrono::milliseconds patience);
  /// Will say no more but listens on.
  void end_sending();
  /// Vanishes with a reset.
  void reset();

 private:
  int socket_ = -1;
  bool connected_ = false;
};

/// What a client and a server said to each other.
struct Conversation {
  std::string first;  ///< the client, before the server answered
  std::string answer;
  std::string second;  ///< the client, after that
};

/// Forwards one connection to `port` and keeps what was said.
class RecordingProxy {
 public:
  RecordingProxy(const std::string& host, std::uint16_t port);
  ~RecordingProxy();
  std::uint16_t port() const { return port_; }
  /// Waits until the client has hung up.
  Conversation record();

 private:
  std::string host_;
  std::uint16_t target_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
};

}  // namespace ds::fabric::tests
