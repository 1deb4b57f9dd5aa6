#include "actors/serving/answer_difference.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/half_bits.hpp"

namespace ds::serving {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

bool is_float(Datatype type) {
  return type == Datatype::fp16 || type == Datatype::bf16 || type == Datatype::fp32 || type == Datatype::fp64;
}

double number_at(const Tensor& tensor, std::size_t place) {
  const std::byte* at = tensor.bytes.bytes().data() + place * size_of(tensor.datatype);
  if (tensor.datatype == Datatype::fp64) {
    double number = 0;
    std::memcpy(&number, at, sizeof number);
    return number;
  }
  if (tensor.datatype == Datatype::fp32) {
    float number = 0;
    std::memcpy(&number, at, sizeof number);
    return static_cast<double>(number);
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof bits);
  return static_cast<double>(tensor.datatype == Datatype::bf16 ? kernels::to_float(kernels::BFloat16{bits})
                                                               : kernels::to_float(kernels::Float16{bits}));
}

}  // namespace

double answer_difference(const Tensor& expected, const Tensor& got) {
  if (expected.datatype != got.datatype || expected.shape != got.shape ||
      expected.bytes.size() != got.bytes.size())
    return kInfinite;
  if (!is_float(expected.datatype))
    return std::ranges::equal(expected.bytes.bytes(), got.bytes.bytes()) ? 0 : kInfinite;
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < expected.bytes.size() / size_of(expected.datatype); ++i) {
    const double want = number_at(expected, i), have = number_at(got, i);
    if ((std::isnan(want) && std::isnan(have)) || want == have) {
      if (std::isfinite(want)) largest = std::max(largest, std::fabs(want));
      continue;
    }
    if (!std::isfinite(want) || !std::isfinite(have)) return kInfinite;
    largest = std::max(largest, std::fabs(want));
    difference = std::max(difference, std::fabs(want - have));
  }
  return largest > 0 ? difference / largest : difference;
}

}  // namespace ds::serving
