#include "scheduler/ledger/ledger_index.hpp"

#include <utility>

namespace ds::scheduler {

void LedgerIndex::add_job(const JobKeys& job) {
  by_name_[job.name].insert(job.id);
  for (const std::string& other : job.depends_on) dependents_[other].insert(job.id);
  if (job.has_roles) with_roles_.insert(job.id);
}

void LedgerIndex::remove_job(const JobKeys& job) {
  const auto take_out = [&](By<std::string>& index, const std::string& key) {
    const auto found = index.find(key);
    if (found == index.end()) return;
    found->second.erase(job.id);
    if (found->second.empty()) index.erase(found);
  };
  take_out(by_name_, job.name);
  for (const std::string& other : job.depends_on) take_out(dependents_, other);
  with_roles_.erase(job.id);
  marked_.erase(job.id);
}

void LedgerIndex::add_lease(const Lease& lease) {
  by_job_[lease.job].insert(lease.worker);
  by_node_[lease.node].insert(lease.worker);
  NodeHolding& held = holdings_[lease.node];
  held.slots += lease.slots;
  held.memory_bytes += lease.memory_bytes;
  if (lease.role == Role::shard) shards_.insert(lease.worker);
  if (!lease.devices.empty()) devices_[lease.node].insert(lease.devices.begin(), lease.devices.end());
}

void LedgerIndex::remove_lease(const Lease& lease) {
  const auto take_out = [&](By<std::uint64_t>& index, const std::string& key) {
    const auto found = index.find(key);
    found->second.erase(lease.worker);
    if (found->second.empty()) index.erase(found);
  };
  take_out(by_job_, lease.job);
  take_out(by_node_, lease.node);
  NodeHolding& held = holdings_.find(lease.node)->second;
  held.slots -= lease.slots;
  held.memory_bytes -= lease.memory_bytes;
  if (!by_node_.contains(lease.node)) holdings_.erase(lease.node);
  shards_.erase(lease.worker);
  const auto devices = devices_.find(lease.node);
  if (devices == devices_.end()) return;
  for (const std::uint32_t device : lease.devices) devices->second.erase(device);
  if (devices->second.empty()) devices_.erase(devices);
}

void LedgerIndex::mark_dependents(const std::string& job) {
  const std::set<std::string>& dependents = find(dependents_, job);
  marked_.insert(dependents.begin(), dependents.end());
}

std::set<std::string> LedgerIndex::take_marked() {
  return std::exchange(marked_, {});
}

NodeHolding LedgerIndex::held_on(std::string_view node) const {
  const auto found = holdings_.find(node);
  return found == holdings_.end() ? NodeHolding{} : found->second;
}

std::vector<std::string> LedgerIndex::nodes() const {
  std::vector<std::string> names;
  for (const auto& [node, workers] : by_node_) names.push_back(node);
  return names;
}

}  // namespace ds::scheduler
