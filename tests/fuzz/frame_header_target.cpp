// Feeds anything to the decoder of frame headers. The first 8 bytes choose the limit on a frame's size.
#include "actors/fabric/frame.hpp"
#include "tests/fuzz/expect.hpp"

using namespace ds::fabric;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < sizeof(std::uint64_t)) return 0;
  std::uint64_t limit = 0;
  std::memcpy(&limit, bytes, sizeof(limit));
  const auto block = std::as_bytes(std::span(bytes, size)).subspan(sizeof(limit));
  auto header = decode_frame_header(block, limit);
  if (!header) return 0;
  EXPECT_HOLDS(header->part_sizes.size() <= kMaxParts);
  EXPECT_HOLDS(header->total_bytes() <= limit);
  EXPECT_SAME_BYTES(encode_frame_header(*header), block);
  return 0;
}
