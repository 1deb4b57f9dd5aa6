#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "actors/fabric/buffer.hpp"
#include "actors/fabric/frame.hpp"
#include "storage/result.hpp"

namespace ds::fabric {

/// A connection as UCX sees it; never used twice in a process.
using EndpointId = std::uint64_t;

/// Somebody connected to our listener.
struct EndpointAccepted {
  EndpointId endpoint = 0;
  std::string from;  ///< numeric host of the other end
};
/// A frame arrived whole. Frames of an endpoint may arrive out of order: a small one overtakes one that is
/// still being fetched.
struct FrameArrived {
  EndpointId endpoint = 0;
  FrameHeader header;
  Buffer data;  ///< all parts, one after the other
};
/// The other end is gone, or broke the protocol; nothing more will arrive.
struct EndpointBroken {
  EndpointId endpoint = 0;
  Error why;
};
/// UCX gave the memory of a frame back, delivered or not.
struct FrameSent {
  EndpointId endpoint = 0;
  FrameType type{};
  std::uint64_t sequence = 0;
};
using UcxEvent = std::variant<EndpointAccepted, FrameArrived, EndpointBroken, FrameSent>;

/// Owns a UCX context and worker. All calls belong to the thread that called `open`, the destructor too.
///
/// What happens is kept as values and fetched with `take_events`, so that no code of ours runs inside a
/// callback of UCX.
class UcxWorker {
 public:
  /// Uses only the network device that has the address `host` (numeric): with several, UCX 1.13 may answer
  /// over one that the other end can't be reached by, and hangs.
  static Result<std::unique_ptr<UcxWorker>> open(const std::string& host);
  ~UcxWorker();
  UcxWorker(const UcxWorker&) = delete;
  UcxWorker& operator=(const UcxWorker&) = delete;

  /// Listens on a free port of the host, which it returns; always the same. See `Door` for why not all the
  /// time.
  Result<std::uint16_t> listen();
  /// Makes the kernel drop what comes to that port. The listener itself stays: destroying it while a
  /// connection is half open makes UCX 1.13 use it after it was freed.
  void stop_listening();

  /// Begins to connect; failure comes later as `EndpointBroken`.
  Result<EndpointId> connect(const std::string& host, std::uint16_t port);

  /// Larger frames go in pieces, a few at a time, which smaller frames overtake.
  static constexpr std::size_t kLargestWhole = std::size_t{32} << 10;

  /// Posts a frame. `parts` and `ticket` stay referenced until UCX is done with them, also when the other end
  /// is dead; then `FrameSent` comes. Does nothing for an endpoint that is closed.
  void send(EndpointId endpoint, const FrameHeader& header, std::vector<Buffer> parts,
            std::shared_ptr<void> ticket = {});

  /// Frames of more bytes break the endpoint before memory is taken for them. 1 KiB until set.
  void set_receive_limit(EndpointId endpoint, std::size_t bytes);

  /// Bytes of frames that have been announced and are being fetched.
  std::size_t receiving_bytes(EndpointId endpoint) const;

  /// Drops the endpoint at once. No event of it follows except `FrameSent`.
  void close(EndpointId endpoint);

  /// Lets UCX work; true when it did something.
  bool progress();
  std::vector<UcxEvent> take_events();

  /// Readable once there is something to do after `arm` said true.
  int event_fd() const;
  /// False when there is work already: call `progress` again instead of waiting.
  bool arm();

  /// For the end, before the destructor: refuses whoever comes and progresses until UCX holds no memory of
  /// ours any more or `limit` has passed.
  void settle(std::chrono::milliseconds limit);

 private:
  struct State;
  explicit UcxWorker(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ds::fabric
