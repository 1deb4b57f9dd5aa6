#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "actors/fabric/transport.hpp"

namespace ds::fabric {

/// Whom a frame is for: the process id, or where to connect when the id is not known yet.
struct PeerKey {
  explicit PeerKey(const ProcessAddress& address)
      : id(address.id),
        host(address.id == 0 ? address.host : std::string()),
        port(address.id == 0 ? address.port : 0) {}
  auto operator<=>(const PeerKey&) const = default;
  std::uint64_t id;
  std::string host;
  std::uint16_t port;
};

class LocalLink;

/// What waits for one peer, from its first frame until it is lost; a frame queued before the loss is never
/// sent after it.
struct Backlog {
  std::atomic<std::size_t> bytes{0};
  std::atomic<std::size_t> oversize_bytes{0};  ///< of the one frame that is larger than the limit for `bytes`
  std::atomic<bool> retired{false};
  std::shared_ptr<LocalLink> link;  ///< where frames go at once, without the progress thread
};

struct SendCommand {
  ProcessAddress to;
  Channel channel{};
  Stream stream = kInOrder;
  Transport::Parts parts;
  std::size_t bytes = 0;
  std::shared_ptr<Backlog> backlog;
  std::shared_ptr<void> ticket;  ///< gives the bytes back to the backlog when the frame is gone
};
struct DropCommand {
  ProcessAddress peer;
  Error why;
};
using Command = std::variant<SendCommand, DropCommand>;

/// Carries commands from any thread to the progress thread and wakes it; frames for a peer on this host go
/// straight into its link once it is attached.
class CommandQueue {
 public:
  explicit CommandQueue(std::size_t max_backlog_bytes);
  ~CommandQueue();
  CommandQueue(const CommandQueue&) = delete;
  CommandQueue& operator=(const CommandQueue&) = delete;

  /// Fails with `resource_exhausted` when the peer's backlog is full. A frame that is larger than the whole
  /// limit may wait beside it, one at a time.
  Result<void> push_send(const ProcessAddress& to, Channel channel, Transport::Parts parts, Stream stream);
  void push_drop(const ProcessAddress& peer, const Error& why);
  void wake();

  /// The rest is for the progress thread alone.
  std::vector<Command> take();
  /// From here on frames for these addresses go into `link`, after `queued` and what was pushed before.
  void attach(const std::vector<ProcessAddress>& addresses, const std::shared_ptr<LocalLink>& link,
              std::deque<SendCommand> queued);
  /// Forgets the backlog of a lost peer: frames queued in it are void, later ones start a new one.
  void retire(const PeerKey& peer);
  int wake_fd() const { return wake_fd_; }
  /// Call before waiting on `wake_fd`; false when there are commands, and then don't wait.
  bool about_to_wait();
  void waited();

 private:
  void wake_if_waiting();

  const std::size_t max_backlog_bytes_;
  const int wake_fd_;
  std::atomic<bool> waiting_{false};
  std::mutex mutex_;
  std::vector<Command> commands_;
  std::map<PeerKey, std::shared_ptr<Backlog>> backlogs_;
};

}  // namespace ds::fabric
