#include "kernels/compression.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "kernels/convert.hpp"

static_assert(std::endian::native == std::endian::little, "encodings are the memory of their numbers");

namespace ds::kernels {
namespace {

constexpr std::size_t kScaleBytes = sizeof(float);

template <class T>
void store(std::byte* to, const T* from, std::size_t count) {
  if (count != 0) std::memcpy(to, from, count * sizeof(T));
}

template <class T>
void load(T* to, const std::byte* from, std::size_t count) {
  if (count != 0) std::memcpy(to, from, count * sizeof(T));
}

/// By way of an aligned block, for the bytes may begin anywhere.
template <class Half>
void encode_halves(std::span<const float> vector, std::byte* out) {
  std::array<Half, kScaleBlock> block;
  for (std::size_t begin = 0; begin < vector.size(); begin += block.size()) {
    const std::size_t count = std::min(block.size(), vector.size() - begin);
    narrow(std::span(block).first(count), vector.subspan(begin, count));
    store(out + begin * sizeof(Half), block.data(), count);
  }
}

template <class Half>
void decode_halves(const std::byte* bytes, std::span<float> out) {
  std::array<Half, kScaleBlock> block;
  for (std::size_t begin = 0; begin < out.size(); begin += block.size()) {
    const std::size_t count = std::min(block.size(), out.size() - begin);
    load(block.data(), bytes + begin * sizeof(Half), count);
    widen(out.subspan(begin, count), std::span<const Half>(block).first(count));
  }
}

constexpr std::uint32_t kMagnitude = 0x7FFFFFFFU;
constexpr std::uint32_t kInfinity = 0x7F800000U;

std::uint32_t magnitude_of(float value) {
  return std::bit_cast<std::uint32_t>(value) & kMagnitude;
}

/// Magnitudes are ordered as their bits are, NaN behind infinity.
std::uint32_t largest_magnitude(const float* __restrict values, std::size_t count) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, magnitude_of(values[i]));
  return largest;
}

/// Adding and taking away rounds to a whole number, ties to even, without the C library.
void quantize(const float* __restrict values, std::size_t count, float scale, std::int8_t* __restrict out) {
  constexpr float kWhole = 0x1.8p23F;
  for (std::size_t i = 0; i < count; ++i) {
    const float ratio = values[i] / scale;
    const float bounded = std::min(std::max(ratio, -127.0F), 127.0F);
    out[i] = static_cast<std::int8_t>(static_cast<std::int32_t>((bounded + kWhole) - kWhole));
  }
}

void encode_block(const float* values, std::size_t count, std::byte* out) {
  std::array<std::int8_t, kScaleBlock> whole{};
  const std::uint32_t largest = largest_magnitude(values, count);
  float scale = std::bit_cast<float>(largest) / 127.0F;
  if (largest >= kInfinity) {
    scale = std::numeric_limits<float>::quiet_NaN();
  } else if (scale > 0) {
    quantize(values, count, scale, whole.data());
  }
  store(out, &scale, 1);
  store(out + kScaleBytes, whole.data(), count);
}

void decode_block(const std::byte* bytes, float* __restrict out, std::size_t count) {
  std::array<std::int8_t, kScaleBlock> whole;
  float scale = 0;
  load(&scale, bytes, 1);
  load(whole.data(), bytes + kScaleBytes, count);
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(whole[i]) * scale;
}

/// The magnitude that the `kept`th largest element has, and how many elements of that very magnitude are
/// kept.
struct Threshold {
  std::uint32_t magnitude;
  std::size_t ties;
};

/// Finds, from above, the bin that the `kept`th element is in; `kept` becomes its place in that bin.
std::uint32_t find_bin(const std::vector<std::size_t>& bins, std::size_t& kept) {
  std::size_t bin = bins.size() - 1;
  while (bins[bin] < kept) kept -= bins[bin--];
  return static_cast<std::uint32_t>(bin);
}

/// In two passes over the halves of the bits, without sorting: time and result depend on no order.
Threshold find_threshold(std::span<const float> vector, std::size_t kept) {
  std::vector<std::size_t> bins(1U << 16U);
  for (const float value : vector) ++bins[magnitude_of(value) >> 16U];
  const std::uint32_t upper = find_bin(bins, kept);
  std::fill(bins.begin(), bins.end(), 0);
  for (const float value : vector) {
    const std::uint32_t magnitude = magnitude_of(value);
    if (magnitude >> 16U == upper) ++bins[magnitude & 0xFFFFU];
  }
  const std::uint32_t lower = find_bin(bins, kept);
  return {upper << 16U | lower, kept};
}

bool decode_top_k(std::span<const std::byte> bytes, std::span<float> out) {
  std::uint32_t kept = 0;
  if (bytes.size() < sizeof kept) return false;
  load(&kept, bytes.data(), 1);
  if (kept > out.size() || bytes.size() != encoded_bytes(Compression::top_k, out.size(), kept)) return false;
  const std::byte* const places = bytes.data() + sizeof kept;
  const std::byte* const values = places + std::size_t{kept} * sizeof(std::uint32_t);
  std::fill(out.begin(), out.end(), 0.0F);
  std::uint64_t next = 0;  // the least place that may come
  for (std::size_t i = 0; i < kept; ++i) {
    std::uint32_t place = 0;
    load(&place, places + i * sizeof place, 1);
    if (place < next || place >= out.size()) return false;
    load(&out[place], values + i * sizeof(float), 1);
    next = std::uint64_t{place} + 1;
  }
  return true;
}

}  // namespace

std::size_t encoded_bytes(Compression compression, std::size_t count, std::size_t kept) {
  switch (compression) {
    case Compression::none:
      return count * sizeof(float);
    case Compression::float16:
    case Compression::bfloat16:
      return count * sizeof(std::uint16_t);
    case Compression::int8:
      return count + (count + kScaleBlock - 1) / kScaleBlock * kScaleBytes;
    case Compression::top_k:
      return sizeof(std::uint32_t) + kept * (sizeof(std::uint32_t) + sizeof(float));
  }
  std::abort();
}

void encode(Compression compression, std::span<const float> vector, std::span<std::byte> out) {
  if (compression == Compression::top_k || out.size() != encoded_bytes(compression, vector.size()))
    std::abort();
  if (compression == Compression::none) {
    store(out.data(), vector.data(), vector.size());
  } else if (compression == Compression::float16) {
    encode_halves<Float16>(vector, out.data());
  } else if (compression == Compression::bfloat16) {
    encode_halves<BFloat16>(vector, out.data());
  } else {
    std::byte* to = out.data();
    for (std::size_t begin = 0; begin < vector.size(); begin += kScaleBlock) {
      const std::size_t count = std::min(kScaleBlock, vector.size() - begin);
      encode_block(vector.data() + begin, count, to);
      to += kScaleBytes + count;
    }
  }
}

std::size_t count_kept(double share, std::size_t count) {
  if (!(share > 0) || count == 0) return std::min<std::size_t>(1, count);
  const double kept = std::ceil(share * static_cast<double>(count));
  return kept >= static_cast<double>(count) ? count : static_cast<std::size_t>(kept);
}

std::vector<std::byte> encode_top_k(std::span<const float> vector, std::span<float> residual,
                                    std::size_t kept) {
  const std::size_t count = vector.size();
  if (residual.size() != count || kept > count || count > std::numeric_limits<std::uint32_t>::max())
    std::abort();
  for (std::size_t i = 0; i < count; ++i) residual[i] += vector[i];
  std::vector<std::byte> bytes(encoded_bytes(Compression::top_k, count, kept));
  const auto size = static_cast<std::uint32_t>(kept);
  store(bytes.data(), &size, 1);
  if (kept == 0) return bytes;
  std::byte* place = bytes.data() + sizeof size;
  std::byte* value = place + kept * sizeof(std::uint32_t);
  Threshold threshold = find_threshold(residual, kept);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t magnitude = magnitude_of(residual[i]);
    if (magnitude < threshold.magnitude) continue;
    if (magnitude == threshold.magnitude) {
      if (threshold.ties == 0) continue;
      --threshold.ties;
    }
    const auto index = static_cast<std::uint32_t>(i);
    store(place, &index, 1);
    store(value, &residual[i], 1);
    place += sizeof index;
    value += sizeof(float);
    residual[i] = 0;
  }
  return bytes;
}

bool decode(Compression compression, std::span<const std::byte> bytes, std::span<float> out) {
  if (compression == Compression::top_k) return decode_top_k(bytes, out);
  if (bytes.size() != encoded_bytes(compression, out.size())) return false;
  if (compression == Compression::none) {
    load(out.data(), bytes.data(), out.size());
  } else if (compression == Compression::float16) {
    decode_halves<Float16>(bytes.data(), out);
  } else if (compression == Compression::bfloat16) {
    decode_halves<BFloat16>(bytes.data(), out);
  } else {
    const std::byte* from = bytes.data();
    for (std::size_t begin = 0; begin < out.size(); begin += kScaleBlock) {
      const std::size_t count = std::min(kScaleBlock, out.size() - begin);
      decode_block(from, out.data() + begin, count);
      from += kScaleBytes + count;
    }
  }
  return true;
}

}  // namespace ds::kernels
