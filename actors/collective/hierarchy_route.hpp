#pragma once

#include <memory>
#include <vector>

#include "actors/collective/exchange_path.hpp"
#include "actors/collective/route.hpp"
#include "actors/collective/shared_group.hpp"

namespace ds::collective {

/// Several hosts: fold within each over its shared memory, one exchange between their first members, then
/// spread within each. Every operation takes these three steps, so that whatever goes wrong on one host is
/// known on all before any member is done.
class HierarchyRoute final : public Route {
 public:
  /// `hosts[h]` are the ranks of host h, `plan` has one member a host; `group` is null for one that is alone
  /// on its host. `between` has the hosts as members; the first member of a host uses it.
  HierarchyRoute(std::uint32_t rank, std::vector<RankRange> hosts, const GroupPlan& plan,
                 std::unique_ptr<SharedGroup> group, std::unique_ptr<ExchangePath> between);

  Path path() const override { return Path::hierarchy; }
  Result<void> run(const Call& call, Interruption& interruption) override;
  void abort(const Error& why) override;

 private:
  struct Work;
  Result<void> fold_on_host(Work& work, Interruption& interruption) const;
  void fold_alone(Work& work) const;
  Result<void> exchange_between_hosts(Work& work, const Error* failure) const;
  Result<void> spread_on_host(Work& work, const Error* failure, Interruption& interruption) const;

  bool is_first() const { return rank_ == hosts_[host_].first; }
  std::uint32_t world_size() const { return hosts_.back().last; }
  /// The elements that the ranks of a host own together.
  Slice region_of(std::size_t host, std::size_t elements) const;

  std::uint32_t rank_;
  std::vector<RankRange> hosts_;
  std::uint32_t host_ = 0;
  MemberPlan own_plan_;  ///< of the host
  std::unique_ptr<SharedGroup> group_;
  std::unique_ptr<ExchangePath> between_;
};

}  // namespace ds::collective
