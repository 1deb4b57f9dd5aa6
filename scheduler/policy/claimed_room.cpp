// When one that was promised a moment has its room among tenants: what is certain, whatever they do.
#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "scheduler/policy/aftermath.hpp"

namespace ds::scheduler {
namespace {

constexpr std::int64_t kMinimumRunMs = std::chrono::milliseconds(kMinimumRun).count();

}  // namespace

/// What others may hold that could be taken from them is gone in thought (`then.freed`, but not `then.use`);
/// of it each keeps at that moment what it is guaranteed, and nobody knows which part.
struct GangPlanner::Claimed {
  struct Side {                 ///< of a queue beside the job's way to the root
    SlotCount slots;            ///< that could be taken
    std::uint64_t lost = 0;     ///< pieces, if none of it is taken, at most
    std::uint64_t worst = 0;    ///< pieces for which the worker that wastes most leaves no room,
    SlotCount worst_slots = 1;  ///< and its slots

    void count(const WorkerSize& size, std::uint64_t workers, const WorkerSize& piece) {
      const std::uint64_t one = most_displaced(size, piece);
      slots += workers * size.slots;
      lost += workers * one;
      if (one * worst_slots.thousandths() <= worst * size.slots.thousandths()) return;
      worst = one;
      worst_slots = size.slots;
    }
    void forget(const WorkerSize& size, std::uint64_t workers, const WorkerSize& piece) {
      slots -= workers * size.slots;
      lost -= workers * most_displaced(size, piece);
    }
    /// If it keeps so many slots.
    std::uint64_t lost_to(SlotCount kept) const {
      return std::min(lost, kept.thousandths() * worst / worst_slots.thousandths());
    }
  };
  enum class What { ends, is_old };
  /// When those are old enough to be taken from that start in this plan: at once, or as late as they may be.
  /// It must do with both. That one may be taken from is no gain as such: which of its side's workers are
  /// left at that moment is less certain then.
  enum class NewAreOld { at_once, late };

  Claimed(const GangPlanner& all, const Job& job, std::span<const EarlierPromise> earlier,
          std::int64_t now_ms, NewAreOld when);

  const WorkerSize& piece() const { return then.ask.piece; }
  Side& side_of(const Job& other) {
    return sides[planner.tenants_.meet(then.job->queue, other.queue).b_side];
  }
  /// Where the job could not be nobody is taken for it, and nobody is in its way.
  bool is_of_use(std::size_t node) const {
    return !is_picky(*then.job) || planner.could_hold_any(node, *then.job);
  }
  std::uint64_t workers_of_use(const Job& other) const;
  void look_at(const Job& other, std::int64_t now_ms, NewAreOld when);
  void take(const Job& other);
  void count_lost(const Job& other, bool more);
  void end(const Job& other);
  /// All that happens until then, and at that moment.
  void go_on_until(std::int64_t at_ms);

  const GangPlanner& planner;
  Aftermath then;
  bool has_extras;                      ///< workers above minimums of its queue count as the job's
  std::int64_t first_ms;                ///< not before: when the earlier have started
  std::map<std::size_t, Side> sides{};  ///< by queue
  std::set<const Job*> taken{};
  std::vector<std::tuple<std::int64_t, What, const Job*>> moments{};  ///< in their order
  std::size_t passed = 0;                                             ///< of these
  bool has_new = false;                                               ///< could be taken once they are old
};

/// The workers of a job of the same queue above its minimum, which all are there for one with a promise.
void GangPlanner::take_own_extras(Aftermath& then, const Job& other) const {
  if (!other.demand.preemptible || other.is_relocated || other.workers <= other.needed) return;
  if (other.started < other.needed) return;  // it has just been placed: which of them are above is not told
  std::uint32_t extra = other.workers - other.needed;
  // As `newest_of_use` has it: others of them go on, and are part of what the queue uses.
  const auto is_of_use = [&](std::size_t node) {
    return node != Capacity::kUnknownNode && capacity_.node(node).available &&
           (!is_picky(*then.job) || could_hold_any(node, *then.job));
  };
  const auto take = [&](std::size_t node) {
    give_back(then, other, node, 1);
    ++then.taken[&other][node];
    --extra;
  };
  std::map<std::size_t, std::uint32_t> older;
  for (const Lease* lease : other.live) ++older[capacity_.index_of(lease->node)];
  std::vector<std::size_t> nodes;
  for (const auto& [node, workers] : other.at) nodes.push_back(node);
  std::ranges::sort(nodes, [this](std::size_t a, std::size_t b) { return capacity_.comes_before(a, b); });
  for (const std::size_t node : nodes) {  // those that this plan has added are the newest
    const std::uint32_t workers = other.at.at(node);
    for (std::uint32_t i = older[node]; i < workers && extra > 0 && is_of_use(node); ++i) take(node);
  }
  for (const Lease* lease : other.live) {
    const std::size_t node = capacity_.index_of(lease->node);
    if (extra == 0) break;
    if (is_of_use(node)) take(node);
  }
}

/// From the job's queue up: what could all be used there then, and what of it is not the job's to take.
bool GangPlanner::has_claimed_room(const Claimed& claimed) const {
  const Aftermath& then = claimed.then;
  const Job& job = *then.job;
  const std::uint32_t missing = job.needed - job.workers;
  const auto limits =
      then.use.find_limits(job.queue, {.slots = 0, .memory_bytes = 0, .gpus = missing * job.size.gpus});
  if (std::ranges::any_of(limits, &QueueUse::Limit::is_of_gpus)) return false;
  const bool is_lending_limited =
      std::ranges::any_of(tenants_.queues, [](const QueueSpec& queue) { return queue.reserved() > 0; });
  SlotCount use = then.use.slots(job.queue) + missing * job.size.slots;  // as nobody else comes before it
  SlotCount held = use;
  if (use > tenants_[job.queue].guaranteed) return false;
  // Of GPUs nobody's use is taken to become less but by ends, as of slots where the job is picky.
  const auto has_gpus_within = [&](std::size_t queue) {
    const std::uint64_t gpus = std::uint64_t{missing} * job.size.gpus;
    return gpus == 0 || !tenants_.guarantees_gpus() ||
           then.use.used(queue).gpus + gpus <= tenants_[queue].guaranteed_gpus;
  };
  if (!has_gpus_within(job.queue)) return false;
  std::uint64_t lost = 0;
  for (std::size_t at = job.queue; at != TenantTree::kRoot; at = tenants_[at].parent) {
    if (const auto most = tenants_[at].most(); most && held > *most) return false;
    // Only as long as its side is within its guarantee it has back what others have borrowed.
    const bool is_entitled = use <= tenants_[at].guaranteed && has_gpus_within(at);
    const std::size_t above = tenants_[at].parent;
    held = std::max<SlotCount>(held, tenants_[at].reserved());
    SlotCount of_children = then.use.slots(at);
    for (std::size_t side = 1; side < tenants_.queues.size(); ++side) {
      if (tenants_[side].parent != above || side == at) continue;
      of_children += then.use.slots(side);
      const auto found = claimed.sides.find(side);
      const Claimed::Side of = found == claimed.sides.end() ? Claimed::Side{} : found->second;
      const SlotCount kept =
          is_entitled ? std::min<SlotCount>(of.slots, tenants_[side].guaranteed) : of.slots;
      // Of one that needs GPUs or one node only those give way there who are where it could be.
      const SlotCount of_side = then.use.slots(side) - of.slots + (is_picky(job) ? of.slots : kept);
      lost += of.lost_to(kept);
      use += of_side;
      held += is_lending_limited ? std::max<SlotCount>(of_side, tenants_[side].guaranteed) : of_side;
    }
    const SlotCount of_none = then.use.slots(above) - of_children;  // of tenants that are gone
    use += of_none;
    held += of_none;
  }
  if (is_lending_limited && held > total_and_elsewhere().slots) return false;
  return then.fitting - then.owed >= static_cast<std::int64_t>(then.ask.pieces + lost);
}

GangPlanner::Claimed::Claimed(const GangPlanner& all, const Job& job, std::span<const EarlierPromise> earlier,
                              std::int64_t now_ms, NewAreOld when)
    : planner(all),
      then(all.aftermath_of(job)),
      has_extras(may_count_on_extras(job, earlier)),
      first_ms(now_ms) {
  for (const Job* other : planner.running_) look_at(*other, now_ms, when);
  for (const Job* other : planner.touched_) {
    if (other->started == 0) look_at(*other, now_ms, when);
  }
  for (const EarlierPromise& promise : earlier) {
    planner.hold_back(then, *promise.job);
    first_ms = std::max(first_ms, promise.starts_by_ms);
    moments.emplace_back(promise.ends_by_ms, What::ends, promise.job);
  }
  std::ranges::sort(moments, {}, [](const auto& moment) { return std::get<0>(moment); });
}

std::uint64_t GangPlanner::Claimed::workers_of_use(const Job& other) const {
  std::uint64_t workers = 0;
  for (const auto& [node, count] : other.at) workers += is_of_use(node) ? count : 0;
  return workers;
}

void GangPlanner::Claimed::look_at(const Job& other, std::int64_t now_ms, NewAreOld when) {
  const Job& job = *then.job;
  if (&other == &job || other.workers == 0) return;
  if (const auto ends_ms = end_of(other, now_ms); ends_ms > 0)
    moments.emplace_back(std::max(ends_ms, now_ms), What::ends, &other);
  count_lost(other, true);
  if (other.queue == job.queue) {
    if (has_extras) planner.take_own_extras(then, other);
    return;
  }
  if (!other.demand.preemptible || other.demand.has_promise || !other.has_queue) return;
  // Not sooner though the job is critical: its owner may make it less urgent.
  const bool is_new = other.started == 0;
  has_new = has_new || is_new;
  const bool is_old = is_new ? when == NewAreOld::at_once : !other.demand.is_young;
  if (is_old) return take(other);
  const std::int64_t old_ms = is_new ? now_ms + kMinimumRunMs : other.demand.young_until_ms;
  if (old_ms > now_ms) moments.emplace_back(old_ms, What::is_old, &other);
}

void GangPlanner::Claimed::take(const Job& other) {
  if (!taken.insert(&other).second) return;
  side_of(other).count(other.size, workers_of_use(other), piece());
  for (const auto& [node, workers] : other.at) {
    if (is_of_use(node)) planner.free_in_thought(then, other, node, workers);
  }
}

/// A gang that is not preemptible keeps its minimum of what the queue is guaranteed, whatever it has lost.
void GangPlanner::Claimed::count_lost(const Job& other, bool more) {
  const std::uint32_t kept = planner.fixed_workers(other, other.workers);
  if (other.queue != then.job->queue || kept <= other.workers) return;
  const std::uint32_t owed = kept - other.workers;
  const auto pieces = static_cast<std::int64_t>(owed * most_displaced(other.size, piece()));
  more ? then.use.add(other.queue, room_of(other.size, owed))
       : then.use.remove(other.queue, room_of(other.size, owed));
  then.owed += more ? pieces : -pieces;
}

void GangPlanner::Claimed::end(const Job& other) {
  if (other.workers == 0) return planner.let_go(then, other);
  count_lost(other, false);
  if (taken.insert(&other).second) return planner.give_all_back(then, other);
  side_of(other).forget(other.size, workers_of_use(other), piece());
  for (const auto& [node, workers] : other.at) then.use.remove(other.queue, room_of(other.size, workers));
}

void GangPlanner::Claimed::go_on_until(std::int64_t at_ms) {
  for (; passed < moments.size() && std::get<0>(moments[passed]) <= at_ms; ++passed) {
    const auto& [ms, what, other] = moments[passed];
    what == What::ends ? end(*other) : take(*other);
  }
}

std::optional<std::int64_t> GangPlanner::find_claimed_room(const Job& job, std::int64_t now_ms) const {
  if (job.workers >= job.needed) return now_ms;
  if (job.queue == TenantTree::kRoot) return std::nullopt;
  const auto earlier = promises_before(job, now_ms);
  if (!earlier) return std::nullopt;
  Claimed late(*this, job, *earlier, now_ms, Claimed::NewAreOld::late);
  std::optional<Claimed> at_once;
  if (late.has_new) at_once.emplace(*this, job, *earlier, now_ms, Claimed::NewAreOld::at_once);
  std::int64_t at_ms = late.first_ms;
  while (true) {
    late.go_on_until(at_ms);
    if (at_once) at_once->go_on_until(at_ms);
    if (has_claimed_room(late) && (!at_once || has_claimed_room(*at_once))) return at_ms;
    if (late.passed == late.moments.size()) return std::nullopt;
    at_ms = std::get<0>(late.moments[late.passed]);
  }
}

/// At that moment alone: of all that is asked for every start and growth meanwhile.
bool GangPlanner::has_claimed_room_at(const Job& job, std::int64_t at_ms, std::int64_t now_ms) const {
  if (job.workers >= job.needed) return true;
  const auto earlier = promises_before(job, now_ms);
  if (!earlier) return false;
  for (const auto when : {Claimed::NewAreOld::late, Claimed::NewAreOld::at_once}) {
    Claimed claimed(*this, job, *earlier, now_ms, when);
    if (claimed.first_ms > at_ms) return false;
    claimed.go_on_until(at_ms);
    if (!has_claimed_room(claimed)) return false;
    if (!claimed.has_new) break;
  }
  return true;
}

bool GangPlanner::leaves_claimed_room(std::span<const Reservation> reservations, std::int64_t now_ms) const {
  return std::ranges::all_of(reservations, [&](const Reservation& kept) {
    return !kept.is_claimed || has_claimed_room_at(*kept.job, *kept.at_ms, now_ms);
  });
}

bool GangPlanner::has_first_claim(const Job& job) const {
  if (job.queue == TenantTree::kRoot || job.guaranteed_levels < tenants_[job.queue].depth) return false;
  return use_nothing_.fits_guarantee(job.queue, with_those_before(job));
}

Room GangPlanner::with_those_before(const Job& job) const {
  Room room = room_of(job.size, job.needed);
  const auto count = [&](const Job* other) {
    if (other == &job || other->queue != job.queue || gives_way(*other, job)) return;
    room = plus(room, room_of(other->size, std::min(other->workers, other->needed)));
  };
  for (const Job* other : running_) count(other);
  for (const Job* other : touched_) {
    if (other->started == 0) count(other);
  }
  for (const Job* other : waiting_promises_before(job)) {
    if (other->queue == job.queue) room = plus(room, room_of(other->size, other->needed));
  }
  if (job.size.gpus == 0) room.gpus = 0;  // those that others have are nothing to it
  return room;
}

}  // namespace ds::scheduler
