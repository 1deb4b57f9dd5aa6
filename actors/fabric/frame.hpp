#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "actors/fabric/frame_order.hpp"
#include "storage/result.hpp"

namespace ds::fabric {

inline constexpr std::uint8_t kFrameVersion = 2;
inline constexpr std::size_t kMaxParts = 64;

enum class FrameType : std::uint8_t { enter = 1, welcome, data, heartbeat, goodbye };

/// What stands before the parts of every frame, in the active message's own header.
///
/// On the wire, little-endian: version u8, type u8, channel u8, number of parts u8, stream u8, reserved u8
/// u16 = 0, sequence u64, sequence in the stream u64, then the size of each part as u64.
struct FrameHeader {
  FrameType type = FrameType::heartbeat;
  std::uint8_t channel = 0;  ///< of a `data` frame; 0 in the others
  FrameNumber number;        ///< 0 in heartbeats
  std::vector<std::uint64_t> part_sizes;

  bool operator==(const FrameHeader&) const = default;
  /// The sum of the part sizes, which `decode_frame_header` has bounded.
  std::uint64_t total_bytes() const;
};

/// How many bytes a header of so many parts takes.
constexpr std::size_t frame_header_bytes(std::size_t parts) {
  return 24 + 8 * parts;
}

std::vector<std::byte> encode_frame_header(const FrameHeader& header);
/// The same into `out`, which has room for `frame_header_bytes(header.part_sizes.size())`.
void encode_frame_header(const FrameHeader& header, std::byte* out);

/// Reads a header that came from anybody. Refuses (`invalid_argument`) another version, unknown types, more
/// than `kMaxParts` parts, parts that sum to more than `max_frame_bytes`, and any byte too many or too few.
/// Pure.
Result<FrameHeader> decode_frame_header(std::span<const std::byte> block, std::uint64_t max_frame_bytes);

}  // namespace ds::fabric
