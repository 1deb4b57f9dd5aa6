#include "scheduler/policy/empty_nodes.hpp"

#include <algorithm>

namespace ds::scheduler {
namespace {

/// Of so many sizes of workers it is kept how many fit on the empty nodes.
constexpr std::size_t kMaxSizesAlone = 4096;

}  // namespace

void EmptyNodes::Fitting::count(std::uint64_t fitting, bool more) {
  if (fitting == 0) return;
  all = more ? all + fitting : all - fitting;
  std::size_t& there = nodes[fitting];
  more ? ++there : --there;
  if (there == 0) nodes.erase(fitting);
}

void EmptyNodes::count(std::size_t node, bool more) {
  ++changes_;
  if (capacity_.node(node).available) {
    more ? ++available_ : --available_;
    total_ = more ? plus(total_, capacity_.total(node)) : minus(total_, capacity_.total(node));
  } else {
    more ? ++unavailable_ : --unavailable_;
  }
  for (auto& [size, counts] : sizes_) count(node, size, counts, more);
}

void EmptyNodes::count(std::size_t node, const WorkerSize& size, BySize& counts, bool more) const {
  Fitting& its = capacity_.node(node).available ? counts.on_available : counts.on_others;
  its.count(capacity_.fitting(node, capacity_.total(node), size), more);
}

const EmptyNodes::BySize& EmptyNodes::counts_of(const WorkerSize& size) const {
  if (const auto known = sizes_.find(size); known != sizes_.end()) return known->second;
  if (sizes_.size() == kMaxSizesAlone) sizes_.clear();
  BySize& counts = sizes_[size];
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    if (capacity_.is_listed(node)) count(node, size, counts, true);
  }
  return counts;
}

std::uint64_t EmptyNodes::fitting(const WorkerSize& size, bool with_unavailable_nodes) const {
  const BySize& counts = counts_of(size);
  return counts.on_available.all + (with_unavailable_nodes ? counts.on_others.all : 0);
}

std::uint64_t EmptyNodes::fitting_on_one(const WorkerSize& size, bool with_unavailable_nodes) const {
  const BySize& counts = counts_of(size);
  const std::uint64_t most = counts.on_available.most();
  return with_unavailable_nodes ? std::max(most, counts.on_others.most()) : most;
}

}  // namespace ds::scheduler
