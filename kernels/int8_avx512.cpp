#include "kernels/int8_code.hpp"

#ifdef DS_INT8_X86

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace ds::kernels {
namespace {

constexpr std::size_t kMostRows = 8;  // of a block: 16 of the 32 registers hold sums

DS_INT8_AVX512 inline void finish(const Int8Product& product, std::size_t row, std::size_t panel,
                                  __m512i sums) {
  const Int8Weights& weights = *product.weights;
  const std::size_t first = panel * kInt8Panel;
  const std::size_t left = weights.outputs() - first;
  const auto mask = static_cast<__mmask16>(left >= kInt8Panel ? 0xFFFFU : (1U << left) - 1);
  const __m512i zeros = _mm512_mullo_epi32(_mm512_set1_epi32(product.rows->zero(row)),
                                           _mm512_loadu_si512(weights.sums().data() + first));
  const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(product.rows->scale(row)),
                                     _mm512_loadu_ps(weights.scales().data() + first));
  // Masked, for GCC 12 warns of the other form's unused source.
  const __m512 whole = _mm512_maskz_cvtepi32_ps(0xFFFF, _mm512_sub_epi32(sums, zeros));
  __m512 result = _mm512_mul_ps(whole, scale);
  if (product.bias != nullptr)
    result = _mm512_add_ps(result, _mm512_maskz_loadu_ps(mask, product.bias + first));
  _mm512_mask_storeu_ps(product.out + row * product.out_stride + first, mask, result);
}

/// `kRows` rows times `kPanels` panels, with all sums in registers.
template <std::size_t kRows, std::size_t kPanels>
DS_INT8_AVX512 void multiply_block(const Int8Product& product, std::size_t panel, std::size_t row) {
  const std::size_t bytes = product.weights->padded_inputs();
  const std::int8_t* weights = product.weights->panel(panel);
  const std::size_t panel_bytes = bytes * kInt8Panel;
  const std::uint8_t* values = product.rows->row(row);
  const std::size_t stride = product.rows->stride();
  __m512i sums[kRows][kPanels];
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t p = 0; p < kPanels; ++p) sums[r][p] = _mm512_setzero_si512();
  }
  for (std::size_t i = 0; i < bytes; i += 4) {
    __m512i own[kPanels];
    for (std::size_t p = 0; p < kPanels; ++p)
      own[p] = _mm512_loadu_si512(weights + p * panel_bytes + i * kInt8Panel);
    for (std::size_t r = 0; r < kRows; ++r) {
      std::int32_t next;
      std::memcpy(&next, values + r * stride + i, sizeof next);
      const __m512i four = _mm512_set1_epi32(next);
      for (std::size_t p = 0; p < kPanels; ++p) sums[r][p] = _mm512_dpbusd_epi32(sums[r][p], four, own[p]);
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t p = 0; p < kPanels; ++p) finish(product, row + r, panel + p, sums[r][p]);
  }
}

using Multiply = void (*)(const Int8Product&, std::size_t panel, std::size_t row);

/// For so many rows.
template <std::size_t kPanels>
constexpr std::array<Multiply, kMostRows + 1> kBlocks{nullptr,
                                                      multiply_block<1, kPanels>,
                                                      multiply_block<2, kPanels>,
                                                      multiply_block<3, kPanels>,
                                                      multiply_block<4, kPanels>,
                                                      multiply_block<5, kPanels>,
                                                      multiply_block<6, kPanels>,
                                                      multiply_block<7, kPanels>,
                                                      multiply_block<8, kPanels>};

template <std::size_t kPanels>
void multiply_panels(const Int8Product& product, std::size_t panel) {
  const std::size_t rows = product.rows->rows();
  for (std::size_t row = 0; row < rows; row += kMostRows)
    kBlocks<kPanels>[std::min(kMostRows, rows - row)](product, panel, row);
}

}  // namespace

/// Panels stay in the second cache while all rows go over them. With few rows the sums of more panels hide
/// how long one instruction takes.
void multiply_avx512_vnni(const Int8Product& product, std::size_t first, std::size_t last) {
  std::size_t panel = first;
  if (product.rows->rows() <= 2) {
    for (; panel + 4 <= last; panel += 4) multiply_panels<4>(product, panel);
  }
  for (; panel + 2 <= last; panel += 2) multiply_panels<2>(product, panel);
  if (panel < last) multiply_panels<1>(product, panel);
}

}  // namespace ds::kernels

#endif
