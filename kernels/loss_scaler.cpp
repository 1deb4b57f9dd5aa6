#include "kernels/loss_scaler.hpp"

#include <cmath>

namespace ds::kernels {

bool LossScaler::update(bool overflowed) {
  if (overflowed) {
    scale *= 0.5F;
    clean_steps = 0;
    ++skipped;
    return false;
  }
  if (++clean_steps == kGrowthInterval) {
    const float grown = scale * 2;
    if (std::isfinite(grown)) scale = grown;
    clean_steps = 0;
  }
  return true;
}

float LossScaler::inverse() const {
  return static_cast<float>(1.0 / static_cast<double>(scale));
}

}  // namespace ds::kernels
