#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "actors/collective/call.hpp"
#include "actors/collective/exchange.hpp"
#include "actors/collective/fold_plan.hpp"

namespace ds::collective {

/// Carries operations out over an exchange: reduce-scatter and all-gather along the fixed tree.
///
/// Of P members each owns some elements: it gets those of every member's subtrees, finishes the tree for
/// them, and sends the result to whoever shall have it. A member with S subtrees sends about (S + 1) * (P -
/// 1) / P vectors and 40 bytes to each other member; two messages follow each other on the longest path.
/// Thread-safe: each operation on a thread of its own.
class ExchangePath {
 public:
  /// `members` are the exchange's ranks of the group, `me` the index of this one. The group hosts all leaves.
  ExchangePath(std::shared_ptr<Exchange> exchange, std::vector<std::uint32_t> members, std::uint32_t me,
               GroupPlan plan);

  /// `Delivery::owner` or `everyone`.
  Result<void> run(const Task& task) const;

 private:
  std::shared_ptr<Exchange> exchange_;
  std::vector<std::uint32_t> members_;
  std::uint32_t me_;
  GroupPlan plan_;
};

}  // namespace ds::collective
