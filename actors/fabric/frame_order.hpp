#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace ds::fabric {

/// Where a frame stands among those of its connection and direction.
///
/// Frames of one stream are handled in the order sent. A frame of stream 0 comes after every frame sent
/// before it, of whatever stream. Frames of different streams may overtake each other: a small message does
/// not wait for somebody else's big one.
struct FrameNumber {
  std::uint64_t sequence = 0;  ///< counts all frames from 0
  std::uint8_t stream = 0;
  std::uint64_t in_stream = 0;  ///< counts the frames of the stream from 0
  bool operator==(const FrameNumber&) const = default;
};

/// Numbers the frames of one direction.
class FrameNumbers {
 public:
  FrameNumber next(std::uint8_t stream) { return {sequence_++, stream, in_stream_[stream]++}; }
  std::uint64_t sequence() const { return sequence_; }

 private:
  std::uint64_t sequence_ = 0;
  std::array<std::uint64_t, 256> in_stream_{};
};

/// How far a frame may overtake another. The receiver keeps what has to wait, so this bounds its memory.
inline constexpr std::uint64_t kMaxOvertaking = 1024;

/// Puts frames that arrive whole in any order back into the order that `FrameNumber` promises.
///
/// Call `put`; when it says `ready`, handle the frame, call `handled`, and handle what `take_ready` gives,
/// each followed by `handled`. Pure.
template <class Frame>
class FrameOrder {
 public:
  enum class Place {
    ready,   ///< may be handled now; it was not moved from
    waits,   ///< kept
    refused  ///< its number was used before, or jumps too far: the connection can't be trusted
  };

  Place put(const FrameNumber& number, Frame& frame) {
    if (number.sequence < low_ || number.sequence - low_ > kMaxOvertaking ||
        ahead_.count(number.sequence) != 0 || number.in_stream < next_in_stream_[number.stream]) {
      return Place::refused;
    }
    if (may_go(number)) return waiting_.count(number.sequence) == 0 ? Place::ready : Place::refused;
    return waiting_.emplace(number.sequence, std::pair(number, std::move(frame))).second ? Place::waits
                                                                                         : Place::refused;
  }

  void handled(const FrameNumber& number) {
    ++next_in_stream_[number.stream];
    if (number.sequence != low_) {
      ahead_.insert(number.sequence);
      return;
    }
    ++low_;
    while (!ahead_.empty() && *ahead_.begin() == low_) {
      ahead_.erase(ahead_.begin());
      ++low_;
    }
  }

  /// The first of the kept frames that may be handled now.
  std::optional<std::pair<FrameNumber, Frame>> take_ready() {
    for (auto entry = waiting_.begin(); entry != waiting_.end(); ++entry) {
      if (!may_go(entry->second.first)) continue;
      auto ready = std::move(entry->second);
      waiting_.erase(entry);
      return ready;
    }
    return {};
  }

  /// The lowest number that was not handled yet.
  std::uint64_t low() const { return low_; }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  bool may_go(const FrameNumber& number) const {
    if (number.stream == 0) return number.sequence == low_;
    return number.in_stream == next_in_stream_[number.stream];
  }

  std::uint64_t low_ = 0;
  std::set<std::uint64_t> ahead_;  ///< handled, above `low_`
  std::array<std::uint64_t, 256> next_in_stream_{};
  std::map<std::uint64_t, std::pair<FrameNumber, Frame>> waiting_;
};

}  // namespace ds::fabric
