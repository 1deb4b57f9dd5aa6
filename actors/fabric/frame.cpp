#include "actors/fabric/frame.hpp"

#include <fmt/format.h>

#include <cstring>
#include <numeric>

#include "actors/fabric/wire.hpp"

namespace ds::fabric {

std::uint64_t FrameHeader::total_bytes() const {
  return std::accumulate(part_sizes.begin(), part_sizes.end(), std::uint64_t{0});
}

void encode_frame_header(const FrameHeader& header, std::byte* out) {
  const auto put = [&out](auto value) {
    std::memcpy(out, &value, sizeof(value));
    out += sizeof(value);
  };
  put(kFrameVersion);
  put(static_cast<std::uint8_t>(header.type));
  put(header.channel);
  put(static_cast<std::uint8_t>(header.part_sizes.size()));
  put(header.number.stream);
  put(std::uint8_t{0});
  put(std::uint16_t{0});
  put(header.number.sequence);
  put(header.number.in_stream);
  for (std::uint64_t size : header.part_sizes) put(size);
}

std::vector<std::byte> encode_frame_header(const FrameHeader& header) {
  std::vector<std::byte> block(frame_header_bytes(header.part_sizes.size()));
  encode_frame_header(header, block.data());
  return block;
}

Result<FrameHeader> decode_frame_header(std::span<const std::byte> block, std::uint64_t max_frame_bytes) {
  WireReader in(block);
  const auto version = in.integer<std::uint8_t>();
  const auto type = in.integer<std::uint8_t>();
  FrameHeader header;
  header.channel = in.integer<std::uint8_t>();
  const auto parts = in.integer<std::uint8_t>();
  header.number.stream = in.integer<std::uint8_t>();
  const auto reserved = in.integer<std::uint8_t>() | in.integer<std::uint16_t>();
  header.number.sequence = in.integer<std::uint64_t>();
  header.number.in_stream = in.integer<std::uint64_t>();
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
  header.part_sizes.reserve(parts);
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
