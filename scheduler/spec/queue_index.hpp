#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// What is asked of a tree again and again, at a cost that does not grow with the number of its queues. Built
/// once for a tree, which it does not refer to afterwards.
class QueueIndex {
 public:
  explicit QueueIndex(const TenantTree& tree);

  /// The same as `TenantTree::find`.
  std::optional<std::size_t> find(std::string_view tenant, std::string_view queue) const;
  /// The queues on the way from the root, which is left out, to this one, itself included.
  std::span<const std::size_t> way(std::size_t queue) const { return ways_[queue]; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };
  template <class Value>
  using ByName = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;
  struct Tenant {
    ByName<std::size_t> leaves;              ///< by each name that jobs may give
    std::optional<std::size_t> itself = {};  ///< if it is a leaf
  };

  ByName<Tenant> tenants_;
  std::vector<std::vector<std::size_t>> ways_;
};

}  // namespace ds::scheduler
