#pragma once

#include <memory>
#include <utility>

#include "actors/fabric/link_ends.hpp"
#include "actors/fabric/link_receiver.hpp"
#include "actors/fabric/link_sender.hpp"
#include "actors/fabric/transport.hpp"

namespace ds::fabric {

/// A proven connection to a process of the same host, over shared memory. Thread-safe.
///
/// Small frames are copied through a ring. Parts of larger ones stay where they are: the receiver maps the
/// block they lie in (`take_block`) and looks at it without a copy, or reads them straight out of the
/// sender's memory into a block of its own, in slices between which small frames go on; where neither is
/// allowed they come in fragments through the ring. What does not fit into the ring waits in the sender's
/// queue.
class LocalLink {
 public:
  LocalLink(LinkSurroundings& surroundings, LinkEnds ends, const ProcessAddress& peer)
      : ends_(std::make_shared<LinkEnds>(std::move(ends))),
        sender_(std::make_shared<LinkSender>(ends_, surroundings.wake_fd)),
        receiver_(surroundings, ends_, sender_, peer) {}
  LocalLink(const LocalLink&) = delete;
  LocalLink& operator=(const LocalLink&) = delete;

  LinkSender& sender() { return *sender_; }

  /// Delivers what has come, on this thread, and sends what waited for room; false when nothing came.
  bool poll() {
    sender_->pump_waiting();
    return receiver_.poll();
  }
  /// Nothing to poll. Not while another thread polls.
  bool idle() const { return receiver_.idle() && !sender_->got_room(); }

  LinkEnding ending() { return receiver_.ending(); }
  std::uint64_t peer_heartbeat() const { return ends_->bell->heartbeat(); }
  /// Nothing is delivered or sent after it returns; the peer sees the end.
  void close();

 private:
  const std::shared_ptr<LinkEnds> ends_;
  const std::shared_ptr<LinkSender> sender_;
  LinkReceiver receiver_;
};

}  // namespace ds::fabric
