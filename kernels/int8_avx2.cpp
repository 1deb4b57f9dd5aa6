#include "kernels/int8_code.hpp"

#ifdef DS_INT8_X86

#include <immintrin.h>

#include <cstring>

namespace ds::kernels {
namespace {

constexpr std::size_t kQuarters = 4;  // of a panel: a register holds the products of four outputs

/// Products of 8 bits by way of 16: what AVX2 has for 8 itself saturates.
template <std::size_t kRows>
DS_INT8_AVX2 void multiply_rows(const Int8Product& product, std::size_t panel, std::size_t row) {
  const std::size_t fours = product.weights->padded_inputs() / 4;
  const std::int8_t* weights = product.weights->panel(panel);
  __m256i sums[kRows][kQuarters];
  for (auto& own : sums) {
    for (__m256i& sum : own) sum = _mm256_setzero_si256();
  }
  for (std::size_t four = 0; four < fours; ++four, weights += 4 * kInt8Panel) {
    __m256i values[kRows];
    for (std::size_t r = 0; r < kRows; ++r) {
      std::int32_t next;
      std::memcpy(&next, product.rows->row(row + r) + four * 4, sizeof next);
      values[r] = _mm256_cvtepu8_epi16(_mm_set1_epi32(next));
    }
    for (std::size_t q = 0; q < kQuarters; ++q) {
      const __m256i own =
          _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights) + q));
      for (std::size_t r = 0; r < kRows; ++r)
        sums[r][q] = _mm256_add_epi32(sums[r][q], _mm256_madd_epi16(values[r], own));
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    std::int32_t whole[kInt8Panel];
    for (std::size_t q = 0; q < kQuarters; ++q) {
      std::int32_t halves[8];
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(halves), sums[r][q]);
      for (std::size_t i = 0; i < 4; ++i) whole[q * 4 + i] = halves[2 * i] + halves[2 * i + 1];
    }
    finish_panel(product, row + r, panel, whole);
  }
}

}  // namespace

DS_INT8_AVX2 void multiply_avx2(const Int8Product& product, std::size_t first, std::size_t last) {
  const std::size_t rows = product.rows->rows();
  for (std::size_t panel = first; panel < last; ++panel) {
    std::size_t row = 0;
    for (; row + 2 <= rows; row += 2) multiply_rows<2>(product, panel, row);
    if (row < rows) multiply_rows<1>(product, panel, row);
  }
}

}  // namespace ds::kernels

#endif
