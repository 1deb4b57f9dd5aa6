#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "actors/head/views.hpp"

namespace ds::head {

/// Nodes that ended without saying so: they are likely to come back. So who waits for the slots of one is
/// told that it is missing, and people see it, for ten minutes; after that it was never there. Times are
/// those of a steady clock. Pure.
class AwayNodes {
 public:
  using Moment = std::chrono::milliseconds;  ///< since any other
  static constexpr std::chrono::minutes kStays{10};
  static constexpr std::size_t kMost = 4096;  ///< of more the newest are not remembered

  /// It was lost, or once more: then the time begins anew.
  void lose(const std::string& name, const NodeEntry& entry, Moment now);
  void come_back(const std::string& name) { nodes_.erase(name); }
  /// Forgets those whose time is over, and returns their names.
  std::vector<std::string> forget_old(Moment now);

  bool contains(const std::string& name) const { return nodes_.contains(name); }
  /// As it was; null when it is not away.
  const NodeEntry* find(const std::string& name) const;
  struct Node {
    NodeEntry entry;
    Moment lost_at{};
  };
  const std::map<std::string, Node>& all() const { return nodes_; }

 private:
  std::map<std::string, Node> nodes_;
};

}  // namespace ds::head
