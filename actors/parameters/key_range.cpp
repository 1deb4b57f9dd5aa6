#include "actors/parameters/key_range.hpp"

#include <algorithm>

namespace ds::parameters {

std::vector<KeyRange> cut_into_ranges(std::uint64_t parameters, std::uint32_t count) {
  const std::uint64_t blocks = (parameters + kernels::kNormBlock - 1) / kernels::kNormBlock;
  std::vector<KeyRange> ranges;
  std::uint64_t first = 0, block = 0;
  for (std::uint32_t range = 0; range < count; ++range) {
    block += blocks / count + (range < blocks % count ? 1 : 0);  // the longer ones come first
    const std::uint64_t last = std::min<std::uint64_t>(block * kernels::kNormBlock, parameters);
    ranges.push_back({first, last});
    first = last;
  }
  return ranges;
}

}  // namespace ds::parameters
