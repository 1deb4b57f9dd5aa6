#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "scheduler/policy/growth.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "scheduler/spec/role.hpp"
#include "scheduler/spec/slot_count.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// A machine as the scheduler sees it.
struct NodeView {
  std::string id;
  std::uint32_t slots = 0;
  std::uint64_t memory_bytes = 0;
  bool available = true;  ///< false: down or draining, nothing new is placed there
  std::uint32_t gpus = 0;
  std::string gpu_kind = {};  ///< what the driver calls them; all are of one kind
  bool is_closed = false;     ///< it is up, and not available until an operator opens it (`undrain`)
  bool operator==(const NodeView&) const = default;
};

/// A process of a job that holds slots (a worker) or none, from the moment it is ordered until its process is
/// known to be gone.
struct Lease {
  std::uint64_t worker = 0;  ///< never used twice
  std::string job;
  std::string node;
  SlotCount slots = 1;
  std::uint64_t memory_bytes = 0;
  bool releasing = false;  ///< told to stop; counts as used, not as one of the job's workers
  Role role = Role::worker;
  std::string tenant = "default", queue = "default";  ///< of its job
  bool at_once = false;                               ///< it does not leave by itself, it is killed
  std::int64_t since_ms = 0;                          ///< when it was granted
  std::vector<std::uint32_t> devices = {};            ///< GPUs of the node that are its own, ascending
  std::uint64_t version = 0;                          ///< of a replica: of its model; 0: not of the registry
  bool operator==(const Lease&) const = default;
};

/// A job that wants workers.
struct Demand {
  std::string job;
  std::uint64_t order = 0;  ///< of submission; smaller is first
  WorkerCount workers;
  SlotCount slots = 1;             ///< a worker
  std::uint64_t memory_bytes = 0;  ///< a worker
  bool held = false;               ///< may not start now (backing off after a crash)
  std::uint32_t priority = kNormalPriority;
  bool preemptible = true;  ///< may be shrunk, and lose all its workers to a more urgent job
  bool is_young = false;    ///< its gang started less than `kMinimumRun` ago
  std::string tenant = "default", queue = "default";
  std::shared_ptr<const SpeedCurve> curve = {};  ///< none: not known
  bool is_settled = false;                       ///< its speed was measured with the workers that it has now
  double left_s = 0;          ///< until its end, at its present size, if that is known; else 0
  std::int64_t lasts_ms = 0;  ///< a gang that starts now ends within that time; 0: nobody knows when
  std::int64_t ends_ms = 0;   ///< the gang that it has ends by then; 0: it has none, or nobody knows
  std::uint32_t gpus = 0;     ///< a worker
  std::string gpu_kind = {};  ///< see `is_gpu_kind`; empty: any
  PlacementRule placement = PlacementRule::pack;
  /// Its deadline was accepted: it is before all in its queue's line that have none, or a later one; workers
  /// above the minimum of jobs of any priority are there for it, and no worker that another lacks goes where
  /// it is in its way.
  bool has_promise = false;
  bool works_with_fewer = false;  ///< than its minimum, as replicas do, and a gang whose minimum was less
                                  ///< when it was formed: those that it has are of use
  bool can_relocate = false;      ///< elastic, and a newcomer on another node takes a worker's state over
  bool is_new_there = false;      ///< one of its workers came less than `kMinimumRun` ago
  /// Of one that has its minimum: it grows to so many workers at once, or more; 0: to any number. See
  /// `ProgramRuns`, and so for the rest.
  std::uint32_t grows_to = 0;
  bool is_resting = false;  ///< not shrunk for others of its queue that are as urgent, nor for other queues'
                            ///< jobs, unless they are guaranteed it
  bool will_rest = false;   ///< so it will be once its size has changed
  // Of one that is held:
  std::int64_t held_until_ms = 0;   ///< 0: nobody knows
  std::uint32_t restart = 0;        ///< which one in a row it waits for; 0: they are not counted
  std::uint32_t restart_limit = 0;  ///< so many there are
  std::string shuns = {};           ///< a node where its program crashed soon after its start; empty: none
  /// Of one without a limit: the gang that it has ends about then, by what it has left and how fast it was
  /// last; 0: nobody knows.
  std::int64_t likely_ends_ms = 0;
  double weight = 1;  ///< of its speed's logarithm beside others' of its queue: who grows, and who gives
  std::int64_t young_until_ms = 0;  ///< of one that `is_young`; 0: nobody knows
  bool is_extra = false;            ///< the replica that it lacks is one more than it must have, or had
  std::int64_t starts_by_ms = 0;    ///< of one with a promise: until then it was promised to start
  bool operator==(const Demand&) const = default;
};

/// What the jobs of a tenant's queue have used lately, on average.
struct PastUse {
  std::string tenant, queue;
  double slots = 0;
  double memory_bytes = 0;
  double gpus = 0;
};

/// For so long a gang keeps its workers once it has started, unless a critical job needs them: else it could
/// be stopped again and again before it is through with starting.
inline constexpr std::chrono::seconds kMinimumRun{60};

struct Placement {
  std::string job;
  std::string node;
  std::uint32_t count = 0;
  bool operator==(const Placement&) const = default;
};

struct Release {
  std::string job;
  std::uint64_t worker = 0;
  bool operator==(const Release&) const = default;
};

/// A job that loses all its workers to a more urgent one. They are among the plan's releases.
struct Preemption {
  std::string job;
  std::string by;
  bool operator==(const Preemption&) const = default;
};

/// A worker of a running job goes to another node, for the sake of one that waits: a newcomer takes its state
/// over, and then it leaves.
struct Relocation {
  std::string job;
  std::uint64_t worker = 0;
  std::string from, to;  ///< nodes
  std::string by;        ///< the job that waits
  bool has_begun =
      true;  ///< both are among the plan's releases and placements; else there is no room for the
             ///< newcomer yet: a later plan begins it when workers that are stopping are gone
  bool operator==(const Relocation&) const = default;
};

/// Why a job waits. `code` is one of the interface's: `no_capacity_now`, `never_fits`, `priority_behind`,
/// `memory`, `gpu_type`, `topology`, `drain`, `backoff_restart`, `gang_partial`, `quota_tenant`,
/// `fair_share_turn`.
///
/// Those that are named in all reasons together are in its way: with all of them gone, whoever else is there,
/// it starts, if none of its reasons is one that waits for no job (among tenants: once no other tenant's job
/// waits either); and as long as all of them stay and keep their workers it doesn't, whoever else is gone.
/// (Among tenants one that is gone may have been before another queue's job for what that is guaranteed,
/// which then takes them.) Some of them may be enough. Each comes before it, uses the quota that it would
/// pass, has workers on an available node, or waits in another queue where it goes by it whose turn it is, or
/// who has what is guaranteed or free. Of those with workers none is named in vain where it is the job's own
/// turn, of up to ten: for each there are others without whom it waits, and without whom and that one it
/// starts. Not so where anybody who ends may make room somewhere else: among tenants; where workers may move
/// to other nodes, or another gang lacks some; and where the job needs GPUs or one node and others grow and
/// shrink. Then all are named.
struct Reason {
  std::string code;
  std::string text;                   ///< one sentence with the numbers compared
  std::vector<std::string> blocking;  ///< jobs in the way, the first 20
  std::size_t unnamed = 0;            ///< so many more are, at least; then `text` says so, and what suffices
  std::size_t enough = 0;  ///< so many of them with the most slots, which are named first; 0: see `text`
  std::vector<std::string> nodes = {};  ///< that are not available and would have room, the first 20
  std::size_t unnamed_nodes = 0;        ///< so many more would
  bool operator==(const Reason&) const = default;
};

struct Wait {
  std::string job;
  std::vector<Reason> reasons;
  bool room_is_coming = false;  ///< it starts when workers that are stopping are gone
  bool operator==(const Wait&) const = default;
};

/// That a job changes its size for what it gains, or for what another gains; not for one that waits.
struct SizeChange {
  std::string job;
  std::uint32_t from = 0, to = 0;  ///< workers
  double speed = 1;                ///< with those that it will have, of what it is now
  bool is_known = false;           ///< from what it has measured; else it is taken to scale perfectly
  std::string in_favour_of = {};   ///< who gets what it gives, or the first of these; empty: nobody
  std::string because = {};        ///< for the sake of shares: these, as they were before; else empty
  bool operator==(const SizeChange&) const = default;
};

/// Carried out front to back it never promises a slot twice: placements use only what is free now.
struct Plan {
  std::vector<Release> releases;
  std::vector<Placement> placements;
  std::vector<Wait> waits;  ///< one for each demand that has fewer workers than its minimum and gets none
  std::vector<Preemption> preemptions = {};
  std::vector<SizeChange> resizes = {};
  std::vector<Relocation> relocations = {};
  bool operator==(const Plan&) const = default;
};

/// Gangs, elastic between `min` and `max`, by tenant, priority and age.
///
/// A queue's jobs are taken by priority, the larger first; of equals the one that was submitted first (then
/// by id). Without tenants there is one queue for all. Each job first gets its minimum whole or nothing. One
/// that could not fit even on the empty cluster is passed over (`never_fits`, or `drain` if it would with all
/// nodes available), so is one that its queue could never allow, or that is held. Any other that must wait
/// keeps those behind it back, so that a big gang is not starved; if it waits for its queue's quota, only
/// those under the same limit. That is what it would pass though all were gone that it may take from others;
/// of several the highest up. So who shrinks for one that is not kept back is not the reason why that one is
/// kept back then. Nobody is kept from what it is guaranteed by a job of another queue that waits for a limit
/// below where their queues meet, or to borrow: so much that no queue on its way, up to there, would have it
/// within its guarantee though all above minimums were gone that may be taken for it. What is left goes one
/// worker at a time, in the same order, of equally urgent jobs to the one that gains most by a slot
/// (`next_growth`; without any that have measured their speed: the one with the fewest), up to the maximum,
/// or to the last that is worth it.
///
/// When nobody waits and nothing is releasing, the job whose turn it would be to grow, if there were room,
/// takes workers from jobs of its queue that are not more urgent, by what they have measured, where both
/// together gain by it (`kLeastMoveGain`, `kMovePaysWithinS`): one such move a plan. And a job gives back
/// what makes it slower. Where jobs have weights (`Demand::weight`), logarithms count times these. With no
/// change from outside (of speeds and weights neither) there are finitely many of these: each move, as well
/// as growing and giving back, makes the sum of the logarithms of its queue's speeds larger, by no less than
/// a fixed amount, and what is released in a move is taken by who it is for, or by one of that queue whose
/// turn comes before, that is, who gains more by it or is more urgent.
///
/// When nobody waits, nothing is releasing and nothing else changes by the plan, workers above minimums move
/// for the sake of shares (move_for_shares.cpp), as many as that takes. Of each queue whose turn it is the
/// job that would grow next takes them from jobs of the queue whose turn is the last, if that may be shrunk
/// for it, is not young, and keeps what all queues on its way are guaranteed: where the larger of both sides'
/// shares, as turns go by them, gets smaller (by `kLeastShareGain` of it, for the first worker of a job that
/// changes its size by this plan), and it would still be the beneficiary's turn then. Within a queue programs
/// (`grows_to`) take from programs likewise, by the number of slots over the weight, and where the one that
/// gives would not be the first to grow again; and so do training jobs of which nothing was measured in their
/// first `kMinimumRun`, from each other, where that pays for the resizes if both scale perfectly. Other jobs
/// go by what they gain (above). With no change from
/// outside (of past use neither) there are finitely many of these. Call the share of a queue without a worker
/// that it has that worker's level (of equals of a queue: how much its job gained by it). What is released
/// goes to whose turn comes first, so to a worker of a lower level than that of the one that gave it, whoever
/// gets it; at the uppermost level of the tree at which they differ, and those above stay as they are where
/// workers are of one size. So in the list of all workers' levels, the largest first, each of these moves
/// makes an element smaller, and growth beyond them uses slots that nobody had. Where workers are of several
/// sizes `FairMovesProperty` looks for what the proof leaves open.
///
/// Nobody grows by what would be taken back in vain. A plan by which nobody starts has no growth after which
/// the next plan, with all gone that is releasing, would take workers for others, unless that leads to a
/// start soon: who would lose them does not grow, or nobody does. That is asked of the next plans themselves
/// (`finish_with_lasting_growth`), while a job waits or tenants share the cluster. So growing does not turn
/// round what was decided for those that wait, whatever the rules for that are, and while somebody waits all
/// comes to rest as soon as nobody starts any more, nor gives back what makes it slower: of starts there are
/// finitely many (below), and what a job gives back it does not grow by again. After the last of these a plan
/// that grows somebody is followed by one that takes nothing, which only grows, and so on: finitely many, for
/// the workers become more. Those before it only release, or begin the relocations for one that starts:
/// finitely many, for the workers become fewer.
///
/// A waiting minimum takes the workers above their minimum from jobs that are not more urgent (the newest
/// worker of the job that loses least by it by slot; without measured speeds: of the one with the most),
/// never more than needed. If all of these would not do, since what is free is scattered over the nodes,
/// workers of running jobs go to other nodes (below). If that would not do either, it preempts
/// jobs that are strictly less urgent: no more levels of priority than needed, the lowest first, and within
/// them the set that loses the fewest slots, of equals the one that started last (exact up to
/// `kMaxExactVictims` jobs, else no job of the set could be left out). A job that has run for less than
/// `kMinimumRun` is preempted by critical jobs only. Nothing is taken if that would not be enough. What is
/// released for a job, or is releasing already, is kept for it in the plans until it is free.
///
/// Relocation. A job that waits without any worker, and whose minimum would fit if what is free were not
/// scattered, may have workers of jobs that `can_relocate` go elsewhere: of its own queue's those of jobs
/// that are not more urgent, and of other queues' any, since nobody has less than before; not of jobs that
/// have a promise or must be on one node, nor of one that `is_new_there`, unless who waits is critical and
/// of its queue. At first only into what is free; else where workers above minimums can be taken as well.
/// Who goes is the set of jobs that costs least: the slots of each job times how long a resize takes that it
/// has measured (exact up to `kMaxExactVictims` jobs on a node, where one node is needed and workers are of
/// one size). It must be paid for by the slots of the one that waits times how much sooner it starts,
/// `kMovePaysWithinS` or its own length at most, or until who is relocated ends. The old worker stays, with
/// its state, until the newcomer has that: for a while the job has both, and its queue must allow both at
/// that moment. All of a set begin in one plan or none: when there is room for all the newcomers now,
/// nothing else of their jobs is leaving, and nobody waits for room that is coming whose turn is before, and
/// who would take what is free then. Until then their room is kept. A job with a promise has nobody
/// relocated for it: it was told when it starts.
///
/// No relocation leads to another for ever. A plan that finds a set has room for the waiting job and for all
/// newcomers once what it releases is gone, and keeps that. So the next plan needs nobody's workers any more,
/// and finds that set or a cheaper one in what is free; when the last worker has gone that was stopping, they
/// begin; and once begun the job has its room, and starts. So with no change from outside there is one set
/// for each job that starts, which preempts nobody: of starts there are finitely many (below). Among tenants
/// a turn can pass to another queue because of what was shrunk for a set: then none of it begins, and those
/// that were shrunk may grow again.
///
/// Whoever is behind starts all the same where that is in nobody's way (EASY backfilling: Lifka, JSSPP 1995;
/// Feitelson and Weil, IPPS 1998). The job that keeps it back is promised a moment: the earliest at which it
/// has room for sure, when those that run end at their limits and workers that may be taken for it are. One
/// behind starts, in its turn and with its minimum, if its own limit ends it by then, or if there is room for
/// both then. It takes nothing from anybody. Nor does a job grow into room that is wanted then, unless it
/// could be shrunk for that. Nor does one start beside which the job that waits would not be within what a
/// queue of both is guaranteed any more: then its turn could be another's, and that moment would pass again
/// and again. Where nobody knows the moment, because jobs without a limit are in the way, one starts that is
/// in the way in no case, whichever gangs end and in whatever order: on nodes on which the waiting job could
/// never have a worker, or where there is room for both as soon as there is room for the first at all
/// (`unknown_ends.hpp`); and where it is known when those without a limit are likely to end
/// (`likely_ends_ms`), one whose own limit ends it by then. When they end sooner, that
/// one may be in the way of the first, for no longer than its limit; and others only as long as the moment
/// is unknown: once limits say when it is, it goes by these alone, even if that is later than what was
/// likely. None of that is in the way of one with a promise. While room is being made for a job nothing
/// starts behind it; while it only waits until a job is old enough to be preempted for it, only on nodes on
/// which it could never have a worker. So with no change from outside (a more urgent job, a lost worker, a
/// turn that comes to another tenant) a promise is kept, but for the time that workers take to leave; and
/// where all have limits, none longer than L, one with n others ahead of it in its queue has started after n
/// + 1 times L.
///
/// A job with a promise (`has_promise`) comes before all others of its queue. Workers above their minimum are
/// taken for it whatever their job's priority; it preempts as its own allows. What a started gang lacks it
/// gets only where that is not in the way of the moment that such a job has. So without tenants that moment
/// stays what it is whoever comes later. Of several that wait those that were promised earlier count, in the
/// moment of a later one, as started by when they were promised to and ended at their limits, wherever their
/// workers leave least room; and it is not before they have all started. Nothing is taken for it before that
/// either, and it starts sooner where that is not in their way. So each has a moment that nothing moves.
///
/// Among tenants it comes before all jobs of all queues once its minimum is within what its own is
/// guaranteed, beside those of its queue that it may not preempt. Until then it has a moment too, if that is
/// certain (`GangPlanner::find_claimed_room`): when enough of those that run have ended at their limits that
/// it is within that guarantee, and that there is room with all gone that it may take from other queues then,
/// each of which keeps what it is guaranteed itself, whichever part of it. It keeps its own queue back. Of
/// whoever gets workers in other queues, or has room made, it is asked whether that moment stays what it is
/// with him there. It does, since nothing else makes it later: who ends sooner leaves room that nobody gets
/// who would make it later, and of what could be taken he only takes less. And at that moment the job comes
/// first, and takes what it counted on. So no promise is broken, whatever tenants do, and who is within his
/// guarantee waits for a promise only where not slots but memory, GPUs or nodes would be short.
///
/// Tenants (the rules of Kueue and YARN, in short): at no moment, workers that are stopping included, does a
/// queue have more slots than it is guaranteed and may borrow, nor do others have what a queue does not lend.
/// First come jobs whose minimum is within their queue's guarantee (`for_each_guaranteed`), then it goes by
/// the queue's share: the dominant one of slots, memory and GPUs, of its jobs' minimums now plus what it used
/// lately, over the weight; at each level of the tree, from the root down. From other queues a job may take
/// workers above the minimum as long as these keep what they are guaranteed. To have what its own queue is
/// guaranteed it takes them where a queue has more than it is guaranteed, if only by a part of a worker; it
/// may also preempt others' jobs there that are not within their queue's guarantee, of any priority; and a
/// started job grows into its queue's guarantee by shrinking them. In its own queue it takes them likewise,
/// of more urgent jobs too: what these have borrowed is not theirs before it. Who has lost by it the worker
/// that passed its guarantee is not guaranteed that worker, and takes nothing back. Between queues priorities
/// say nothing. Where anybody is guaranteed GPUs, what needs some is within a guarantee if it is by its slots
/// and by its GPUs, else borrowed (`QueueUse`).
///
/// What cannot be had back is not lent. Of a job that is not preemptible counts all that it has, of a gang
/// that has started at least its minimum. All that such jobs have, and what is guaranteed beyond that, at
/// each level of the tree, fits the cluster and what each queue may have: such a job starts, and grows, only
/// where that stays so, or where it is its queue's own guarantee that it uses. One that waits for this keeps
/// nobody back who is preemptible, and the others only from that: it claims it when its turn has come, so
/// that those behind it don't have it for ever. As long as it only claims, the turn of its queue is that of
/// the first behind it that is preemptible. So who is guaranteed slots can have them but for what was lent
/// before: when others were guaranteed less, or when there were more nodes. What a queue is guaranteed its
/// jobs have first that are not preemptible and run: others of it have borrowed what is more.
///
/// A minimum counts as within the guarantee of a queue, at its level, if it is within that of any queue from
/// there down to the job's own: others of the same tenant that have borrowed that are no reason to wait,
/// since it takes it from them. So nobody who borrows comes before a queue that wants what is its own. So
/// does a worker by which a job grows: else one that was taken from a sister of its queue would be the
/// sister's turn again. And a queue's turn counts as within as long as that of a started gang does which
/// lacks workers: that is served though those before it in its queue wait, so who was preempted for it must
/// not come before.
///
/// No preemption leads to another for ever. Call a job's number of guaranteed levels and its priority its
/// rank, compared in that order; who is not preemptible and runs is above all others. It depends on what jobs
/// there are, not on what runs, but for those that are not preemptible: of their starts there are finitely
/// many, and they stay. Who is preempted is of lower rank than for whom: from another queue it has fewer
/// levels, in the queue no more levels and a lower priority. Without tenants it does not come back before the
/// other has started, for turns go by priority (to a promise first: who has one is not preempted). Among
/// tenants turns go by what queues have, too, and so by who was preempted. So nobody is preempted in vain:
/// what comes of it the next plans are asked themselves (`serve_lastingly`), with those gone that are
/// releasing. By one of them that job starts, or the list of the running jobs' ranks, the highest first, has
/// become greater in lexical order than before. Else others are tried in their place, and where that is in
/// vain, too, that job preempts nobody. It keeps back its own queue, not others', and if it is not
/// preemptible those like it alone, and waits for what it would wait for with those gone. So with no change
/// from outside each preemption leads to a greater list (who starts is of higher rank than who left), and
/// there are finitely many such lists. Whoever starts behind another preempts nobody and only makes the list
/// longer, and so greater; and it takes no room that has been made for one that preempts, since nothing
/// starts behind that one before it has started.
///
/// A job with fewer live workers than its minimum (after a loss) keeps them and is refilled, whole or not at
/// all, in its turn and before any other grows; those ahead of it do not keep it back, since they may wait
/// for the workers that it has. When it cannot be refilled now, and a job of higher rank waits or it could
/// never be refilled, its workers go to the waiting job before any others: two gangs that keep what they have
/// could wait for ever. Those of a job that `works_with_fewer` stay, and what `is_extra` comes in its turn,
/// as those that start, and behind whoever of its queue waits behind others. No plan preempts one it refills.
///
/// Workers are packed: onto the nodes where the job already runs, then onto the fullest node (by free GPUs,
/// if they need any) that has room for all that are left of those that are placed together; where none has,
/// onto one that has room for most of them, of equals the fullest, and so on with the rest. Those without
/// GPUs go onto nodes without, as long as these have room. Those that need GPUs of any kind, or of several,
/// get one kind, where one has room for all: that which the job has already, else the most wanted, else the
/// one that holds most of them on a node. With `spread` they go to the fullest node that has none of the job,
/// and where all that have room have some, to the one with the fewest. A job goes to the node that it `shuns`
/// only where no other has room. With `same_node` the gang needs a node that has room for all of its minimum,
/// and while it has a worker it gets others only there; it grows into what is free there and takes nothing
/// for that. A lease on a node that is not listed, or whose job has no demand, is counted but never released,
/// except with the whole job. Jobs' and workers' ids are unique. Pure: equal input, equal plan.
Plan plan_jobs(std::span<const NodeView> nodes, std::span<const Lease> leases,
               std::span<const Demand> demands, const TenantTree& tenants = {},
               std::span<const PastUse> past = {}, std::int64_t now_ms = 0);

}  // namespace ds::scheduler
