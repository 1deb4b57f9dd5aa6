#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "actors/collective/summation_tree.hpp"
#include "actors/parameters/payload_reader.hpp"
#include "actors/parameters/requests.hpp"

namespace ds::parameters {

/// Most parts that one push may bring, whatever the number of logical ranks.
inline constexpr std::size_t kMaxPartsPerPush = std::size_t{1} << 16;

/// The parts of one step's sum that have come so far. They keep the memory that was pushed.
class TreeParts {
 public:
  TreeParts(std::uint32_t leaves, std::uint64_t elements) : leaves_(leaves), elements_(elements) {}

  /// Takes parts; one that is there already stays as it is. `invalid_argument` when one is no node of the
  /// tree or no vector of the length, `conflict` when it has leaves of another; then none is taken.
  Result<void> add(const std::vector<TreePart>& parts);

  /// All leaves are there.
  bool complete() const { return covered_ == leaves_; }
  void clear();

  struct Input {
    PayloadReader reader;
    std::uint8_t combines = 0;  ///< as in `kernels::TreeInput`
  };
  /// From left to right, with the stack program of the tree. They are complete, and are gone afterwards.
  std::vector<Input> take();

 private:
  struct Part {
    collective::TreeNode node;
    std::uint64_t last = 0;  ///< leaf behind it
    PayloadReader reader;
  };
  using Parts = std::map<std::uint64_t, Part>;  ///< by first leaf

  static bool holds(const Parts& parts, std::uint64_t first, const Part& part);
  static bool overlaps(const Parts& parts, std::uint64_t first, const Part& part);

  std::uint32_t leaves_;
  std::uint64_t elements_;
  std::uint64_t covered_ = 0;
  Parts parts_;
};

}  // namespace ds::parameters
