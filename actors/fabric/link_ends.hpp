#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "actors/fabric/handler_table.hpp"
#include "actors/fabric/handshake.hpp"
#include "actors/fabric/process_page.hpp"
#include "actors/fabric/ring.hpp"
#include "actors/fabric/shared_segment.hpp"

namespace ds::fabric {

/// The two rings of a connection, one a direction, in one segment.
struct LinkMemory {
  static constexpr std::size_t kRingBytes = std::size_t{256} << 10;
  RingControl to_server;
  RingControl to_client;
  static constexpr std::size_t bytes() { return sizeof(LinkMemory) + 2 * kRingBytes; }
};

/// What a connection on one host is made of once both sides have proven themselves.
struct LinkEnds {
  SharedSegment memory;
  bool client = false;  ///< we connected
  std::unique_ptr<PeerBell> bell;
  OwnedFd socket;  ///< hangs up when the peer ends, however it ends
  pid_t pid = 0;
  std::uint32_t abilities = 0;  ///< `ReaderAbility` bits: what was seen to work with the peer's memory

  RingControl& out_control() const { return client ? rings().to_server : rings().to_client; }
  RingControl& in_control() const { return client ? rings().to_client : rings().to_server; }
  std::span<std::byte> out_ring() const { return ring(client); }
  std::span<std::byte> in_ring() const { return ring(!client); }
  bool peer_is_gone() const;

 private:
  LinkMemory& rings() const { return *reinterpret_cast<LinkMemory*>(memory.bytes().data()); }
  std::span<std::byte> ring(bool to_server) const {
    const std::size_t at = sizeof(LinkMemory) + (to_server ? 0 : LinkMemory::kRingBytes);
    return memory.bytes().subspan(at, LinkMemory::kRingBytes);
  }
};

/// What all links of a transport share. `attention` is set, and the progress thread woken, when a link has
/// something to say.
struct LinkSurroundings {
  HandlerTable& handlers;
  std::size_t max_frame_bytes = 0;
  int wake_fd = -1;
  std::atomic<bool> attention{false};
  std::atomic<bool> closing{false};  ///< nothing is delivered any more
  std::atomic<std::uint64_t> delivered{0};
};

// The records in a ring. All integers little-endian; a header is a frame header.
//   whole      header, then the bytes of all parts
//   announced  header, a `PartPlace` for each part, then the bytes of the parts that are inline
//   begin      header of a frame that comes in fragments
//   fragment   the next bytes of it
//   taken      u64 sequence: that frame was delivered, its memory is still looked at
//   released   u64 sequence: nobody looks at that frame's memory any more
enum LinkRecord : std::uint32_t { kWhole = 1, kAnnounced, kBegin, kFragment, kTaken, kReleased };

/// Where the receiver finds a part of an announced frame.
struct PartPlace {
  enum class Where : std::uint32_t { here = 0, memory, block };
  Where where = Where::here;
  std::int32_t fd = -1;     ///< of the block, in the sender's process
  std::uint64_t at = 0;     ///< address in the sender's memory; offset in the block
  std::uint64_t block = 0;  ///< the sender's number for it
  std::uint64_t block_bytes = 0;
};
static_assert(sizeof(PartPlace) == 32);

/// A block is lent only for a part that fills a good share of it.
inline constexpr std::size_t kMostBlockForPart = 2;

}  // namespace ds::fabric
