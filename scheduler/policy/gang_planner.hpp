#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scheduler/policy/cluster_needs.hpp"
#include "scheduler/policy/forecast.hpp"
#include "scheduler/policy/gang_job.hpp"
#include "scheduler/policy/gang_step.hpp"
#include "scheduler/policy/guarantee_lines.hpp"
#include "scheduler/policy/queue_use.hpp"
#include "scheduler/policy/reservation.hpp"
#include "scheduler/policy/told_job.hpp"
#include "scheduler/policy/wait_reasons.hpp"
#include "scheduler/spec/queue_index.hpp"

namespace ds::scheduler {

/// Up to so many jobs that could be preempted, the cheapest set of them is found by trying all.
inline constexpr std::size_t kMaxExactVictims = 10;

/// What jobs have and want, kept from plan to plan, and while a plan is made which worker goes where; which
/// job's turn it is the policy decides.
///
/// Between plans it is told what changed, at the cost of what changed. A plan begins with `begin`; each of
/// its steps keeps the promise of `Plan`: what it places fits now. `end` takes all its steps back: what comes
/// of them is told like any other change.
class GangPlanner {
 public:
  using Job = GangJob;
  using Before = GangJob::Before;
  using Jobs = GangJob::Jobs;
  using Shape = GangJob::Shape;
  using GrowthRank = GangJob::GrowthRank;
  using GrowthGroup = GangJob::GrowthGroup;
  using ShrinkGroup = GangJob::ShrinkGroup;
  using Ask = RoomAsked;
  using Reservation = scheduler::Reservation;

  /// It has no nodes. The tree must outlive it.
  explicit GangPlanner(const TenantTree& tenants);

  // ---- between plans ----
  /// Nodes that are new, or other than before, and names of those that are gone: costs what is on them, and
  /// the jobs that become possible by it, or impossible.
  void change_nodes(std::vector<NodeView> changed, std::span<const std::string> gone);
  /// All there are, in any order.
  std::vector<NodeView> nodes() const;
  const NodeView* find_node(std::string_view name) const;
  /// All there is to know of a job from now on. Without a demand it has ended; without leases as well it is
  /// forgotten.
  void set_job(const std::string& job, std::optional<Demand> demand, std::vector<Lease> leases);
  /// Takes its jobs out, to be given to a planner of other nodes.
  std::vector<std::unique_ptr<Job>> take_jobs();
  ToldJob told(const std::string& job) const;
  const QueueIndex& queue_index() const { return index_; }
  /// As if the plan were carried out, and all were gone that is releasing; until it is told what it gives,
  /// which is how things are. Costs what changes by that.
  std::vector<ToldJob> carry_out(const Plan& plan);

  // ---- a plan ----
  void begin();
  Plan end();

  /// Pending jobs of a queue that lacked workers of their minimum when the plan began, and of these those
  /// that had some.
  const Jobs& short_of(std::size_t queue) const { return short_[queue]; }
  const Jobs& partial_of(std::size_t queue) const { return partial_[queue]; }
  /// Those that had none.
  const Job::ByShape& unstarted_of(std::size_t queue) const { return unstarted_[queue]; }
  /// Jobs that lacked some and are not pending.
  const Jobs& impossible() const { return impossible_; }
  bool has_partial_gangs() const { return !stalled_.empty(); }
  bool preempts_any() const { return !preemptions_.empty(); }  ///< in this plan so far
  /// Jobs of a queue that had their minimum and a size that is worth growing to when the plan began, by size
  /// of worker.
  const Job::Growable& growable_of(std::size_t queue) const { return growable_[queue]; }
  /// Jobs that changed in this plan so far.
  const std::vector<Job*>& touched() const { return touched_; }
  /// Jobs that are better off with fewer workers than they had when the plan began.
  const Jobs& slowed() const { return slowed_; }
  const Job* find(const std::string& job) const;

  /// The queue whose limit so many more workers would pass once all is gone that is releasing; none: allowed.
  std::optional<std::size_t> find_limit(const Job& job, std::uint32_t count) const;
  std::vector<QueueUse::Limit> find_limits(const Job& job, std::uint32_t count) const {
    return use_later_.find_limits(job.queue, room_of(job.size, count));
  }

  /// What such a job has nobody gets back before it ends.
  bool is_fixed(const Job& job) const { return !job.demand.preemptible && tenants_.has_tenants(); }
  /// Whether with so many workers more all that such jobs have, and all that is claimed by those before it,
  /// would leave others less than they are guaranteed. Not by the minimum of a gang that has started.
  bool would_keep_guarantees(const Job& job, std::uint32_t count) const {
    return is_fixed(job) && find_kept_guarantee(job, count, use_claimed_).has_value();
  }
  /// From now on those after it can't have what such a job lacks of that.
  void claim_fixed(Job& job, std::uint32_t count);

  Ask ask_of(const Job& job, std::uint32_t count) const;
  /// Whether so many workers would fit now.
  bool can_place(const Job& job, std::uint32_t count) const;

  /// Whether the minimum of a job without workers would fit now and be allowed.
  bool fits_now(std::size_t queue, const Shape& shape) const;
  bool has_placeable_slots() const { return capacity_.placeable_slots() > 0; }

  /// Places `count` workers, all or none; false when they do not fit or are not allowed now.
  bool place(Job& job, std::uint32_t count);

  /// Whether `count` workers would not fit on the nodes even when all that is releasing is gone.
  bool lacks_slots(const Job& job, std::uint32_t count) const { return lack_of(job, count).room; }

  /// Sees to it that `count` workers will fit and be allowed when all that is releasing is gone, and keeps
  /// that room for the job: by releasing workers of stalled gangs, then those above the minimum of other
  /// jobs; or by having workers of others go to other nodes; or by releasing jobs as a whole; where
  /// necessary. Nothing changes when even all of them would not do.
  MadeRoom make_room(Job& job, std::uint32_t count, std::int64_t now_ms, const RoomConditions& conditions);
  /// Who is relocated for it by this plan.
  std::vector<Relocation> relocations_for(const Job& job) const;
  /// The same within what the job's queue is guaranteed, by shrinking jobs of queues that have borrowed.
  bool reclaim_room(Job& job, std::uint32_t count);
  /// The same by taking workers of jobs of its queue that have measured their speeds, where all together gain
  /// by it; who gives them is told in `resizes`.
  bool move_room(Job& job, std::uint32_t count, std::vector<SizeChange>& resizes);
  struct Giver {
    const Job* job;
    std::uint32_t gives;  ///< workers
  };
  /// The same by taking them from jobs of `queue` for the sake of equal shares. `is_worth` is asked of the
  /// givers once they have given and the room is the job's.
  bool move_for_shares(Job& job, std::uint32_t count, std::size_t queue,
                       const std::function<bool(std::span<const Giver>)>& is_worth);
  /// Whether a node has room for a worker now, or will have.
  bool has_room_for_one(const WorkerSize& size) const {
    return capacity_.fullest_placeable(size) || capacity_.count_later(size) > 0;
  }
  /// Whether a queue, or one above it, stays within its guarantee with a worker more.
  bool has_guarantee_left(std::size_t queue, const WorkerSize& size) const {
    return lowest_guarantee(queue, room_of(size, 1)) != TenantTree::kRoot;
  }
  bool could_give_any(std::size_t queue) const { return !shrinkable_[queue].empty(); }
  /// Workers of the job's size that can be placed.
  std::uint64_t count_placeable(const Job& job) const;
  /// Whether for want of room neither of two jobs of a queue, which have their minimums, has a worker more if
  /// the first has not.
  bool lack_the_same_room(const Job& first, const Job& second) const;
  /// Keeps the room that will be there when all that is releasing is gone, if it is enough for `count`.
  bool keep_room(Job& job, std::uint32_t count);
  /// Releases workers of a job that is better off without them.
  void give_back(Job& job, std::vector<SizeChange>& resizes);

  /// The earliest moment at which the job has its minimum for sure: when enough of the gangs have ended that
  /// have workers now, by their limits. `is_soon`: room is being made for it.
  Reservation reserve_later(const Job& job, std::size_t keeps_back, bool is_soon, std::int64_t now_ms) const;
  /// Of one whose moment nobody knows: lets start behind it what delays it in no case, if that can be told.
  /// `all`: of all whose turn has come and who wait. (beside_unknown.cpp)
  void open_behind_unknown(Reservation& kept, std::span<const Reservation> all) const;
  /// What workers that are placed now mean to a reservation: nothing, since they are gone by then or can be
  /// taken back; or they must not be in its way; or it is not for them to care.
  enum class Bond { none, binds, ignored };
  /// Places `count` workers, all or none, so that they are in the way of no reservation that `bonds` says
  /// binds them; false when they do not fit, are not allowed now, or would be. Nodes come first on which a
  /// worker is in nobody's way (of the first `kMaxNodesTried`), then as in `place`.
  bool place_beside(Job& job, std::uint32_t count, std::span<Reservation> reservations,
                    std::span<const Bond> bonds, std::int64_t now_ms);

  // ---- promises (earlier_promises.cpp; among tenants claimed_room.cpp) ----
  struct EarlierPromise {
    const Job* job;
    std::int64_t starts_by_ms, ends_by_ms;  ///< no later; now at the earliest
  };
  /// Those with a promise that wait too, in any queue, and come before the job.
  std::vector<const Job*> waiting_promises_before(const Job& job) const;
  /// The same with what is certain of them; none: of one of them nothing is, or they are more than
  /// `kMaxWaitingPromises` with the job.
  std::optional<std::vector<EarlierPromise>> promises_before(const Job& job, std::int64_t now_ms) const;
  /// The earliest moment at which a job with a promise has its minimum for certain within what its queue is
  /// guaranteed, whatever the tenants do until then; none: nobody knows.
  std::optional<std::int64_t> find_claimed_room(const Job& job, std::int64_t now_ms) const;
  /// Whether all of these that are claimed have their room then, as things are in this plan.
  bool has_claimed_room_at(const Job& job, std::int64_t at_ms, std::int64_t now_ms) const;
  bool leaves_claimed_room(std::span<const Reservation> reservations, std::int64_t now_ms) const;
  /// Whether the job with a promise comes before all others in the cluster: its minimum is within what its
  /// queue is guaranteed, beside those of the jobs there that do not give way to it.
  bool has_first_claim(const Job& job) const;
  /// What its minimum and those of the jobs there take that do not give way to it.
  Room with_those_before(const Job& job) const;
  /// Whether a worker that the job, which has its minimum, gets now may be taken back for the beneficiary.
  bool could_shrink(const Job& job, const Job& beneficiary) const;

  // ---- when a job starts (forecast.cpp) ----
  struct Aftermath;
  Aftermath aftermath_of(const Job& job) const;
  std::int64_t earliest_room(const Job& job, std::uint32_t most_urgent, const GangEnds& ends,
                             std::int64_t now_ms) const;
  std::optional<std::int64_t> end_all_limited(Aftermath& then, std::int64_t now_ms) const;
  bool could_come_ahead(const Job& job, std::uint32_t priority) const;
  /// It is held until a moment that is known, and then it waits as others do.
  bool will_be_pending(const Job& job) const {
    return job.demand.held && job.demand.held_until_ms > 0 && is_feasible(job) && is_allowed(job);
  }
  bool fits_after(const Aftermath& then, const Job& job) const;
  // Among tenants (forecast_tenants.cpp).
  std::size_t job_count() const { return jobs_.size(); }
  bool are_only_slots_short() const;
  /// Whether a job of another queue may.
  bool may_others_keep_borrowed(const Job& job) const;
  bool may_keep_borrowed(const Job& job) const;
  std::optional<std::int64_t> own_queue_runs_ms(const Job& job, std::int64_t now_ms) const;

  /// Counts the job's missing minimum as used by its queue from now on, though there is no room for it.
  void promise(Job& job);

  /// What queues have once all that is releasing is gone and what is kept for those that wait is theirs.
  const QueueUse& use() const { return use_later_; }
  /// Of that, the minimums of the jobs that have theirs. Unlike the whole it does not change when a job is
  /// shrunk for another: so turns that go by it are not turned round by what they lead to.
  const QueueUse& minimums() const { return use_minimum_; }
  /// Of available nodes.
  const Room& total() const { return empty_nodes_.total(); }

  /// The first few without whom the job might be within what a queue above it is guaranteed, and come sooner.
  std::vector<std::string> claimants_before(const Job& job) const;
  /// Jobs that wait in other queues, without which others there would be within what is guaranteed that are
  /// not (`is_behind`: their turn could come first), or not that are (else: the job could preempt them).
  std::vector<const Job*> claimants_elsewhere(const Job& job, bool is_behind) const;
  /// Of a limit that the job would pass by what it lacks.
  QuotaFacts quota_of(const Job& job, const QueueUse::Limit& limit) const {
    return quota_of(job, limit, use_later_, job.needed - job.workers);
  }
  /// What the job, which waits, was compared with; who is ahead, `room_is_coming` and `releasing` are
  /// left to the caller.
  WaitFacts facts_of(const Job& job) const;
  /// Who holds room that it could use and may not take; costs as much as there are jobs with workers.
  InTheWay find_in_the_way(const Job& job) const;
  /// Jobs that hold room on available nodes.
  std::size_t count_occupants() const { return occupants_.size(); }
  std::size_t count_waiting() const;
  /// Jobs that could be preempted for it if they had run longer.
  std::size_t count_too_young(const Job& job) const;
  /// Workers that hold room and are stopping, those released in this plan included.
  std::uint64_t count_releasing() const { return releasing_ + releases_.size(); }

 private:
  using Taken = TakenForRoom;
  using Lack = RoomLack;
  using Step = GangStep;
  using Eviction = NodeEviction;
  using WorkersAt = std::map<std::size_t, std::uint32_t>;  ///< by node, in no order that means anything
  using PackRank = std::tuple<unsigned, std::uint64_t, FillRank>;  ///< see `pack_rank`
  struct Relocating;                                               ///< for whom, and who so far

  // What is known (gang_planner.cpp).
  void remove_node(const std::string& name);
  void add(Job& job);
  void remove(Job& job);
  GuaranteeClaim claim_of(const Job& job) const;
  void note_nodes(Job& job, bool more);
  void count_leases(const Job& job, bool more);
  std::size_t queue_of(const std::string& tenant, const std::string& queue) const;
  void enter(Job& job);
  void leave(Job& job);
  Room total_and_elsewhere() const { return plus(empty_nodes_.total(), elsewhere_); }
  void set_total();
  void look_at_needs();
  void file_by_levels(Job& job);
  bool is_feasible(const Job& job) const;
  bool is_allowed(const Job& job) const;
  std::uint64_t least_fitting(const Job& job) const;
  std::optional<Room> least_total(const Job& job) const;
  std::uint64_t count_alone(const Job& job, bool with_unavailable_nodes, const WorkerSize& size) const;
  std::uint64_t count_own(const Job& job, bool with_unavailable_nodes, const WorkerSize& size) const;
  std::uint64_t count_own_on_one(const Job& job, bool with_unavailable_nodes, const WorkerSize& size) const;
  std::uint64_t most_on_one_node(const Job& job, const WorkerSize& size) const;
  bool is_available(const Lease& lease) const;
  Job& job_of(const Lease& lease) const { return *jobs_.at(lease.job); }

  // Steps (gang_steps.cpp).
  std::size_t first_node(const WorkersAt& at) const;
  void name_missing_nodes(const Job& job, WaitFacts& facts) const;
  template <class Nodes, class RoomOf>
  std::optional<std::size_t> choose_node(Nodes nodes, const WorkerSize& size, RoomOf room_of) const;
  std::size_t choose_to_place(const Job& job, std::uint32_t count) const;
  std::size_t fullest_placeable(const Job& job, const WorkerSize& size) const;
  bool is_shunned(const Job& job, std::size_t node) const {
    return !job.demand.shuns.empty() && capacity_.node(node).id == job.demand.shuns;
  }
  std::size_t shunned_by(const Job& job) const {
    return job.demand.shuns.empty() ? Capacity::kUnknownNode : capacity_.index_of(job.demand.shuns);
  }
  std::size_t choose_to_reserve(const Job& job, std::uint32_t count, const WorkersAt& at) const;
  std::optional<std::size_t> choose_other_node(const Job& job, std::span<const std::size_t> left,
                                               const Ask& ask) const;
  void touch(Job& job);
  static void measure(Job& job);
  void place_one(Job& job, std::size_t node);
  void record_placements(Job& job, std::size_t first_step);
  void undo_from(std::size_t first_step);

  // Where those go that are packed (pack_workers.cpp).
  std::vector<unsigned> rank_kinds(const Job& job, std::uint32_t count, const WorkersAt& at,
                                   bool later) const;
  PackRank pack_rank(const Job& job, std::size_t node, const Room& room, std::uint32_t count,
                     std::span<const unsigned> kinds) const;
  std::size_t choose_to_pack(const Job& job, std::uint32_t count, std::span<const unsigned> kinds) const;
  std::size_t choose_to_keep_packed(const Job& job, std::uint32_t count, const WorkersAt& at) const;

  // What is kept for those that wait (reservations.cpp).
  std::int64_t fitting(std::size_t node, const Room& room, const Ask& ask) const;
  void give_back(Aftermath& then, const Job& other, std::size_t node, std::uint32_t workers) const;
  void free_in_thought(Aftermath& then, const Job& other, std::size_t node, std::uint32_t workers) const;
  void give_all_back(Aftermath& then, const Job& other) const;
  void give_extras_back(Aftermath& then) const;
  std::vector<std::pair<std::int64_t, const Job*>> newly_ending(std::int64_t now_ms) const;
  bool would_have_room_without_young(const Job& job) const;
  bool could_hold(std::size_t node, const Ask& ask) const;
  bool is_in_nobodys_way(std::size_t node, const Ask& ask, const WorkerSize& size) const;
  bool has_useless_node(const Ask& ask) const;
  Room gone_for_gpu_limit(const Job& job) const;
  std::optional<std::int64_t> end_until_room(Aftermath& then, std::int64_t now_ms) const;
  std::optional<std::int64_t> likely_room(const Job& job, std::int64_t now_ms) const;
  std::size_t choose_beside(const Job& job, const Ask& ask, std::uint32_t pieces,
                            std::span<const Reservation> reservations, std::span<const Bond> bonds) const;
  std::int64_t loss_of(const Reservation& reservation, const WorkerSize& size, std::size_t node) const;
  void hold_back(Aftermath& then, const Job& earlier) const;
  void let_go(Aftermath& then, const Job& earlier) const;
  static bool may_count_on_extras(const Job& job, std::span<const EarlierPromise> earlier);
  struct Claimed;
  void take_own_extras(Aftermath& then, const Job& other) const;
  bool has_claimed_room(const Claimed& then) const;
  // The same where nobody knows when that is (beside_unknown.cpp).
  static bool could_outgrow(const Job& job, const Job& waiting);
  std::optional<std::vector<MayEnd>> parts_that_may_end(const Job& other, const Job& waiting, const Ask& ask,
                                                        std::map<std::size_t, Room>& taken) const;
  std::int64_t loss_after(const WhenEnded& then, const Ask& ask, const WorkerSize& size,
                          std::size_t node) const;
  /// Pieces that one of `size` there takes from the reservation; none: it would be in its way.
  std::optional<std::int64_t> cost_of(const Reservation& kept, const Job& job, const WorkerSize& size,
                                      std::size_t node) const;
  void spend_spare(Reservation& kept, const WorkerSize& size, std::size_t node) const;
  void count_minimum(const Job& job, bool more);
  void count_worker(Job& job, bool more);

  // What can't be had back (fixed_jobs.cpp).
  std::uint32_t fixed_workers(const Job& job, std::uint32_t workers) const;
  std::uint32_t fixed_beyond(const Job& job, std::uint32_t count) const;
  void count_fixed(const Job& job, std::uint32_t workers, bool more, bool is_claim = false);
  void keep_fixed(Job& job, std::uint32_t count);
  bool is_among_fixed_only(const Job& job) const;
  bool may_ever_be_fixed(const Job& job) const;
  bool fits_side(const Job& job, std::size_t side, std::uint32_t count) const;
  std::optional<QueueUse::Limit> find_kept_guarantee(const Job& job, std::uint32_t count,
                                                     const QueueUse& use) const;
  std::vector<QueueUse::Limit> find_kept_guarantees(const Job& job, std::uint32_t count,
                                                    const QueueUse& use) const;
  void add_fixed_quota(const Job& job, WaitFacts& facts) const;
  void name_fixed_users(const Job& job, std::uint32_t count, const WaitFacts& facts, QuotaFacts& fixed) const;
  void reserve(Job& job, std::uint32_t count);
  void release(Job& victim, const Lease& lease);
  void take_back(const Lease& lease);
  void do_release(Job& victim, const Lease& lease);
  void do_take_back(Job& victim, const Lease& lease);
  void undo(const Step& step);
  static void insert_live(Job& job, const Lease& lease);
  void relocate(Job& job, const Lease& lease, std::size_t node);
  void undo_relocate(Job& job, const Lease& lease, std::size_t node);
  std::optional<QuotaFacts> find_quota(const Job& job, const QueueUse& use, std::uint32_t count) const;
  QuotaFacts quota_of(const Job& job, const QueueUse::Limit& limit, const QueueUse& use,
                      std::uint32_t count) const;

  // Who holds the room that a job waits for (in_the_way.cpp), or comes first (claimants.cpp).
  std::vector<const Job*> not_yet_guaranteed(std::size_t leaf) const;
  struct Obstacle;
  bool depends_on_all(const Job& job) const;
  void take_in_thought(const Job& job, Obstacle& obstacle, Aftermath& then) const;
  void keep_those_that_matter(const Aftermath& then, std::vector<Obstacle>& obstacles) const;
  InTheWay name_obstacles(Aftermath& then, std::vector<Obstacle> obstacles) const;

  // What may be taken for a job that waits (make_room.cpp), or that gains more by it (move_workers.cpp).
  Lack lack_of(const Job& job, std::uint32_t count) const;
  bool has_room_later(const Job& job, std::uint32_t count) const {
    return lack_of(job, count).is_none() && !would_keep_guarantees(job, count);
  }
  bool helps(const Job& victim, const Lack& lack) const;
  template <class MayShrink>
  bool take_workers(const Job& job, std::uint32_t count, Taken& taken, MayShrink may_take);
  bool finish(Job& job, std::uint32_t count, Taken& taken, const std::function<bool()>& may_stay = {});
  void keep(Job& job, std::uint32_t count);
  Job* choose_giver(const Job& beneficiary, const Lack& lack);
  bool may_move(const Job& job, const Job& beneficiary) const;
  bool may_give_for_shares(const Job& job, const Job& beneficiary) const;
  Job* choose_giver_for_shares(const Job& beneficiary, std::size_t queue, const Lack& lack);
  bool is_worth_moving(const Job& job, std::uint32_t count, std::span<const Lease* const> taken) const;
  template <class MayShrink>
  Job* choose_richest(const Job& beneficiary, const Lack& lack, MayShrink may_take);
  template <class MayShrink>
  Job* choose_victim(const Job& beneficiary, const Lack& lack, MayShrink may_take);
  bool is_stalled_before(const Job& job, const Job& beneficiary) const;
  bool may_shrink(const Job& job, const Job& beneficiary, std::uint32_t count) const;
  bool may_be_taken(const Job& job, const Job& beneficiary, std::uint32_t count, const QueueUse& use) const;
  bool has_claim(const Job& beneficiary, const Job& job, std::uint32_t count) const;
  bool may_ever_preempt(const Job& job, const Job& beneficiary) const;
  std::vector<Job*> ever_preemptible(const Job& beneficiary, bool are_young) const;
  bool is_entitled(const Job& beneficiary, const Job& other, std::uint32_t count) const;
  std::size_t lowest_guarantee(std::size_t queue, const Room& more) const;
  const Lease* newest_on_available_node(const Job& job) const;
  const Lease* newest_of_use(const Job& victim, const Job& beneficiary, const Lack& lack) const;
  bool could_hold_any(std::size_t node, const Job& job) const;
  void drop_needless(const Job& job, std::uint32_t count, std::vector<const Lease*>& chosen);
  void record(const Job& job, const Taken& taken);

  // Who goes to another node for a job that waits (relocate_workers.cpp).
  static bool is_relocatable(const Job& job);
  bool may_relocate(const Job& job, const Job& beneficiary) const;
  bool may_help_to_relocate(const Job& job, std::uint32_t count) const;
  bool make_room_by_relocation(Job& job, std::uint32_t count, Taken& taken, std::int64_t now_ms);
  double waits_s(const Job& job, std::int64_t now_ms) const;
  bool find_relocations(Relocating& now);
  bool relocate_for_piece(Relocating& now);
  std::vector<Eviction> evictions_for(const Relocating& now) const;
  void add_evictions(const Relocating& now, std::size_t node, const Room& lack,
                     std::vector<Eviction>& found) const;
  bool pays_for(const Relocating& now, const Eviction& eviction) const;
  bool try_eviction(Relocating& now, const Eviction& eviction);
  bool is_needless(const Relocating& now, const Lease& lease);
  void settle_relocations(Relocating& now, Taken& taken);
  bool begin_relocations(const Relocating& now);

  // Which jobs are preempted (preempt.cpp).
  std::vector<Job*> find_preemptible(const Job& job, const Lack& lack, const std::set<std::string>* spared);
  void take_jobs(const Job& job, std::uint32_t count, Taken& taken, const std::set<std::string>* spared);
  bool is_fair_to_take(const Job& other, const Job& job, std::uint32_t count) const;
  bool were_fair_to_take(std::span<Job* const> victims, const Job& job, std::uint32_t count) const;
  bool keep_cheapest(const Job& job, std::uint32_t count, std::vector<Job*>& victims);
  void keep_needed(const Job& job, std::uint32_t count, std::vector<Job*>& victims);
  void release_all(Job& victim);
  void take_all_back(Job& victim);

  Capacity capacity_;
  EmptyNodes empty_nodes_{capacity_};
  ClusterNeeds needs_{empty_nodes_};
  const TenantTree& tenants_;
  QueueIndex index_{tenants_};
  QueueUse use_nothing_;
  QueueUse use_now_;
  QueueUse use_later_;
  QueueUse use_minimum_;
  QueueUse fixed_nothing_;  ///< by nobody; where none lends what it is guaranteed
  QueueUse use_fixed_;      ///< of that by jobs that are not preemptible
  QueueUse use_claimed_;    ///< and with what is claimed by those that wait
  std::unordered_map<std::string, std::unique_ptr<Job>> jobs_;
  /// When the plan began: jobs with live workers, gangs that lacked some of theirs, jobs that lacked some and
  /// were not pending.
  Jobs running_, stalled_, impossible_, slowed_;
  std::set<Job*, Job::ByPriority> yielding_;  ///< stalled ones that could be taken from now
  std::vector<Jobs> short_, partial_;         ///< by queue
  std::vector<Job::ByShape> unstarted_;       ///< by queue
  std::set<Job*, Job::EndsBefore> ending_;    ///< jobs with live workers that end at a known moment
  std::set<Job*, Job::LikelyEndsBefore> likely_ending_;  ///< and those that are likely to at some moment
  std::vector<Job::Growable> growable_;                  ///< by queue
  /// By queue: jobs that could lose a worker, by group; and all of theirs.
  std::vector<std::map<ShrinkGroup, std::map<Job::ShrinkRank, Job*>>> shrinkable_;
  std::vector<std::map<Job::PreemptGroup, Jobs>> preemptible_;
  std::vector<std::set<Job*, Before>> relocatable_at_;  ///< by node: jobs with workers there
  std::size_t relocatable_ = 0;                         ///< jobs
  GuaranteeLines guarantees_;
  std::vector<Job*> claiming_;  ///< in this plan: those who lack what is not guaranteed to others
  Room elsewhere_;              ///< that jobs have on nodes that are away
  std::unordered_map<std::string, std::set<Job*>> jobs_on_;  ///< by node: those with leases there
  std::uint64_t releasing_ = 0;                              ///< workers
  std::size_t picky_ = 0;                                    ///< jobs that want workers
  std::set<std::string> occupants_;                          ///< jobs that hold room on available nodes
  std::set<std::string> leaving_;                            ///< jobs some of whose leases are releasing

  std::vector<Step> steps_;
  std::vector<Job*> touched_, released_from_;
  std::vector<std::string> newly_occupying_;
  std::map<const Job*, std::vector<const Lease*>> given_up_;  ///< by jobs that were released as a whole
  std::map<const Job*, std::size_t> last_placement_of_;
  std::vector<Placement> placements_;
  std::vector<Release> releases_;
  std::vector<Preemption> preemptions_;
  std::vector<Relocation> relocations_;
};

}  // namespace ds::scheduler
