#include "actors/head/away_nodes.hpp"

namespace ds::head {

void AwayNodes::lose(const std::string& name, const NodeEntry& entry, Moment now) {
  if (nodes_.size() >= kMost && !nodes_.contains(name)) return;
  nodes_.insert_or_assign(name, Node{entry, now});
}

bool AwayNodes::forget_old(Moment now) {
  return std::erase_if(nodes_, [now](const auto& one) { return now - one.second.lost_at >= kStays; }) > 0;
}

const NodeEntry* AwayNodes::find(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : &found->second.entry;
}

}  // namespace ds::head
