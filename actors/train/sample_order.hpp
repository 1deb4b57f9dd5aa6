#pragma once

#include "actors/data/sample_order.hpp"

namespace ds::train {

using data::SampleOrder;

}  // namespace ds::train
