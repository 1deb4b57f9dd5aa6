#include "scheduler/policy/elastic/batch_growth.hpp"

namespace ds::scheduler {

std::uint32_t choose_batches(const BatchSpec& batch, std::uint32_t now, std::optional<double> noise_scale) {
  if (!noise_scale) return now;
  const double samples = static_cast<double>(batch.global) * now;
  if (2 * now <= batch.most_batches() && *noise_scale >= 2 * samples) return 2 * now;
  if (now > 1 && *noise_scale < samples / 2) return now / 2;
  return now;
}

}  // namespace ds::scheduler
