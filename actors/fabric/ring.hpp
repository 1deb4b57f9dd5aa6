#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace ds::fabric {

/// The shared counters of a ring, in memory that both processes map. All zero at the start.
struct RingControl {
  alignas(64) std::atomic<std::uint64_t> head{0};          ///< bytes written so far
  alignas(64) std::atomic<std::uint64_t> tail{0};          ///< bytes read so far
  alignas(64) std::atomic<std::uint32_t> writer_waits{0};  ///< the writer wants to know when there is room
  std::atomic<std::uint32_t> reader_abilities{0};  ///< what the reader can do by itself: `ReaderAbility`
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// What was written before is visible to who looks after his own fence. ThreadSanitizer knows no fences.
inline void full_fence() {
#if defined(__SANITIZE_THREAD__)
  static std::atomic<int> everybody{0};
  everybody.fetch_add(1, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// Bits of `RingControl::reader_abilities`.
enum ReaderAbility : std::uint32_t { kReadsMemory = 1, kMapsBlocks = 2 };

/// Writes records into a byte ring of a power-of-two size that one other process reads.
///
/// Every record is contiguous and 8-aligned: size u32, kind u32, payload. One writer at a time.
class RingWriter {
 public:
  static constexpr std::uint32_t kPadding = 0;  ///< the kind of what fills the ring up to its end

  RingWriter(RingControl& control, std::span<std::byte> memory) : control_(control), memory_(memory) {}

  /// The largest payload that always fits into an empty ring.
  std::size_t max_payload() const { return memory_.size() / 2 - 8; }

  /// Room for a record's payload, or nullptr when there is none now. `commit` makes it visible.
  std::byte* reserve(std::uint32_t kind, std::size_t payload) {
    const std::size_t needed = 8 + round_up(payload);
    const std::size_t at = head_ & (memory_.size() - 1);
    const std::size_t to_end = memory_.size() - at;
    const std::size_t padding = needed > to_end ? to_end : 0;
    if (!has_room(padding + needed)) return nullptr;
    if (padding != 0) put_header(at, static_cast<std::uint32_t>(padding - 8), kPadding);
    const std::size_t start = padding != 0 ? 0 : at;
    put_header(start, static_cast<std::uint32_t>(payload), kind);
    next_head_ = head_ + padding + needed;
    return memory_.data() + start + 8;
  }

  /// Where the reader was when `reserve` last found no room.
  std::uint64_t known_tail() const { return known_tail_; }

  void commit() {
    head_ = next_head_;
    control_.head.store(head_, std::memory_order_release);
  }

 private:
  static std::size_t round_up(std::size_t bytes) { return (bytes + 7) & ~std::size_t{7}; }

  bool has_room(std::size_t needed) {
    if (head_ + needed - known_tail_ <= memory_.size()) return true;
    // A reader that lies can only make us overwrite what it has not read.
    known_tail_ = control_.tail.load(std::memory_order_acquire);
    return head_ + needed - known_tail_ <= memory_.size();
  }

  void put_header(std::size_t at, std::uint32_t size, std::uint32_t kind) {
    std::memcpy(memory_.data() + at, &size, 4);
    std::memcpy(memory_.data() + at + 4, &kind, 4);
  }

  RingControl& control_;
  std::span<std::byte> memory_;
  std::uint64_t head_ = 0;
  std::uint64_t next_head_ = 0;
  std::uint64_t known_tail_ = 0;
};

/// Reads what a `RingWriter` wrote, and trusts nothing of it: whatever stands in the ring, no byte outside it
/// is read. One reader at a time.
class RingReader {
 public:
  struct Record {
    std::uint32_t kind = 0;
    std::span<const std::byte> payload;  ///< in the ring: the writer can change it until `pop`
  };

  RingReader(RingControl& control, std::span<const std::byte> memory) : control_(control), memory_(memory) {}

  bool empty() const { return control_.head.load(std::memory_order_acquire) == tail_; }

  /// The next record, nothing when there is none. After `corrupt()` there will never be one.
  std::optional<Record> peek() {
    while (!corrupt_) {
      if (known_head_ == tail_) known_head_ = control_.head.load(std::memory_order_acquire);
      const std::uint64_t filled = known_head_ - tail_;
      if (filled == 0) return {};
      const std::size_t at = tail_ & (memory_.size() - 1);
      const std::size_t to_end = memory_.size() - at;
      std::uint32_t size = 0;
      std::uint32_t kind = 0;
      std::memcpy(&size, memory_.data() + at, 4);
      std::memcpy(&kind, memory_.data() + at + 4, 4);
      const std::size_t whole = 8 + ((std::size_t{size} + 7) & ~std::size_t{7});
      if (filled > memory_.size() || filled % 8 != 0 || whole > to_end || whole > filled) {
        corrupt_ = true;
        return {};
      }
      size_ = whole;
      if (kind != RingWriter::kPadding) return Record{kind, memory_.subspan(at + 8, size)};
      pop();
    }
    return {};
  }

  /// Gives the record that `peek` returned back to the writer.
  void pop() {
    tail_ += size_;
    control_.tail.store(tail_, std::memory_order_release);
  }

  bool corrupt() const { return corrupt_; }

 private:
  RingControl& control_;
  std::span<const std::byte> memory_;
  std::uint64_t tail_ = 0;
  std::uint64_t known_head_ = 0;
  std::size_t size_ = 0;
  bool corrupt_ = false;
};

}  // namespace ds::fabric
