#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/fabric/buffer.hpp"
#include "storage/result.hpp"

namespace ds::fabric {

/// Where a process of the cluster listens. `id` is random and new for every start of a process, so that a
/// process that comes back under the same host and port is another one.
struct ProcessAddress {
  std::uint64_t id = 0;
  std::string host;  ///< a numeric IPv4 or IPv6 address
  std::uint16_t port = 0;
  bool operator==(const ProcessAddress&) const = default;
};

/// Who receives a frame.
enum class Channel : std::uint8_t { actors = 1, collective = 2 };

/// Which lanes a transport may use.
enum class Lanes : std::uint8_t {
  automatic,  ///< shared memory to processes of the same host, the network to others
  network     ///< the network to all
};

/// A job's whole state, which can be large, travels in one frame.
inline constexpr std::size_t kMaxFrameBytes = std::size_t{64} << 30;

struct TransportOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free port
  std::string secret;      ///< the cluster's; proven both ways before any frame is delivered
  std::chrono::milliseconds heartbeat_interval{500};
  std::chrono::milliseconds heartbeat_timeout{3000};  ///< a silent peer is lost after this
  std::chrono::milliseconds handshake_timeout{5000};
  std::size_t max_frame_bytes = kMaxFrameBytes;
  std::size_t max_queued_bytes = std::size_t{512}
                                 << 20;  ///< a peer; a send beyond it fails with `resource_exhausted`
  Lanes lanes = Lanes::automatic;
  /// On one host, read large parts straight out of the sender's memory (process_vm_readv). Where the system
  /// forbids it, or without this, they go through shared memory, which costs one more copy.
  bool read_peer_memory = true;
  std::size_t max_unproven_peers = 256;  ///< connections that have not proven the secret yet
};

/// Since the start of the process; for metrics and tests.
struct TransportCounters {
  std::uint64_t frames_delivered = 0;
  std::uint64_t peers_lost = 0;
  std::uint64_t connections_refused = 0;  ///< ended before they proved the secret
};

/// Frames that may overtake each other belong to different streams, 1 to 255. What is sent as `kInOrder`
/// arrives after all that was sent before it.
using Stream = std::uint8_t;
inline constexpr Stream kInOrder = 0;

/// Moves frames between processes: over shared memory on one host, over UCX to others. One progress thread
/// owns the connections.
///
/// The frames of a stream from one process to another arrive once, in the order sent, or the peer is reported
/// lost. Peers that do not know the secret, and malformed or oversized frames, close that connection and
/// nothing else.
class Transport {
 public:
  /// A frame: the first part is small and serialised, the others are memory that travels without a copy on
  /// the way out.
  using Parts = std::vector<Buffer>;
  /// Called on the progress thread and on those that poll, for different peers at once; must not block.
  using OnFrame = std::function<void(const ProcessAddress& from, Parts parts)>;
  using OnLost = std::function<void(const ProcessAddress& peer, const Error& why)>;

  static Result<std::unique_ptr<Transport>> start(const TransportOptions& options);
  /// Sends what is queued for at most a second, says goodbye and closes every connection; peers learn of it
  /// at once. Takes 2 s at the most. Must not run on the progress thread, that is within a handler.
  virtual ~Transport() = default;

  virtual const ProcessAddress& self() const = 0;

  /// Set before the first frame of the channel can arrive. Replacing one waits until no call of the old is
  /// running, so it must not happen within such a call.
  virtual void on_frame(Channel channel, OnFrame handler) = 0;

  /// Calls `handler` once for each peer lost: it died, fell silent, closed, broke the protocol, could not be
  /// reached, or is another process than `to.id` said. Frames that were queued for it are gone; a later
  /// `send` connects anew. Who sent to an address without id is told under that address too. Runs on the
  /// progress thread; must not block. Returns a token for `remove_on_lost`, which waits until no call is
  /// running.
  virtual std::uint64_t add_on_lost(OnLost handler) = 0;
  virtual void remove_on_lost(std::uint64_t token) = 0;

  /// Queues a frame; connects first when there is no connection. `to.id` 0 means whatever process listens
  /// there. Thread-safe, never blocks. An `ok` means queued: when the frame cannot be delivered, the peer is
  /// reported lost. Fails with `invalid_argument` for a frame above the limits (64 parts, `max_frame_bytes`),
  /// with `resource_exhausted` when more than `max_queued_bytes` wait for the peer; one frame at a time may be
  /// larger than that and waits beside the others.
  virtual Result<void> send(const ProcessAddress& to, Channel channel, Parts parts,
                            Stream stream = kInOrder) = 0;

  /// Gives a peer up now: closes the connection and reports it lost.
  virtual void drop(const ProcessAddress& peer, const Error& why) = 0;

  /// Delivers on the calling thread what processes of this host have sent, if no other thread is at it. True
  /// when there was something.
  virtual bool poll() = 0;
  /// Brackets the time in which a thread calls `poll` again and again: meanwhile nobody wakes the progress
  /// thread for what comes over shared memory, which saves two context switches a message. False when there
  /// is no such peer, so that polling is of no use.
  virtual bool begin_polling() = 0;
  virtual void end_polling() = 0;

  virtual TransportCounters counters() const { return {}; }
};

}  // namespace ds::fabric
