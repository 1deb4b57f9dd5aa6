#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "actors/fabric/frame.hpp"
#include "actors/fabric/lent_bytes.hpp"
#include "actors/fabric/link_ends.hpp"
#include "actors/fabric/transport.hpp"

namespace ds::fabric {

/// The sending half of a link. Thread-safe; never waits for the peer.
class LinkSender {
 public:
  /// Frames up to here are copied through the ring.
  static constexpr std::size_t kInlineBytes = std::size_t{16} << 10;

  /// `wake_fd` wakes this process when there is more to send than one call may.
  LinkSender(std::shared_ptr<LinkEnds> ends, int wake_fd);
  LinkSender(const LinkSender&) = delete;
  LinkSender& operator=(const LinkSender&) = delete;

  /// `ticket` is let go when the peer has taken the frame, the parts when it is done with their memory. Does
  /// nothing once closed.
  void send(FrameType type, std::uint8_t channel, Stream stream, Transport::Parts parts,
            std::shared_ptr<void> ticket);
  /// Tells the peer about one of its frames; `record` is `kTaken` or `kReleased`.
  void acknowledge(LinkRecord record, std::uint64_t sequence);
  /// The peer told us about one of ours.
  void on_acknowledged(LinkRecord record, std::uint64_t sequence);

  /// Sends what waited for room, if there is some now.
  void pump_waiting();
  /// The peer made room that was asked for.
  bool got_room() const;
  /// Everything that was sent is in the peer's hands or in the ring.
  bool drained() const;
  /// Lets the memory of all frames go.
  void close();

 private:
  struct Out {
    LinkRecord kind = kWhole;
    FrameHeader header;
    Transport::Parts parts;
    std::shared_ptr<void> ticket;
    std::size_t bytes = 0;
    std::size_t lent = 0;
    bool taken = false;
  };

  std::uint32_t reader_abilities() const {
    return ends_->out_control().reader_abilities.load(std::memory_order_acquire);
  }
  void queue(Out& out);
  void pump();
  bool write(Out& out);
  bool write_whole(const Out& out);
  bool write_announced(Out& out);
  bool write_fragment();
  PartPlace place_of(const Buffer& part, std::size_t& lent) const;
  bool may_overtake(const Out& out) const;
  bool reader_freed_room();

  const std::shared_ptr<LinkEnds> ends_;
  const int wake_fd_;
  mutable std::mutex mutex_;
  bool closed_ = false;
  RingWriter writer_;
  FrameNumbers numbers_;
  std::deque<Out> pending_;  ///< whole records that wait for room
  std::deque<Out> bulk_;     ///< frames that go out in fragments
  std::size_t bulk_sent_ = 0;
  bool bulk_begun_ = false;
  std::unordered_map<std::uint64_t, Out> announced_;  ///< the peer may look at their memory
  std::vector<Out> finished_;  ///< written, to be let go after the lock: their owners may do anything
  std::size_t untaken_ = 0;
  std::size_t lent_ = 0;
  std::atomic<bool> waits_for_room_{false};
  std::atomic<bool> more_{false};  ///< fragments that could go on
};

}  // namespace ds::fabric
