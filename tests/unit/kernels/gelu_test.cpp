#include "kernels/gelu.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace ds::kernels {
namespace {

TEST(Gelu, IsCloseToTheExactOneAndTheSameBitsEverywhere) {
  std::vector<float> values{0, -0.0F, 1e30F, -1e30F, std::numeric_limits<float>::infinity()};
  for (int i = -4000; i <= 4000; ++i) values.push_back(static_cast<float>(i) / 300);
  std::vector<float> first;
  for (const Int8Code code : {Int8Code::portable, Int8Code::avx2, Int8Code::avx512_vnni}) {
    if (code > best_int8_code()) continue;
    auto out = values;
    gelu(out.data(), out.size(), code);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double x = values[i];
      const double exact = x == 0 ? 0 : x < -1e9 ? 0 : x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
      if (std::isinf(x)) {
        EXPECT_EQ(out[i], values[i]);
      } else {
        EXPECT_NEAR(out[i], exact, 3e-7 * std::max(1.0, std::fabs(exact))) << x;
      }
    }
    if (first.empty()) first = out;
    EXPECT_EQ(out, first);
    float none = std::numeric_limits<float>::quiet_NaN();
    gelu(&none, 1, code);
    EXPECT_TRUE(std::isnan(none));
  }
}

}  // namespace
}  // namespace ds::kernels
