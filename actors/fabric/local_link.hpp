#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "actors/fabric/frame.hpp"
#include "actors/fabric/frame_order.hpp"
#include "actors/fabric/handler_table.hpp"
#include "actors/fabric/process_page.hpp"
#include "actors/fabric/ring.hpp"
#include "actors/fabric/shared_segment.hpp"
#include "actors/fabric/transport.hpp"

namespace ds::fabric {

/// The two rings of a connection, one a direction, in one segment.
struct LinkMemory {
  static constexpr std::size_t kRingBytes = std::size_t{256} << 10;
  RingControl to_server;
  RingControl to_client;
  static constexpr std::size_t bytes() { return sizeof(LinkMemory) + 2 * kRingBytes; }
};

/// What all links of a transport share. `attention` is set, and the progress thread woken, when a link has
/// something to say.
struct LinkSurroundings {
  HandlerTable& handlers;
  std::size_t max_frame_bytes = 0;
  int wake_fd = -1;
  std::atomic<bool> attention{false};
  std::atomic<std::uint64_t> delivered{0};
};

/// What a connection on this host is made of once both sides have proven themselves.
struct LinkEnds {
  SharedSegment memory;
  bool client = false;  ///< we connected
  std::unique_ptr<PeerBell> bell;
  OwnedFd socket;  ///< hangs up when the peer ends, however it ends
  pid_t pid = 0;
  bool reads_peer = false;  ///< process_vm_readv was seen to work
};

/// A proven connection to a process of the same host, over shared memory. Thread-safe.
///
/// Frames of up to `kInlineBytes` are copied through a ring. Parts of larger ones stay where they are until the
/// receiver has read them straight out of the sender's memory into a pooled block, in slices between which
/// small frames go on; or they come in fragments through the ring where reading is not allowed. What does
/// not fit into the ring waits in the sender's queue.
class LocalLink {
 public:
  static constexpr std::size_t kInlineBytes = std::size_t{16} << 10;

  LocalLink(LinkSurroundings& surroundings, LinkEnds ends, ProcessAddress peer);
  ~LocalLink();
  LocalLink(const LocalLink&) = delete;
  LocalLink& operator=(const LocalLink&) = delete;

  /// Never blocks for the peer. `ticket` is let go when the frame's memory is. Does nothing once closed.
  void send(FrameType type, std::uint8_t channel, Stream stream, Transport::Parts parts,
            std::shared_ptr<void> ticket);

  /// Delivers what has come, on this thread, and sends what waited for room; false when there was nothing.
  /// Reads a megabyte of the peer's memory at most.
  bool poll();
  /// Nothing to poll. Not while another thread polls.
  bool idle() const;

  /// Everything that was sent is in the peer's hands or in the ring.
  bool drained() const;

  enum class Ending { none, goodbye, broken };
  struct Trouble {
    Ending ending = Ending::none;
    Error why;
  };
  /// What the progress thread has to deal with.
  Trouble trouble();

  /// Nothing is delivered or sent after it returns; the peer sees the end. Memory of frames is let go.
  void close();

  const ProcessAddress& peer() const { return peer_; }
  std::uint64_t peer_heartbeat() const { return ends_.bell->heartbeat(); }
  int socket() const { return ends_.socket.get(); }
  bool peer_is_gone() const;

 private:
  enum Record : std::uint32_t {
    kWhole = 1,   // header, then the bytes of all parts
    kAnnounced,   // header, for each part its address or 0, then the bytes of those with 0
    kBegin,       // header of a frame that comes in fragments
    kFragment,    // the next bytes of it
    kReleased,    // the sequence of a frame whose memory was read
  };
  struct Out {
    std::uint32_t kind = kWhole;
    FrameHeader header;
    Transport::Parts parts;
    std::shared_ptr<void> ticket;
    std::size_t bytes = 0;
  };
  struct Fetch {
    FrameHeader header;
    std::vector<std::uint64_t> addresses;
    std::vector<std::byte> small;  // the bytes of the parts without address
    std::shared_ptr<std::byte[]> block;
    std::size_t part = 0;
    std::size_t in_part = 0;
    std::size_t filled = 0;
  };
  struct In {
    FrameHeader header;
    Buffer block;
  };
  struct Assembly {
    FrameHeader header;
    std::shared_ptr<std::byte[]> block;
    std::size_t filled = 0;
    std::size_t bytes = 0;
  };

  LinkMemory& memory() const { return *reinterpret_cast<LinkMemory*>(ends_.memory.bytes().data()); }
  RingControl& out_control() const { return ends_.client ? memory().to_server : memory().to_client; }
  RingControl& in_control() const { return ends_.client ? memory().to_client : memory().to_server; }
  std::span<std::byte> ring_memory(bool to_server) const;

  // sending, under send_mutex_
  void queue(Out out);
  void pump();
  bool write(Out& out);
  bool write_fragment();
  bool may_overtake(const Out& out) const;
  bool reader_freed_room();

  // receiving, under receive_mutex_
  bool read_records();
  Result<void> read_record(const RingReader::Record& record);
  Result<void> read_whole(std::span<const std::byte> payload);
  Result<void> read_announced(std::span<const std::byte> payload);
  Result<void> read_fragment(std::span<const std::byte> payload);
  Result<FrameHeader> read_header(std::span<const std::byte>& payload) const;
  Result<void> take_in(In frame);
  void handle(In& frame);
  Result<void> fetch_some(std::size_t& budget);
  Result<void> start_fetch(Fetch& fetch);
  static bool skip_what_is_there(Fetch& fetch);
  void release(std::uint64_t sequence);
  void tell_writer();
  void say(Ending ending, Error why);

  LinkSurroundings& surroundings_;
  LinkEnds ends_;
  const ProcessAddress peer_;

  mutable std::mutex send_mutex_;
  bool closed_out_ = false;
  RingWriter writer_;
  FrameNumbers numbers_;
  std::deque<Out> pending_;  ///< whole records that wait for room
  std::deque<Out> bulk_;     ///< frames that go out in fragments
  std::size_t bulk_sent_ = 0;
  bool bulk_begun_ = false;
  std::unordered_map<std::uint64_t, Out> announced_;  ///< the peer may be reading their memory
  std::atomic<bool> waits_for_room_{false};

  std::mutex receive_mutex_;
  bool closed_in_ = false;
  RingReader reader_;
  FrameOrder<In> order_;
  std::uint64_t next_seen_ = 0;  ///< above all sequences that were read from the ring
  std::deque<Fetch> fetches_;
  std::optional<Assembly> assembly_;
  std::atomic<bool> fetching_{false};
  Trouble trouble_;
};

}  // namespace ds::fabric
