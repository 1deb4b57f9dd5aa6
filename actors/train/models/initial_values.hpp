#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "actors/train/models/script_text.hpp"

namespace ds::train {

/// Writes the parameters that training from `seed` starts with: `out` holds them one after another. An
/// element depends on the seed, on its place in `out` and on its parameter's rule alone, not on any library's
/// random numbers. Pure.
void write_initial_values(const std::vector<ScriptText::Parameter>& parameters, std::uint64_t seed,
                          std::span<float> out);

}  // namespace ds::train
