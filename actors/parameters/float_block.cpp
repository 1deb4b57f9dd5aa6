#include "actors/parameters/float_block.hpp"

namespace ds::parameters {

FloatBlock::FloatBlock(std::size_t elements)
    : owner_(fabric::take_block(elements * sizeof(float))),
      values_(reinterpret_cast<float*>(owner_.get()), elements) {}

}  // namespace ds::parameters
