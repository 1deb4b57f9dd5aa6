#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "actors/parameters/float_block.hpp"
#include "actors/parameters/range_shard.hpp"
#include "actors/parameters/requests.hpp"
#include "actors/parameters/row_versions.hpp"
#include "kernels/optimizer.hpp"
#include "storage/result.hpp"

namespace ds::parameters {

/// The parameters of a range and what the optimizer keeps of each.
class RangeVectors {
 public:
  explicit RangeVectors(const ShardOptions& options);

  /// Takes parameters and optimizer's vectors of an image, as of `version`. `invalid_argument` when it is of
  /// another length or optimizer; then nothing changes.
  Result<void> restore(const RangeImage& image, std::uint64_t version);
  void copy_to(RangeImage& image) const;
  void copy_optimizer_to(RangeImage& image) const;

  /// As `PayloadReader::read`: a block of the gradient, or null for one that is +0.0 throughout.
  using ReadBlock = std::function<const float*(std::uint64_t first, std::size_t count, float* scratch)>;
  struct Step {
    float factor = 1;  ///< the gradient is multiplied by it first if it is below 1
    double learning_rate = 0;
    std::uint64_t update = 0;   ///< counted from 1
    std::uint64_t version = 0;  ///< of the parameters afterwards
  };
  /// One step of the optimizer, a block that fits the caches after another: the bits do not show it.
  void update(const ReadBlock& gradient, const Step& step);

  /// What changed since version `have`, if that saves half of the bytes, else all. `lend`: all is lent, not
  /// copied.
  Payload changed_since(std::uint64_t have, bool lend) const;

 private:
  void update_block(std::uint64_t first, std::span<const float> gradient, const Step& step);

  std::uint64_t elements_;
  kernels::OptimizerOptions rule_;
  std::vector<std::string> names_;
  bool skips_zeros_;         ///< a gradient of +0.0 changes no finite parameter
  bool all_finite_ = false;  ///< parameters
  FloatBlock parameters_;
  std::vector<FloatBlock> optimizer_;
  RowVersions rows_;
  std::vector<float> before_, scaled_, scratch_;  ///< of a block
};

}  // namespace ds::parameters
