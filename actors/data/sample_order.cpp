#include "actors/data/sample_order.hpp"

#include <algorithm>

#include "actors/data/keyed_permutation.hpp"

namespace ds::data {

SampleOrder::SampleOrder(std::uint64_t samples, std::uint64_t seed, bool shuffle, Sizes sizes)
    : samples_(samples), seed_(seed), shuffle_(shuffle), sizes_(sizes) {}

std::uint64_t SampleOrder::sample_at(std::uint64_t epoch, std::uint64_t position) const {
  if (!shuffle_) return position;
  return within_blocks(epoch, within_window(epoch, position));
}

std::uint64_t SampleOrder::within_window(std::uint64_t epoch, std::uint64_t position) const {
  const std::uint64_t span = sizes_.block * sizes_.window;
  const std::uint64_t window = position / span;
  const std::uint64_t first = window * span;
  const KeyedPermutation permute(std::min(span, samples_ - first),
                                 RandomStream(seed_, Stream::window_order, {epoch, window}));
  return first + permute(position - first);
}

/// Lays the blocks out in their permuted order. The last block of the file may be short: it gets a slot of
/// its own by chance, and the whole blocks, permuted, fill the slots around it.
std::uint64_t SampleOrder::within_blocks(std::uint64_t epoch, std::uint64_t place) const {
  const std::uint64_t whole = samples_ / sizes_.block;
  const std::uint64_t rest = samples_ % sizes_.block;
  const RandomStream key(seed_, Stream::block_order, {epoch});
  const KeyedPermutation permute(whole, key);
  if (rest != 0) {
    const std::uint64_t short_slot = key.bits(~std::uint64_t{0}) % (whole + 1);
    const std::uint64_t begin = short_slot * sizes_.block;
    if (place >= begin && place < begin + rest) return whole * sizes_.block + (place - begin);
    if (place >= begin + rest) place -= rest;
  }
  return permute(place / sizes_.block) * sizes_.block + place % sizes_.block;
}

}  // namespace ds::data
