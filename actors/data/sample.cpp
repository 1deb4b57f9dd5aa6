#include "actors/data/sample.hpp"

namespace ds::data {

std::size_t Value::count() const {
  std::size_t count = 1;
  for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
  return count;
}

void Value::to_numbers() {
  if (!has_pixels) return;
  has_pixels = false;
  numbers.resize(pixels.size());
  const auto channels = static_cast<std::size_t>(shape[0]);
  const std::size_t plane = pixels.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    const std::uint8_t* in = pixels.data() + c;
    float* out = numbers.data() + c * plane;
    if (channels == 1) {
      for (std::size_t i = 0; i < plane; ++i) out[i] = static_cast<float>(in[i]) * kPixelScale;
    } else {
      for (std::size_t i = 0; i < plane; ++i) out[i] = static_cast<float>(in[i * channels]) * kPixelScale;
    }
  }
}

}  // namespace ds::data
