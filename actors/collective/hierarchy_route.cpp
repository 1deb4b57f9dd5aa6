#include "actors/collective/hierarchy_route.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

namespace ds::collective {

/// One call on its way through the steps.
struct HierarchyRoute::Work {
  const Call& call;
  std::size_t element_bytes = 0;
  std::vector<std::shared_ptr<std::byte[]>> partials;  ///< of the first member: the host's subtrees
  std::vector<void*> partial_vectors;
  std::shared_ptr<std::byte[]> region;  ///< of a reduce_scatter: what the host's ranks own

  const Signature& signature() const { return call.signature; }
};

HierarchyRoute::HierarchyRoute(std::uint32_t rank, std::vector<RankRange> hosts, const GroupPlan& plan,
                               std::unique_ptr<SharedGroup> group, std::unique_ptr<ExchangePath> between)
    : rank_(rank), hosts_(std::move(hosts)), group_(std::move(group)), between_(std::move(between)) {
  while (hosts_[host_].last <= rank_) ++host_;
  own_plan_ = plan.members[host_];
}

Slice HierarchyRoute::region_of(std::size_t host, std::size_t elements) const {
  const RankRange ranks = hosts_[host];
  return {slice_of(elements, world_size(), ranks.first).first,
          slice_of(elements, world_size(), ranks.last - 1).last};
}

Result<void> HierarchyRoute::run(const Call& call, Interruption& interruption) {
  Work work{call, kernels::size_of(call.signature.type), {}, {}, {}};
  if (call.signature.kind == Kind::reduce_scatter) {
    work.region = std::make_shared_for_overwrite<std::byte[]>(
        region_of(host_, call.signature.elements).size() * work.element_bytes);
  }
  Result<void> folded = fold_on_host(work, interruption);
  if (!is_first()) return folded ? spread_on_host(work, nullptr, interruption) : folded;
  Result<void> exchanged = exchange_between_hosts(work, folded ? nullptr : &folded.error());
  if (!folded) return folded;  // so it did on all members of this host
  return spread_on_host(work, exchanged ? nullptr : &exchanged.error(), interruption);
}

/// Leaves the host's subtrees (reductions) or its members' slices with its first member.
Result<void> HierarchyRoute::fold_on_host(Work& work, Interruption& interruption) const {
  const Signature& signature = work.signature();
  std::vector<void*> outputs{work.call.output};
  if (reduces(signature.kind) && is_first()) {
    for (const FoldedRun& subtree : own_plan_.subtrees) {
      work.partials.push_back(std::make_shared_for_overwrite<std::byte[]>(
          signature.elements * subtree.element_bytes(signature.type)));
      work.partial_vectors.push_back(work.partials.back().get());
    }
    outputs = work.partial_vectors;
  }
  if (!group_) {
    if (work.call.failure) return tl::unexpected(*work.call.failure);
    fold_alone(work);
    return {};
  }
  std::vector<Slice> owned;
  const RankRange ranks = hosts_[host_];
  for (std::uint32_t rank = ranks.first; rank < ranks.last; ++rank) {
    if (signature.kind == Kind::broadcast) {
      owned.push_back(rank == signature.root ? Slice{0, signature.elements} : Slice{});
    } else if (signature.kind == Kind::all_gather) {
      owned.push_back(slice_of(signature.elements, world_size(), rank));
    } else {
      owned.push_back(slice_of(signature.elements, ranks.size(), rank - ranks.first));
    }
  }
  Task task;
  task.signature = signature;
  task.name = work.call.name;
  task.delivery = Delivery::first;
  task.owned = owned;
  task.contribution = work.call.contribution;
  task.outputs = outputs;
  task.failure = work.call.failure;
  return group_->run(task, interruption);
}

/// For a host with one member.
void HierarchyRoute::fold_alone(Work& work) const {
  const Signature& signature = work.signature();
  const Contribution& from = work.call.contribution;
  if (reduces(signature.kind)) {
    for (std::size_t i = 0; i < work.partial_vectors.size(); ++i) {
      write_subtree(signature, own_plan_, i, from, {0, signature.elements}, work.partial_vectors[i]);
    }
  } else if (signature.kind == Kind::all_gather) {
    const Slice slice = slice_of(signature.elements, world_size(), rank_);
    std::byte* to = static_cast<std::byte*>(work.call.output) + slice.first * work.element_bytes;
    if (slice.size() > 0 && to != from.vectors[0])
      std::memcpy(to, from.vectors[0], slice.size() * work.element_bytes);
  }
}

Result<void> HierarchyRoute::exchange_between_hosts(Work& work, const Error* failure) const {
  const Signature& signature = work.signature();
  std::vector<Slice> owned;
  for (std::uint32_t host = 0; host < hosts_.size(); ++host) {
    const RankRange ranks = hosts_[host];
    if (signature.kind == Kind::broadcast) {
      const bool is_root = signature.root >= ranks.first && signature.root < ranks.last;
      owned.push_back(is_root ? Slice{0, signature.elements} : Slice{});
    } else if (signature.kind == Kind::all_reduce) {
      owned.push_back(slice_of(signature.elements, static_cast<std::uint32_t>(hosts_.size()), host));
    } else {
      owned.push_back(region_of(host, signature.elements));
    }
  }
  Task task;
  task.signature = signature;
  task.name = work.call.name;
  task.owned = owned;
  task.failure = failure;
  void* output = work.call.output;
  if (signature.kind == Kind::reduce_scatter) {
    task.delivery = Delivery::owner;
    output = work.region.get();
  }
  task.outputs = std::span(&output, 1);
  // Reductions put in the folded subtrees, others what lies in the output already.
  const void* slice =
      static_cast<const std::byte*>(work.call.output) + owned[host_].first * work.element_bytes;
  task.contribution.vectors = std::span(&slice, 1);
  if (reduces(signature.kind)) {
    task.contribution.folded = true;
    task.contribution.vectors =
        std::span<const void* const>(work.partial_vectors.data(), work.partial_vectors.size());
    task.contribution.owner = std::make_shared<std::vector<std::shared_ptr<std::byte[]>>>(work.partials);
  }
  return between_->run(task);
}

Result<void> HierarchyRoute::spread_on_host(Work& work, const Error* failure,
                                            Interruption& interruption) const {
  const Signature& signature = work.signature();
  const bool scatters = signature.kind == Kind::reduce_scatter;
  const Slice region = scatters ? region_of(host_, signature.elements) : Slice{0, signature.elements};
  void* output = scatters ? work.region.get() : work.call.output;
  if (group_) {
    std::vector<Slice> owned(hosts_[host_].size());
    owned.front() = {0, region.size()};
    const void* from = output;
    Task task;
    task.signature = signature;
    task.signature.kind = Kind::broadcast;
    task.signature.elements = region.size();
    task.name = work.call.name;
    task.stage = 1;
    task.owned = owned;
    task.contribution.vectors = std::span(&from, 1);
    task.outputs = std::span(&output, 1);
    task.failure = failure;
    Result<void> spread = group_->run(task, interruption);
    if (!spread) return spread;
  } else if (failure) {
    return tl::unexpected(*failure);
  }
  if (scatters) {
    const Slice own = slice_of(signature.elements, world_size(), rank_);
    if (own.size() > 0) {
      std::memcpy(work.call.output, work.region.get() + (own.first - region.first) * work.element_bytes,
                  own.size() * work.element_bytes);
    }
  }
  return {};
}

void HierarchyRoute::abort(const Error& why) {
  if (group_) group_->abort(why);
}

}  // namespace ds::collective
