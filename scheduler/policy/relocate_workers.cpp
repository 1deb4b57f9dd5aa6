// Workers that go to other nodes for a job that waits: what it needs is free, but scattered.
#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "scheduler/policy/aftermath.hpp"

namespace ds::scheduler {
namespace {

/// So many nodes are looked at, those that lack least, and so many sets of jobs are tried to the end: what a
/// plan costs must not grow with how full the cluster is.
constexpr std::size_t kMaxNodes = 64;
constexpr std::size_t kMaxTries = 16;
/// Of more jobs on a node than can be tried in all sets no more than these leave it.
constexpr std::size_t kMaxEvicted = 64;

struct Candidate {
  GangPlanner::Job* job = nullptr;
  double cost = 0;
  Room room;
};

bool is_none(const Room& room) {
  return room.slots == 0 && room.memory_bytes == 0 && room.gpus == 0;
}

Room subtract_or_none(const Room& a, const Room& b) {
  return {a.slots - std::min(a.slots, b.slots), a.memory_bytes - std::min(a.memory_bytes, b.memory_bytes),
          a.gpus - std::min(a.gpus, b.gpus)};
}

bool helps_with(const Room& lack, const Room& room) {
  return (lack.slots > 0 && room.slots > 0) || (lack.memory_bytes > 0 && room.memory_bytes > 0) ||
         (lack.gpus > 0 && room.gpus > 0);
}

/// Seconds times slots that stand still while the job is resized.
double stall_of(const GangPlanner::Job& job) {
  return resize_cost_s(job.demand) * (job.workers * job.size.slots).number();
}

/// Shows each set of candidates, from `i` on, that covers the lack and would not without its last.
template <class Look>
void for_each_cover(std::span<const Candidate> all, std::size_t i, const Room& lack,
                    std::vector<std::size_t>& chosen, Look& look) {
  if (is_none(lack)) return look(chosen);
  for (; i < all.size(); ++i) {
    if (!helps_with(lack, all[i].room)) continue;
    chosen.push_back(i);
    for_each_cover(all, i + 1, subtract_or_none(lack, all[i].room), chosen, look);
    chosen.pop_back();
  }
}

}  // namespace

struct GangPlanner::Relocating {
  Job& job;
  std::uint32_t count;  ///< workers that it needs
  Ask ask;              ///< for them
  double within_s;      ///< what it costs must be gained in that time
  double cost = 0;      ///< of those who go so far
  std::vector<Job*> jobs = {};
  std::vector<std::size_t> left = {};  ///< nodes: nobody goes where another has yet to leave
  std::vector<Step> moved = {};
  std::vector<std::pair<std::size_t, Room>> overlap = {};  ///< queues' use while old and new are there
};

/// As long as it has its minimum, and does not wait after a crash.
bool GangPlanner::is_relocatable(const Job& job) {
  return job.demand.can_relocate && job.demand.preemptible && !job.demand.held && !job.demand.has_promise &&
         !is_together(job) && job.workers >= job.needed;
}

bool GangPlanner::may_relocate(const Job& job, const Job& beneficiary) const {
  if (&job == &beneficiary || job.workers < job.needed || job.is_relocated || job.was_shrunk) return false;
  const bool is_urgent = job.queue == beneficiary.queue && beneficiary.demand.priority >= kCriticalPriority;
  if (job.demand.is_new_there && !is_urgent) return false;
  return job.queue != beneficiary.queue || yields_to(job, beneficiary);
}

/// Whether there will be room if that of all nodes together counts; with all taken that may be.
bool GangPlanner::may_help_to_relocate(const Job& job, std::uint32_t count) const {
  if (relocatable_ == 0 || job.workers > 0 || job.demand.has_promise) return false;
  const Ask ask = ask_of(job, count);
  const Lack lack = lack_of(job, count);
  if (!lack.room || lack.quota) return false;
  return is_none(subtract_or_none(room_of(ask.piece, ask.pieces), capacity_.free_later()));
}

/// For so long it waits otherwise, as far as that is known and as it matters.
double GangPlanner::waits_s(const Job& job, std::int64_t now_ms) const {
  double within_s = kMovePaysWithinS;
  if (job.demand.lasts_ms > 0) within_s = std::min(within_s, static_cast<double>(job.demand.lasts_ms) / 1000);
  Aftermath then = aftermath_of(job);
  if (const auto at_ms = end_until_room(then, now_ms))
    within_s = std::min(within_s, static_cast<double>(*at_ms - now_ms) / 1000);
  return within_s;
}

/// `taken`: all that may be taken from others, which was not enough. At first without any of it: so who was
/// once shrunk for it is not shrunk in vain.
bool GangPlanner::make_room_by_relocation(Job& job, std::uint32_t count, Taken& taken, std::int64_t now_ms) {
  for (const Lease* lease : taken.workers) take_back(*lease);
  const double within_s = waits_s(job, now_ms);
  const Relocating none{job, count, ask_of(job, count), within_s};
  Relocating now = none;
  if (Taken nothing; find_relocations(now)) {
    settle_relocations(now, nothing);
    return true;
  }
  for (const Lease* lease : taken.workers) release(job_of(*lease), *lease);
  Relocating with_taken = none;
  if (taken.workers.empty() || !find_relocations(with_taken)) return false;
  settle_relocations(with_taken, taken);
  return true;
}

bool GangPlanner::find_relocations(Relocating& now) {
  const std::size_t first_step = steps_.size();
  bool is_found = true;
  while (is_found && capacity_.count_later(now.ask.piece) < now.ask.pieces)
    is_found = relocate_for_piece(now);
  for (const auto& [queue, room] : now.overlap) use_later_.remove(queue, room);
  is_found = is_found && !find_limit(now.job, now.count);
  if (!is_found) {
    undo_from(first_step);
    return false;
  }
  now.moved.assign(steps_.begin() + static_cast<std::ptrdiff_t>(first_step), steps_.end());
  return true;
}

/// By the cheapest set of jobs for which that can be.
bool GangPlanner::relocate_for_piece(Relocating& now) {
  std::size_t tries = 0;
  for (const Eviction& one : evictions_for(now)) {
    if (!pays_for(now, one)) continue;
    if (++tries > kMaxTries) return false;
    if (try_eviction(now, one)) return true;
  }
  return false;
}

/// The cheapest first.
std::vector<GangPlanner::Eviction> GangPlanner::evictions_for(const Relocating& now) const {
  std::vector<std::tuple<SlotCount, std::size_t, Room>> nodes;  // and what each lacks
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    if (relocatable_at_[node].empty() || !capacity_.node(node).available || !could_hold(node, now.ask))
      continue;
    const Room room = capacity_.free_later(node);
    const auto pieces = static_cast<std::uint32_t>(fitting(node, room, now.ask)) + 1;
    const Room lack = subtract_or_none(room_of(now.ask.piece, pieces), room);
    if (!is_none(lack)) nodes.emplace_back(lack.slots, node, lack);
  }
  std::ranges::sort(nodes, {}, [this](const auto& one) {
    return std::pair(std::get<0>(one), std::string_view(capacity_.node(std::get<1>(one)).id));
  });
  if (nodes.size() > kMaxNodes) nodes.resize(kMaxNodes);
  std::vector<Eviction> found;
  for (const auto& [slots, node, lack] : nodes) add_evictions(now, node, lack, found);
  std::ranges::stable_sort(found, {},
                           [](const Eviction& one) { return std::pair(one.cost, one.jobs.size()); });
  return found;
}

void GangPlanner::add_evictions(const Relocating& now, std::size_t node, const Room& lack,
                                std::vector<Eviction>& found) const {
  std::vector<Candidate> candidates;
  for (Job* job : relocatable_at_[node]) {
    const bool has_gone = std::ranges::find(now.jobs, job) != now.jobs.end();
    if (has_gone || !may_relocate(*job, now.job) || capacity_.count_later(job->size) == 0) continue;
    Candidate one{job, stall_of(*job), {}};
    for (const Lease* lease : job->live) {
      if (capacity_.index_of(lease->node) == node) one.room = plus(one.room, room_of(size_of(*lease), 1));
    }
    if (helps_with(lack, one.room)) candidates.push_back(one);
  }
  std::ranges::stable_sort(candidates, {}, &Candidate::cost);
  const auto add = [&](const std::vector<std::size_t>& chosen) {
    Eviction& one = found.emplace_back(Eviction{.node = node});
    for (const std::size_t i : chosen) {
      one.cost += candidates[i].cost;
      one.jobs.push_back(candidates[i].job);
    }
  };
  std::vector<std::size_t> chosen;
  const std::size_t sets_before = found.size();
  for_each_cover(std::span(candidates).first(std::min(candidates.size(), kMaxExactVictims)), 0, lack, chosen,
                 add);
  if (candidates.size() <= kMaxExactVictims || found.size() > sets_before) return;
  Room left = lack;
  for (std::size_t i = 0; i < candidates.size() && !is_none(left) && chosen.size() < kMaxEvicted; ++i) {
    if (!helps_with(left, candidates[i].room)) continue;
    chosen.push_back(i);
    left = subtract_or_none(left, candidates[i].room);
  }
  if (is_none(left)) add(chosen);
}

/// With those who go already.
bool GangPlanner::pays_for(const Relocating& now, const Eviction& eviction) const {
  double within_s = now.within_s;
  for (const Job* job : eviction.jobs) within_s = std::min(within_s, pays_within_s(job->demand));
  const double slots = (now.count * now.job.size.slots).number();
  return pays(slots, now.cost + eviction.cost, within_s);
}

/// The newest workers go, no more than needed. False, and nothing changed, when there is no other node for
/// one of them, or its queue could not have both for a while.
bool GangPlanner::try_eviction(Relocating& now, const Eviction& eviction) {
  const std::size_t first_step = steps_.size(), first_overlap = now.overlap.size();
  const auto fits = [&] { return fitting(eviction.node, capacity_.free_later(eviction.node), now.ask); };
  const std::int64_t wanted = fits() + 1;
  const auto pieces = capacity_.count_later(now.ask.piece);
  double cost = 0, within_s = now.within_s;
  std::vector<Job*> jobs;
  now.left.push_back(eviction.node);
  const auto move_one = [&](Job& job, const Lease& lease) {
    const auto node = choose_other_node(job, now.left, now.ask);
    const Room room = room_of(job.size, 1);
    if (!node || use_later_.find_limit(job.queue, room)) return false;
    relocate(job, lease, *node);
    use_later_.add(job.queue, room);
    now.overlap.emplace_back(job.queue, room);
    return true;
  };
  bool can_go = true;
  for (Job* job : eviction.jobs) {
    const std::vector<const Lease*> live = job->live;
    for (auto lease = live.begin(); lease != live.end() && can_go && fits() < wanted; ++lease) {
      if (capacity_.index_of((*lease)->node) != eviction.node) continue;
      can_go = move_one(*job, **lease);
      if (!jobs.empty() && jobs.back() == job) continue;
      jobs.push_back(job);
      cost += stall_of(*job);
      within_s = std::min(within_s, pays_within_s(job->demand));
    }
  }
  if (can_go && fits() >= wanted && capacity_.count_later(now.ask.piece) > pieces) {
    now.cost += cost;
    now.within_s = within_s;
    now.jobs.insert(now.jobs.end(), jobs.begin(), jobs.end());
    return true;
  }
  undo_from(first_step);
  now.left.pop_back();
  for (; now.overlap.size() > first_overlap; now.overlap.pop_back())
    use_later_.remove(now.overlap.back().first, now.overlap.back().second);
  return false;
}

/// Whether nobody lacks a worker that was taken, once the job has its room; nor before, while who relocates
/// has old and new workers.
bool GangPlanner::is_needless(const Relocating& now, const Lease& lease) {
  const std::size_t node = capacity_.index_of(lease.node), queue = job_of(lease).queue;
  const WorkerSize size = size_of(lease);
  if (capacity_.fitting(node, capacity_.free_later(node), size) == 0) return false;
  if (use_later_.find_limit(queue, room_of(size, 1))) return false;
  const Room wanted = room_of(now.job.size, now.count);
  use_later_.remove(now.job.queue, wanted);
  for (const auto& [moving, room] : now.overlap) use_later_.add(moving, room);
  const bool is_allowed_before = !use_later_.find_limit(queue, room_of(size, 1));
  for (const auto& [moving, room] : now.overlap) use_later_.remove(moving, room);
  use_later_.add(now.job.queue, wanted);
  return is_allowed_before;
}

/// Keeps the room for the job, and what is needed of what was taken; and begins, if all can.
void GangPlanner::settle_relocations(Relocating& now, Taken& taken) {
  reserve(now.job, now.count);
  for (std::size_t i = taken.workers.size(); i-- > 0;) {
    const Lease* lease = taken.workers[i];
    if (!is_needless(now, *lease)) continue;
    take_back(*lease);
    taken.workers.erase(taken.workers.begin() + static_cast<std::ptrdiff_t>(i));
  }
  record(now.job, taken);
  const bool has_begun = begin_relocations(now);
  for (const Step& step : now.moved) {
    touch(*step.job);
    step.job->is_relocated = true;
    const std::string& to = capacity_.node(step.node).id;
    relocations_.push_back(
        {step.job->demand.job, step.lease->worker, step.lease->node, to, now.job.demand.job, has_begun});
    if (!has_begun) continue;
    releases_.push_back({step.job->demand.job, step.lease->worker});
    placements_.push_back({step.job->demand.job, to, 1});
  }
}

/// Not while another waits for room that is coming: its turn is first, and what is free first, it would take.
bool GangPlanner::begin_relocations(const Relocating& now) {
  const bool is_behind = std::ranges::any_of(
      steps_, [&](const Step& step) { return step.kind == Step::Kind::reserved && step.job != &now.job; });
  if (is_behind) return false;
  const std::size_t first_step = steps_.size();
  for (const Step& step : now.moved) {
    Job& job = *step.job;
    const Room room = room_of(job.size, 1);
    const bool is_leaving =
        job.workers < job.started || std::ranges::any_of(job.leases, [](const Lease& lease) {
          return lease.role == Role::worker && lease.releasing;
        });
    if (is_leaving || capacity_.fitting(step.node, capacity_.free_now(step.node), job.size) == 0 ||
        use_now_.find_limit(job.queue, room)) {
      undo_from(first_step);
      return false;
    }
    capacity_.use(step.node, job.size, true, false);
    use_now_.add(job.queue, room);
    steps_.push_back({Step::Kind::arrived, &job, step.node, step.lease});
  }
  return true;
}

std::vector<Relocation> GangPlanner::relocations_for(const Job& job) const {
  std::vector<Relocation> found;
  std::ranges::copy_if(relocations_, std::back_inserter(found),
                       [&](const Relocation& one) { return one.by == job.demand.job; });
  return found;
}

}  // namespace ds::scheduler
