#pragma once

#include "actors/data/random_stream.hpp"

namespace ds::train {

using data::RandomStream;
using data::Stream;

}  // namespace ds::train
