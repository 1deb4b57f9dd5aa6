#include "actors/fabric/frame.hpp"

#include <fmt/format.h>

#include <numeric>

#include "actors/fabric/wire.hpp"

namespace ds::fabric {

std::uint64_t FrameHeader::total_bytes() const {
  return std::accumulate(part_sizes.begin(), part_sizes.end(), std::uint64_t{0});
}

std::vector<std::byte> encode_frame_header(const FrameHeader& header) {
  WireWriter out;
  out.integer(kFrameVersion);
  out.integer(static_cast<std::uint8_t>(header.type));
  out.integer(header.channel);
  out.integer(static_cast<std::uint8_t>(header.part_sizes.size()));
  out.integer(std::uint32_t{0});
  out.integer(header.sequence);
  for (std::uint64_t size : header.part_sizes) out.integer(size);
  return out.take();
}

Result<FrameHeader> decode_frame_header(std::span<const std::byte> block, std::uint64_t max_frame_bytes) {
  WireReader in(block);
  const auto version = in.integer<std::uint8_t>();
  const auto type = in.integer<std::uint8_t>();
  FrameHeader header;
  header.channel = in.integer<std::uint8_t>();
  const auto parts = in.integer<std::uint8_t>();
  const auto reserved = in.integer<std::uint32_t>();
  header.sequence = in.integer<std::uint64_t>();
  if (!in.ok()) return fail(ErrorCode::invalid_argument, "frame header: too short");
  if (version != kFrameVersion) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("frame header: version {}, this program speaks {}", version, kFrameVersion));
  }
  if (type < static_cast<std::uint8_t>(FrameType::enter) ||
      type > static_cast<std::uint8_t>(FrameType::goodbye)) {
    return fail(ErrorCode::invalid_argument, fmt::format("frame header: unknown type {}", type));
  }
  if (reserved != 0) return fail(ErrorCode::invalid_argument, "frame header: reserved bytes are not zero");
  if (parts > kMaxParts) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("frame header: {} parts, at most {}", parts, kMaxParts));
  }
  header.type = static_cast<FrameType>(type);
  std::uint64_t left = max_frame_bytes;
  for (std::size_t i = 0; i < parts; ++i) {
    const auto size = in.integer<std::uint64_t>();
    if (size > left) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("frame header: more than {} bytes", max_frame_bytes));
    }
    left -= size;
    header.part_sizes.push_back(size);
  }
  if (!in.complete()) return fail(ErrorCode::invalid_argument, "frame header: wrong length");
  return header;
}

}  // namespace ds::fabric
