#pragma once

#include "actors/data/keyed_permutation.hpp"

namespace ds::train {

using data::KeyedPermutation;

}  // namespace ds::train
