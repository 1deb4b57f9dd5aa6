#pragma once

#include <cstdint>
#include <vector>

#include "actors/collective/summation_tree.hpp"
#include "actors/parameters/float_block.hpp"

namespace ds::train {

/// Adds up the gradients of a worker's logical ranks as far as they make up subtrees of the summation tree:
/// so many vectors are left as the ranks have maximal subtrees. One rank's is not copied.
class GradientFold {
 public:
  explicit GradientFold(std::uint32_t leaves) : leaves_(leaves), fold_(leaves) {}

  /// Forgets what was there.
  void begin();
  /// Ranks come in order. `gradient`, of floats, may change after `settle`.
  void add(std::uint32_t logical, const Buffer& gradient);
  /// Copies what is still in the memory of the last gradient.
  void settle();

  struct Sum {
    collective::TreeNode node;
    Buffer values;
  };
  /// From left to right; valid until the next `begin`.
  std::vector<Sum> sums();

 private:
  struct Value {
    parameters::FloatBlock own;
    Buffer lent;  ///< while there is no own
  };
  void own(Value& value);

  std::uint32_t leaves_;
  collective::SubtreeFold<Value> fold_;
  std::vector<parameters::FloatBlock> spare_;  ///< kept, for fresh memory is slow
};

}  // namespace ds::train
