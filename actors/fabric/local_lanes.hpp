#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "actors/fabric/door.hpp"
#include "actors/fabric/handshake.hpp"
#include "actors/fabric/local_link.hpp"
#include "actors/fabric/ucx_worker.hpp"

namespace ds::fabric {

/// Local endpoints have this bit, UCX's don't.
inline constexpr EndpointId kLocalEndpoint = EndpointId{1} << 63;

/// Somebody came to our local socket with this; answer with `accept` or `close`.
struct LaneEntering {
  EndpointId endpoint = 0;
  Enter enter;
};
/// Who we connected to answered; go on with `open_link` or `close`.
struct LaneWelcomed {
  EndpointId endpoint = 0;
  Proof proof{};
};
/// The other end is gone or broke the rules.
struct LaneBroken {
  EndpointId endpoint = 0;
  Error why;
};
using LaneEvent = std::variant<LaneEntering, LaneWelcomed, LaneBroken>;

/// Where processes of one host meet: a Unix socket in the abstract namespace, over which they prove that they
/// came through the door and pass each other the descriptors of their shared memory.
///
/// The socket stays open as long as the connection does, because its hang-up is how the death of the other
/// process is seen, at once and however it died. Nothing has a name that could outlive its owner.
/// Non-blocking; all calls belong to one thread.
class LocalLanes {
 public:
  /// Peers wake this process through `doorbell`, an eventfd of the caller's.
  static Result<std::unique_ptr<LocalLanes>> open(const TransportOptions& options, int doorbell);
  ~LocalLanes();
  LocalLanes(const LocalLanes&) = delete;
  LocalLanes& operator=(const LocalLanes&) = delete;

  /// What a peer needs to connect; `host` tells it whether it can.
  const LaneAddress& address() const { return address_; }
  ProcessPage& page() { return *reinterpret_cast<ProcessPage*>(page_.bytes().data()); }
  ProcessPulse& pulse() { return *reinterpret_cast<ProcessPulse*>(pulse_.bytes().data()); }

  /// Whether the process at `address` can be reached this way.
  bool reaches(const LaneAddress& address) const;
  Result<EndpointId> connect(const LaneAddress& address, const Enter& enter);
  Result<LinkEnds> accept(EndpointId endpoint, const Proof& proof);
  Result<LinkEnds> open_link(EndpointId endpoint);
  /// Forgets an endpoint; no event of it follows.
  void close(EndpointId endpoint);
  void close_to_strangers();

  /// Strangers that were sent away before they said anything of use. From any thread.
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

  /// Readable when `work` has something to do.
  int fd() const { return epoll_.get(); }
  std::vector<LaneEvent> work();
  std::vector<LaneEvent> on_tick(Clock::time_point now);

 private:
  struct Session;
  LocalLanes(const TransportOptions& options, int doorbell);
  Result<void> listen();
  void accept_all();
  void listen_for(unsigned wanted);
  Result<void> watch(Session& session);
  Result<LaneEvent> read_packet(Session& session);
  Result<void> take_descriptors(Session& session, std::vector<OwnedFd> descriptors);
  void refuse_stranger(const Error& why);
  struct Claim {
    std::uint64_t proof_address = 0;
    std::uint32_t page_fd = 0;
  };
  std::uint32_t probe(const Session& session, const Claim& claim, const Proof& expected) const;
  LinkEnds ends_of(Session& session);

  const TransportOptions& options_;
  const int doorbell_;
  LaneAddress address_;
  SharedSegment page_;
  SharedSegment pulse_;
  OwnedFd epoll_;
  OwnedFd listener_;
  bool paused_ = false;  ///< no descriptor was left: the next tick listens again
  EndpointId next_ = kLocalEndpoint + 1;
  std::size_t strangers_ = 0;
  std::atomic<std::uint64_t> refused_{0};
  std::unordered_map<EndpointId, std::unique_ptr<Session>> sessions_;
};

}  // namespace ds::fabric
