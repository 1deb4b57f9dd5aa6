#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "actors/fabric/transport.hpp"
#include "tests/chaos/peer_table.hpp"
#include "tests/chaos/record.hpp"

namespace ds::chaos {

/// Sends numbered frames to all others over the transport alone (its collective channel) and writes down what
/// arrives.
///
/// At most 16 MiB a peer are under way: receivers say now and then how far they are.
class RawTraffic {
 public:
  RawTraffic(std::size_t slot, std::shared_ptr<fabric::Transport> transport, PeerTable& peers,
             Journal& journal);
  ~RawTraffic();
  RawTraffic(const RawTraffic&) = delete;
  RawTraffic& operator=(const RawTraffic&) = delete;

  void start() { running_ = true; }
  /// Sends no more and writes down how much was sent.
  void stop();

 private:
  struct Stream {
    std::uint64_t sent = 0;
    // Since the last loss. The two sides notice a loss at different moments, so these may be off for a while.
    std::int64_t sent_bytes = 0;
    std::int64_t told_bytes = 0;  ///< that the other side has, as it told
    std::int64_t received_bytes = 0;
    std::int64_t acknowledged_bytes = 0;
  };
  void run();
  void send(const fabric::ProcessAddress& to, std::uint8_t kind, std::size_t size);
  void on_frame(const fabric::ProcessAddress& from, const fabric::Transport::Parts& parts);
  void on_lost(const fabric::ProcessAddress& peer);

  const std::size_t slot_;
  const std::shared_ptr<fabric::Transport> transport_;
  PeerTable& peers_;
  Journal& journal_;
  std::mutex mutex_;
  std::map<std::uint64_t, Stream> streams_;  ///< by process id
  std::atomic<bool> running_{false};
  std::atomic<bool> ending_{false};
  std::uint64_t lost_token_ = 0;
  std::thread thread_;
};

}  // namespace ds::chaos
