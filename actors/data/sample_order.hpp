#pragma once

#include <cstdint>

namespace ds::data {

/// In which order an epoch goes through the samples: a pure function of seed and epoch, never a stored
/// shuffle.
///
/// Blocks of neighbouring samples are permuted, then the positions within windows of blocks. So a reader of a
/// large file needs a window of it at a time, and still no two neighbours in the file are likely to share a
/// batch. Every epoch is a bijection on [0, samples). Immutable, O(1) memory and time; any thread.
class SampleOrder {
 public:
  struct Sizes {
    std::uint64_t block = 1024;  ///< samples
    std::uint64_t window = 16;   ///< blocks
  };

  /// Without `shuffle` the order is that of the file.
  SampleOrder(std::uint64_t samples, std::uint64_t seed, bool shuffle)
      : SampleOrder(samples, seed, shuffle, Sizes()) {}
  SampleOrder(std::uint64_t samples, std::uint64_t seed, bool shuffle, Sizes sizes);

  /// The sample at `position` of `epoch`; `position` must be below the number of samples.
  std::uint64_t sample_at(std::uint64_t epoch, std::uint64_t position) const;

 private:
  std::uint64_t within_window(std::uint64_t epoch, std::uint64_t position) const;
  std::uint64_t within_blocks(std::uint64_t epoch, std::uint64_t place) const;

  std::uint64_t samples_;
  std::uint64_t seed_;
  bool shuffle_;
  Sizes sizes_;
};

}  // namespace ds::data
