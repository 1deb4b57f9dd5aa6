#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "actors/fabric/handshake.hpp"
#include "actors/fabric/transport.hpp"
#include "storage/result.hpp"

namespace ds::fabric {

using Clock = std::chrono::steady_clock;
using SessionId = std::uint64_t;

/// Somebody proved the secret at our door; answer with `welcome`.
struct DoorEntered {
  SessionId session = 0;
  ProcessAddress client;
  Handshake handshake;
};
/// Our call was answered: the server can be reached as `welcome` says, UCX on the host that was called.
struct DoorOpened {
  SessionId session = 0;
  ProcessAddress server;
  Handshake handshake;
  Welcome welcome;
};
/// Our call failed.
struct DoorShut {
  SessionId session = 0;
  Error why;
};
using DoorEvent = std::variant<DoorEntered, DoorOpened, DoorShut>;

/// The published port: a plain TCP listener where processes prove the secret to each other before UCX sees a
/// byte of theirs.
///
/// UCX 1.13's own listener ends the process when it reads bytes that are not UCX's (an assertion in
/// tcp_sockcm), so it only hears anything, on a port of its own, while somebody who has proven himself is
/// about to come. What strangers send here is bounded in size, time and number. Non-blocking; all calls
/// belong to one thread.
class Door {
 public:
  /// `self.port` 0 picks a free one.
  static Result<std::unique_ptr<Door>> open(const TransportOptions& options, ProcessAddress self);
  ~Door();
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  const ProcessAddress& self() const { return self_; }

  /// Begins to call `to`; `DoorOpened` or `DoorShut` follows.
  SessionId call(const ProcessAddress& to, Clock::time_point now);
  /// Tells a client that entered how to come in.
  void welcome(SessionId session, const Welcome& welcome);
  /// Forgets a session; no event of it follows.
  void hang_up(SessionId session);
  /// No more strangers.
  void close_to_strangers();

  /// Readable when `work` has something to do.
  int fd() const { return epoll_; }
  std::vector<DoorEvent> work();
  /// Ends the sessions that took too long.
  std::vector<DoorEvent> on_tick(Clock::time_point now);

  std::uint64_t refused() const { return refused_; }

 private:
  struct Session;
  Door(const TransportOptions& options, ProcessAddress self);
  Result<void> listen();
  void accept_all(std::vector<DoorEvent>& events);
  void listen_for(unsigned wanted);
  void serve(Session& session, unsigned ready, std::vector<DoorEvent>& events);
  Result<void> read_some(Session& session);
  Result<bool> take_message(Session& session, std::vector<DoorEvent>& events);
  Result<void> on_hello(Session& session, std::span<const std::byte> body);
  Result<void> on_challenge(Session& session, std::span<const std::byte> body);
  Result<void> on_proof(Session& session, std::span<const std::byte> body, std::vector<DoorEvent>& events);
  Result<void> on_welcome(Session& session, std::span<const std::byte> body, std::vector<DoorEvent>& events);
  Result<void> write_message(Session& session, std::uint8_t type, std::span<const std::byte> body);
  void end(SessionId session, const Error& why, std::vector<DoorEvent>& events);
  void watch(Session& session, unsigned events);

  const TransportOptions& options_;
  ProcessAddress self_;
  int epoll_ = -1;
  int listener_ = -1;
  bool paused_ = false;  ///< no descriptor was left: the next tick listens again
  SessionId next_session_ = 1;
  std::size_t strangers_ = 0;
  std::unordered_map<SessionId, std::unique_ptr<Session>> sessions_;
  std::vector<std::string> warned_;  ///< hosts whose refusal was logged
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace ds::fabric
