#include "actors/parameters/step_sum.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/copy_bytes.hpp"
#include "kernels/gradient.hpp"
#include "kernels/reduce_tree.hpp"

namespace ds::parameters {
namespace {

constexpr std::size_t kBlock = kernels::kNormBlock;
/// A sum this long is written around the caches: it would push out more than is found there again.
constexpr std::size_t kStreamFrom = std::size_t{1} << 20;

std::size_t blocks_of(std::size_t elements) {
  return (elements + kBlock - 1) / kBlock;
}

/// Adds up one block after another, each in a block's memory.
class BlockSums {
 public:
  explicit BlockSums(std::vector<TreeParts::Input> inputs)
      : inputs_(std::move(inputs)), memory_(inputs_.size() * kBlock), zeros_(kBlock), sum_(kBlock) {}

  std::span<float> next(std::uint64_t first, std::size_t count) {
    program_.clear();
    bool named = false;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const float* values = inputs_[i].reader.read(first, count, memory_.data() + i * kBlock);
      named = named || values != nullptr;
      program_.push_back({values != nullptr ? values : zeros_.data(), false, inputs_[i].combines});
    }
    const std::span<float> sum = std::span(sum_).first(count);
    if (!named) {
      std::ranges::fill(sum, 0.0F);
      return sum;
    }
    void* const outputs[] = {sum.data()};
    kernels::reduce_tree(
        {kernels::ElementType::float32, kernels::ReduceOperator::sum, program_, outputs, count, true, false});
    return sum;
  }

 private:
  std::vector<TreeParts::Input> inputs_;
  std::vector<float> memory_, zeros_, sum_;
  std::vector<kernels::TreeInput> program_;
};

}  // namespace

SumVerdict write_sum(TreeParts& parts, const SumOptions& options, std::span<float> sum) {
  SumVerdict verdict;
  BlockSums sums(parts.take());
  const bool stream = sum.size() >= kStreamFrom;
  if (options.want_squares) verdict.squares.resize(blocks_of(sum.size()));
  if (options.want_uncut_squares) verdict.uncut_squares.resize(blocks_of(sum.size()));
  for (std::size_t first = 0; first < sum.size(); first += kBlock) {
    const std::size_t count = std::min(kBlock, sum.size() - first);
    const std::span<float> block = sums.next(first, count);
    if (options.unscale != 1) kernels::scale(block, static_cast<float>(options.unscale));
    if (!verdict.not_finite) {
      if (const auto bad = kernels::find_not_finite(block)) verdict.not_finite = first + *bad;
    }
    if (!verdict.not_finite && options.want_uncut_squares)
      kernels::sum_squares(block, std::span(verdict.uncut_squares).subspan(first / kBlock, 1));
    if (!verdict.not_finite && options.clip_value > 0)
      kernels::clip_value(block, static_cast<float>(options.clip_value));
    if (!verdict.not_finite && options.want_squares)
      kernels::sum_squares(block, std::span(verdict.squares).subspan(first / kBlock, 1));
    kernels::copy_bytes(sum.data() + first, block.data(), count * sizeof(float), stream);
  }
  if (stream) kernels::finish_streams();
  if (verdict.not_finite) {
    verdict.squares.clear();
    verdict.uncut_squares.clear();
  }
  return verdict;
}

}  // namespace ds::parameters
