#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "actors/collective/rank_range.hpp"
#include "actors/parameters/key_range.hpp"
#include "actors/parameters/range_shard.hpp"
#include "actors/parameters/requests.hpp"
#include "scheduler/spec/train_spec.hpp"

namespace ds::train {

/// Writes gradients as the payloads that go to the servers of key ranges.
class GradientEncoder {
 public:
  /// `tables[i]` are those of `ranges[i]`.
  GradientEncoder(const scheduler::CompressionSpec& compression, std::vector<parameters::KeyRange> ranges,
                  std::vector<std::vector<parameters::RowTable>> tables);

  bool is_lossless() const { return compression_.name == "none"; }

  /// By range: parts of `gradient`'s own memory, or its rows that are not zero. Lossless.
  std::vector<parameters::Payload> cut(const Buffer& gradient) const;

  /// By range: the gradient of one logical rank's share of a step, in the job's form, which depends on
  /// nothing else: so the number of workers does not show. `top_k` adds what it left out before (S. Stich et
  /// al., "Sparsified SGD with Memory", NeurIPS 2018); a share that is encoded again is sent as it was.
  std::vector<parameters::Payload> encode(std::uint32_t logical, std::uint64_t step, const Buffer& gradient);

  /// Forgets what `top_k` left out of other ranks: they live elsewhere now.
  void keep_only(collective::RankRange hosted);
  void forget() { memories_.clear(); }

 private:
  /// Of one logical rank, for `top_k`.
  struct Memory {
    std::vector<float> left;
    std::optional<std::uint64_t> step;
    std::vector<parameters::Payload> sent;  ///< in that step
  };
  std::vector<parameters::Payload> encode_largest(std::span<const float> gradient,
                                                  std::span<float> left) const;

  scheduler::CompressionSpec compression_;
  std::vector<parameters::KeyRange> ranges_;
  std::vector<std::vector<parameters::RowTable>> tables_;
  std::map<std::uint32_t, Memory> memories_;
};

}  // namespace ds::train
