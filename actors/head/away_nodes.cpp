#include "actors/head/away_nodes.hpp"

namespace ds::head {

void AwayNodes::lose(const std::string& name, const NodeEntry& entry, Moment now) {
  if (nodes_.size() >= kMost && !nodes_.contains(name)) return;
  nodes_.insert_or_assign(name, Node{entry, now});
}

std::vector<std::string> AwayNodes::forget_old(Moment now) {
  std::vector<std::string> old;
  for (const auto& [name, node] : nodes_) {
    if (now - node.lost_at >= kStays) old.push_back(name);
  }
  for (const auto& name : old) nodes_.erase(name);
  return old;
}

const NodeEntry* AwayNodes::find(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : &found->second.entry;
}

}  // namespace ds::head
