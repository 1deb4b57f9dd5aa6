#include "actors/train/models/initial_values.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "actors/data/random_stream.hpp"

namespace ds::train {

void write_initial_values(const std::vector<ScriptText::Parameter>& parameters, std::uint64_t seed,
                          std::span<float> out) {
  const data::RandomStream random(seed, data::Stream::initial_parameters, {});
  const data::RandomStream angles(seed, data::Stream::initial_parameters, {1});
  // Box and Muller's way; 1 - uniform lies in (0, 1].
  const auto normal = [&](std::uint64_t at) {
    return std::sqrt(-2 * std::log(1 - random.uniform(at))) *
           std::cos(2 * std::numbers::pi * angles.uniform(at));
  };
  std::uint64_t at = 0;
  for (const ScriptText::Parameter& parameter : parameters) {
    const Initial& initial = parameter.initial;
    std::uint64_t size = 1;
    for (const std::int64_t length : parameter.shape) size *= static_cast<std::uint64_t>(length);
    for (std::uint64_t i = at; i < at + size; ++i) {
      double value = initial.value;
      if (initial.kind == Initial::Kind::uniform) value *= 2 * random.uniform(i) - 1;
      if (initial.kind == Initial::Kind::normal) value *= normal(i);
      out[i] = static_cast<float>(value);
    }
    if (initial.first_row_zero) {
      const std::uint64_t row = size / static_cast<std::uint64_t>(parameter.shape.front());
      std::ranges::fill(out.subspan(at, row), 0.0F);
    }
    at += size;
  }
}

}  // namespace ds::train
