#include "kernels/copy_bytes.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace ds::kernels {

#if defined(__SSE2__)

void copy_bytes(void* to, const void* from, std::size_t size, bool stream) {
  constexpr std::size_t kWord = sizeof(__m128i), kLine = 4 * kWord;
  if (!stream || size < 2 * kLine) {
    if (size != 0) std::memcpy(to, from, size);
    return;
  }
  auto* out = static_cast<std::byte*>(to);
  const auto* in = static_cast<const std::byte*>(from);
  const std::size_t head = (kLine - reinterpret_cast<std::uintptr_t>(out) % kLine) % kLine;
  std::memcpy(out, in, head);
  std::size_t at = head;
  for (; at + kLine <= size; at += kLine) {
    const auto* source = reinterpret_cast<const __m128i*>(in + at);
    auto* target = reinterpret_cast<__m128i*>(out + at);
    const __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
    const __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
    _mm_stream_si128(target, a);
    _mm_stream_si128(target + 1, b);
    _mm_stream_si128(target + 2, c);
    _mm_stream_si128(target + 3, d);
  }
  std::memcpy(out + at, in + at, size - at);
}

void finish_streams() {
  _mm_sfence();
}

#else

void copy_bytes(void* to, const void* from, std::size_t size, bool) {
  if (size != 0) std::memcpy(to, from, size);
}

void finish_streams() {}

#endif

}  // namespace ds::kernels
