#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// What leases have of a node.
struct NodeHolding {
  SlotCount slots;
  std::uint64_t memory_bytes = 0;
};

/// What a ledger holds by other keys than it is kept by, so that one of many jobs costs what is its own.
class LedgerIndex {
 public:
  struct JobKeys {
    std::string id, name;
    std::vector<std::string> depends_on;
    bool has_roles = false;  ///< wants parameter servers or data shards
  };
  void add_job(const JobKeys& job);
  /// One that has ended.
  void remove_job(const JobKeys& job);
  void add_lease(const Lease& lease);
  void remove_lease(const Lease& lease);

  /// Notes that a job is not what it was.
  void mark(const std::string& job) { marked_.insert(job); }
  /// The same of those that depend on it.
  void mark_dependents(const std::string& job);
  const std::set<std::string>& dependents_of(std::string_view job) const { return find(dependents_, job); }
  /// Those that were marked since the last call.
  std::set<std::string> take_marked();

  const std::set<std::uint64_t>& workers_of(std::string_view job) const { return find(by_job_, job); }
  const std::set<std::uint64_t>& workers_on(std::string_view node) const { return find(by_node_, node); }
  const std::set<std::uint32_t>& devices_on(std::string_view node) const { return find(devices_, node); }
  NodeHolding held_on(std::string_view node) const;
  const std::set<std::string>& named(std::string_view name) const { return find(by_name_, name); }
  /// A job that has ended wants nothing.
  void end_job(const std::string& id) { with_roles_.erase(id); }
  /// Jobs that want parameter servers or data shards.
  const std::set<std::string>& with_roles() const { return with_roles_; }
  const std::set<std::uint64_t>& shards() const { return shards_; }
  /// Nodes that hold any lease.
  std::vector<std::string> nodes() const;

 private:
  template <class Value>
  using By = std::map<std::string, std::set<Value>, std::less<>>;
  template <class Value>
  static const std::set<Value>& find(const By<Value>& index, std::string_view key) {
    static const std::set<Value> kNone;
    const auto found = index.find(key);
    return found == index.end() ? kNone : found->second;
  }

  By<std::uint64_t> by_job_, by_node_;
  By<std::uint32_t> devices_;                                 ///< by node
  std::map<std::string, NodeHolding, std::less<>> holdings_;  ///< of nodes that any lease is on
  By<std::string> by_name_, dependents_;
  std::set<std::string> with_roles_, marked_;
  std::set<std::uint64_t> shards_;
};

}  // namespace ds::scheduler
