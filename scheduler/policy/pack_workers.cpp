// Which nodes the workers of a gang go to that is packed.
#include <algorithm>
#include <utility>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/wanted_kinds.hpp"

namespace ds::scheduler {

/// By kind of node, the smaller the sooner `count` workers more go there, of a job that has those `at` nodes.
/// Those that need GPUs, of any of several kinds: where it has some already and there is room for all of
/// them, then where there is, on the most wanted kind. Those that need none: where there are none. `later`:
/// by what will be free.
std::vector<unsigned> GangPlanner::rank_kinds(const Job& job, std::uint32_t count, const WorkersAt& at,
                                              bool later) const {
  std::vector<unsigned> ranks(capacity_.kind_count(), 0);
  if (job.size.gpus == 0) {
    for (std::size_t kind = 1; kind < ranks.size(); ++kind) ranks[kind] = 1;
    return ranks;
  }
  std::vector<bool> has(ranks.size(), false);
  for (const auto& [node, workers] : at) has[capacity_.kind_of(node)] = true;
  const std::size_t shunned = shunned_by(job);
  const auto count_of_kind = [&](const WorkerSize& size, std::size_t kind) {
    return later ? capacity_.count_later(size, kind) : capacity_.count_placeable(size, kind);
  };
  const std::vector<WorkerSize> wanted = sizes_by_kind(job.size);
  const auto last = static_cast<unsigned>(1 + wanted.size());
  for (std::size_t kind = 0; kind < ranks.size(); ++kind) {
    std::uint64_t fitting = count_of_kind(job.size, kind);
    if (shunned != Capacity::kUnknownNode && capacity_.kind_of(shunned) == kind)
      fitting -= capacity_.fitting(
          shunned, later ? capacity_.free_later(shunned) : capacity_.placeable(shunned), job.size);
    ranks[kind] = last;
    if (fitting < count) continue;
    const auto first = std::ranges::find_if(
        wanted, [&](const WorkerSize& one) { return wanted.size() == 1 || count_of_kind(one, kind) > 0; });
    ranks[kind] = has[kind] ? 0 : static_cast<unsigned>(1 + (first - wanted.begin()));
  }
  return ranks;
}

/// The kind, then those of `count` workers for which there is no room there, then the fullest.
GangPlanner::PackRank GangPlanner::pack_rank(const Job& job, std::size_t node, const Room& room,
                                             std::uint32_t count, std::span<const unsigned> kinds) const {
  const std::uint64_t fitting = capacity_.fitting(node, room, job.size);
  return {kinds[capacity_.kind_of(node)], fitting < count ? count - fitting : 0,
          capacity_.fill_rank(node, room, job.size)};
}

/// For the first of `count` workers more, where the job has none; there is room for them.
std::size_t GangPlanner::choose_to_pack(const Job& job, std::uint32_t count,
                                        std::span<const unsigned> kinds) const {
  const std::size_t shunned = shunned_by(job);
  std::optional<std::pair<PackRank, std::size_t>> best;
  for (const std::size_t kind : capacity_.kinds()) {
    if (best && std::get<0>(best->first) < kinds[kind]) continue;
    const auto node = capacity_.choose_for(job.size, count, kind, shunned);
    if (!node) continue;
    const PackRank rank = pack_rank(job, *node, capacity_.placeable(*node), count, kinds);
    if (!best || rank < best->first) best.emplace(rank, *node);
  }
  return best ? best->second : fullest_placeable(job, job.size);
}

/// The same for room that is kept, where there will be room for them.
std::size_t GangPlanner::choose_to_keep_packed(const Job& job, std::uint32_t count,
                                               const WorkersAt& at) const {
  const std::vector<unsigned> kinds = rank_kinds(job, count, at, true);
  std::optional<std::tuple<bool, PackRank, std::string_view>> best;
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    const Room room = capacity_.free_later(node);
    if (capacity_.fitting(node, room, job.size) == 0) continue;
    const std::tuple rank{is_shunned(job, node), pack_rank(job, node, room, count, kinds),
                          std::string_view(capacity_.node(node).id)};
    if (!best || rank < *best) best = rank;
  }
  return capacity_.index_of(std::get<2>(*best));
}

}  // namespace ds::scheduler
