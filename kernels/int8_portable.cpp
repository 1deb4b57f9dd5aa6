#include "kernels/int8_code.hpp"

namespace ds::kernels {

void multiply_portable(const Int8Product& product, std::size_t first, std::size_t last) {
  const std::size_t fours = product.weights->padded_inputs() / 4;
  for (std::size_t panel = first; panel < last; ++panel) {
    for (std::size_t row = 0; row < product.rows->rows(); ++row) {
      std::int32_t sums[kInt8Panel] = {};
      const std::int8_t* weights = product.weights->panel(panel);
      const std::uint8_t* values = product.rows->row(row);
      for (std::size_t four = 0; four < fours; ++four, weights += 4 * kInt8Panel, values += 4) {
        for (std::size_t output = 0; output < kInt8Panel; ++output) {
          for (std::size_t i = 0; i < 4; ++i)
            sums[output] += static_cast<std::int32_t>(values[i]) * weights[output * 4 + i];
        }
      }
      finish_panel(product, row, panel, sums);
    }
  }
}

}  // namespace ds::kernels
