#pragma once

#include <cstdint>
#include <vector>

#include "scheduler/policy/elastic/elastic_policy.hpp"

namespace ds::scheduler {

/// What is left of a cluster while slots are given out.
class FreeSlots {
 public:
  explicit FreeSlots(const ElasticCluster& cluster) : free_(cluster.slots), total_(cluster.total()) {}

  std::uint32_t total() const { return total_; }
  std::uint32_t on(std::uint32_t node) const { return free_[node]; }
  const std::vector<std::uint32_t>& by_node() const { return free_; }

  void take(const Slots& slots);
  bool fits(const Slots& slots) const;
  /// `count` slots of the node with the most free, then again, the lowest number of equals. There must be as
  /// many.
  Slots take_emptiest(std::uint32_t count);
  /// `count` slots on as few nodes as possible: whole free nodes first, the rest on the fullest node where it
  /// fits whole, else as `take_emptiest`. There must be as many.
  Slots take_packed(std::uint32_t count);

 private:
  void take_from(std::uint32_t node, std::uint32_t count, Slots& into);

  std::vector<std::uint32_t> free_;
  std::uint32_t total_;
};

/// The same by kind of GPU, for policies that give a job slots of one kind.
class FreeByKind {
 public:
  explicit FreeByKind(const ElasticCluster& cluster);

  /// All slots of one kind.
  void take(const Slots& slots);
  FreeSlots& of(std::size_t kind) { return by_kind_[kind]; }
  std::size_t kind_of(const Slots& slots) const {
    return node_kinds_.empty() ? 0 : node_kinds_[slots.front()];
  }
  std::vector<std::uint32_t> totals() const;  ///< free ones of each kind
  /// The kind with the most free slots, the first of equals.
  std::size_t emptiest() const;

 private:
  std::vector<std::uint32_t> node_kinds_;
  std::vector<FreeSlots> by_kind_;  ///< each without the slots of the other kinds
};

}  // namespace ds::scheduler
