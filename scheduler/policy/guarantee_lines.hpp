#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "scheduler/policy/gang_job.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// Who asks for what queues are guaranteed, and how far each job's minimum is within that
/// (`for_each_guaranteed`), kept from plan to plan.
///
/// A tenant's jobs are counted again only where one has come, gone or changed that makes a difference: not
/// one behind the first that the guarantee is not enough for, nor one that asks for the same as before.
class GuaranteeLines {
 public:
  using Jobs = GangJob::Jobs;

  /// The tree must outlive it.
  explicit GuaranteeLines(const TenantTree& tenants);

  /// With its `claim`, which stays the same until it is removed. Its levels are as of the last count, or 0 if
  /// it was not there then, or was another.
  void add(GangJob& job);
  void remove(GangJob& job);
  /// Sets `guaranteed_levels` of all. Tells of each job that may have other levels than before.
  void count(const std::function<void(GangJob&)>& look_at);

  /// Jobs of the leaf that may run, started or not.
  const Jobs& line(std::size_t leaf) const { return leaves_[leaf].line; }
  /// The first of them that gets none of what is guaranteed, whoever is behind it; null: all get some.
  const GangJob* first_beyond(std::size_t leaf) const { return leaves_[leaf].first_beyond; }
  /// Those that keep what nobody gets back.
  const Jobs& keepers(std::size_t leaf) const { return leaves_[leaf].keepers; }

 private:
  struct Leaf {
    Jobs line, keepers;
    GangJob* first_beyond = nullptr;  ///< the first in line that gets none of it
  };
  struct Tenant {
    std::vector<std::size_t> queues;  ///< its own and all below, in the order of their indices
    std::vector<GangJob*> guaranteed;
  };
  /// One that was removed since the last count, as it was.
  struct Removed {
    std::string id;
    std::size_t queue = TenantTree::kRoot;
    std::uint64_t order = 0;
    std::uint32_t priority = 0;
    bool has_promise = false;
    GuaranteeClaim claim;
    std::size_t levels = 0;
    bool is_first_beyond = false;
    bool is_same(const GangJob& job) const;
  };
  bool makes_no_difference(const GangJob& job) const;
  void count(Tenant& tenant);

  const TenantTree& tenants_;
  std::vector<Leaf> leaves_;            ///< by queue
  std::vector<std::size_t> tenant_of_;  ///< by queue: its place in `all_`
  std::vector<Tenant> all_;
  std::set<std::size_t> changed_;  ///< tenants that somebody has come to
  std::unordered_map<const GangJob*, Removed> removed_;
};

}  // namespace ds::scheduler
