#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "actors/fabric/frame.hpp"
#include "actors/fabric/frame_order.hpp"
#include "actors/fabric/lent_memory.hpp"
#include "actors/fabric/link_ends.hpp"
#include "actors/fabric/link_sender.hpp"

namespace ds::fabric {

/// How a link ended, if it did.
struct LinkEnding {
  enum class Kind { none, goodbye, broken };
  Kind kind = Kind::none;
  Error why;
};

/// The receiving half of a link: reads records, gets the parts that are elsewhere, and delivers frames in
/// order. Trusts nothing that the peer wrote. Thread-safe.
class LinkReceiver {
 public:
  LinkReceiver(LinkSurroundings& surroundings, std::shared_ptr<LinkEnds> ends,
               std::shared_ptr<LinkSender> sender, ProcessAddress peer);
  LinkReceiver(const LinkReceiver&) = delete;
  LinkReceiver& operator=(const LinkReceiver&) = delete;

  /// Delivers what has come, on this thread; false when there was nothing. Reads a megabyte of the peer's
  /// memory at most.
  bool poll();
  /// Nothing to poll. Not while another thread polls.
  bool idle() const { return reader_.empty() && !fetching_.load(std::memory_order_relaxed); }
  LinkEnding ending();
  /// Nothing is delivered after it returns.
  void close();

 private:
  class Loan;
  // A frame that was announced, and how far its parts are here.
  struct Fetch {
    FrameHeader header;
    std::vector<PartPlace> places;
    Transport::Parts parts;  ///< as many as are complete
    Buffer small;            ///< the bytes of the parts that came along
    std::size_t in_small = 0;
    std::shared_ptr<std::byte[]> block;  ///< of the part that is being read
    std::size_t in_part = 0;
    std::shared_ptr<Loan> loan;  ///< none: nothing of it is lent
  };
  struct In {
    FrameHeader header;
    Transport::Parts parts;
    bool lent = false;
  };
  struct Assembly {
    FrameHeader header;
    std::shared_ptr<std::byte[]> block;
    std::size_t filled = 0;
    std::size_t bytes = 0;
  };

  bool read_records(int& most);
  Result<void> read_record(const RingReader::Record& record);
  Result<void> read_whole(std::span<const std::byte> payload);
  Result<void> read_announced(std::span<const std::byte> payload);
  Result<void> begin_assembly(std::span<const std::byte> payload);
  Result<void> read_fragment(std::span<const std::byte> payload);
  Result<void> read_acknowledgement(LinkRecord kind, std::span<const std::byte> payload);
  Result<FrameHeader> read_header(std::span<const std::byte>& payload) const;
  Result<void> fetch_some(std::size_t& budget);
  Result<void> borrow(Fetch& fetch, const PartPlace& place, std::size_t size);
  Result<bool> read_memory(Fetch& fetch, const PartPlace& place, std::size_t size, std::size_t& budget);
  Result<void> take_in(In frame);
  void handle(In& frame);
  void tell_writer();
  void end(LinkEnding::Kind kind, Error why);

  LinkSurroundings& surroundings_;
  const std::shared_ptr<LinkEnds> ends_;
  const std::shared_ptr<LinkSender> sender_;
  const ProcessAddress peer_;

  std::mutex mutex_;
  bool closed_ = false;
  RingReader reader_;
  FrameOrder<In> order_;
  std::uint64_t next_seen_ = 0;  ///< above all sequences that were read from the ring
  std::deque<Fetch> fetches_;
  std::optional<Assembly> assembly_;
  LentMemory lent_memory_;
  std::atomic<bool> fetching_{false};
  LinkEnding ending_;
};

}  // namespace ds::fabric
