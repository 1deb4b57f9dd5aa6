#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/lasting_preemptions.hpp"
#include "scheduler/policy/shares.hpp"
#include "scheduler/policy/waiting_line.hpp"

namespace ds::scheduler {

/// Of more jobs than these that wait at once, each for another quota or as a gang that lacks workers, the
/// later ones have nothing start behind them: so many at least, and at most; as many as there are such steps
/// between, each for one of them and a job with workers.
inline constexpr std::size_t kMinReservations = 64, kMaxReservations = 256;
inline constexpr std::size_t kMaxReservationSteps = std::size_t{1} << 17;

/// After so many jobs of a queue and size that might not grow, no other is looked at.
inline constexpr std::size_t kMaxRefused = 64;

/// One plan: whose turn it is. The rules are in `plan.hpp`.
class Planning {
 public:
  using Job = GangPlanner::Job;

  /// `is_asked`: `explain` is to say exactly who is in the way, which costs as much as there are jobs.
  /// `in_vain`: for whom nobody is preempted, or not everybody.
  Planning(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past,
           std::int64_t now_ms, bool is_asked = false, const InVain& in_vain = {});

  /// Gives jobs their minimums, in turn.
  void serve_minimums();
  /// Starts jobs behind those that wait, where that delays none of these.
  void backfill();
  /// Why these jobs wait after that, in their order; those that don't are left out.
  std::vector<Wait> explain(std::span<const Job* const> jobs);
  /// All that wait after that.
  std::vector<const Job*> waiting() const;
  /// When the job starts; none when it is held or could never start.
  std::optional<StartForecast> forecast(const Job& job, const GangEnds& ends);
  /// From which moment on the job has its minimum, whatever others come, if no worker, node or limit is lost;
  /// `leaving_ms`: for so long workers may stop. None when nobody knows, or of one with a promise before it.
  std::optional<std::int64_t> promised_start(const Job& job, std::int64_t leaving_ms);
  /// Adds workers above the minimum, step by step: in a queue to the most urgent started job, of equals to
  /// the one that gains most. Then takes back what makes jobs slower, and moves workers where nobody waits.
  /// `except`: jobs that don't grow; null: none.
  std::vector<SizeChange> grow(const std::set<std::string>* except = nullptr);
  /// Takes out of a plan that `grow` has led to what one would have that will have more soon.
  void put_off_partial_growth(Plan& plan);
  /// How many jobs had changed when first one had its turn and waited for whom nobody is preempted.
  std::size_t changed_before_vain_turns() const { return changed_before_vain_turns_; }
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  /// Whether a job waits whose turn came.
  bool has_waiting() const { return !told_.empty(); }
  /// Whether a job has its minimum now that had not when the plan began.
  bool has_started_any() const;

 private:
  struct Cursor {  ///< over the jobs of a queue that lack workers
    GangPlanner::Jobs::const_iterator next;
    bool is_behind = false;        ///< only started gangs are served any more
    bool is_behind_fixed = false;  ///< those without workers that are not preemptible are passed over
    bool keeps_replicas = false;   ///< one that comes in its turn was behind others: so are more replicas
    std::set<const Job*> gangs_offered = {};  ///< started ones that had their turn before those ahead
    /// See `first_beyond_claims`; as last found, if it was.
    std::pair<GangPlanner::Jobs::const_iterator, bool> beyond = {};
  };
  struct Later {
    bool operator()(const Job* a, const Job* b) const { return growth_rank(*b) < growth_rank(*a); }
  };
  struct Growing {  ///< a queue's jobs of one group that may grow
    std::map<GangPlanner::GrowthRank, Job*>::const_iterator next, end;
    std::priority_queue<Job*, std::vector<Job*>, Later> changed;  ///< in this plan
    bool is_closed = false;                                       ///< there is no room for any of them
    std::size_t too_large = 0;      ///< steps of several workers for which there was none
    std::size_t refused = 0;        ///< those that were in the way of one that waits
    const Job* roomless = nullptr;  ///< the last for which there was no room by one worker
    std::size_t roomless_at = 0;    ///< steps that had been made by then
  };
  struct GrowthTurns {
    std::vector<std::map<GangPlanner::GrowthGroup, Growing>> growing;  ///< by queue
    std::size_t grown = 0;                                             ///< steps that were made
    std::map<WorkerSize, bool> has_room;  ///< whether a node has, now or later, since the last of these
    void note_step() {
      ++grown;
      has_room.clear();
    }
  };
  struct Keeper {  ///< a job whose turn has come, that waits, and that others are behind
    const Job* job;
    std::size_t keeps_back;
    bool is_soon;   ///< room is being made for it
    bool for_gpus;  ///< it lacks nothing but its queue's quota of GPUs
  };
  struct Candidates {  ///< jobs of one shape and queue that are behind others
    const GangJob::JobsByLength* jobs;
    Job* last = nullptr;  ///< tried or passed over
    Job* next = nullptr;
    std::int64_t most_ms =
        std::numeric_limits<std::int64_t>::max();  ///< those that last longer are in the way
    bool is_closed = false;
  };
  using Bond = GangPlanner::Bond;
  bool is_within_guarantee(const Job& job, std::size_t queue) const;
  bool is_partial_within_guarantee(std::size_t leaf, std::size_t queue) const;
  bool is_yet_to_be_served(const Job& job) const;
  Job* next_gang_before(const Job& first) const;
  const Job* first_beyond_claims(const Job& first);
  void pass_over(const Job& job);
  static bool may_be_behind(const Job& job);
  bool is_behind(const Job& job) const;
  Job* next_short(std::size_t queue);
  void make_reservations();
  void open_reservations();
  std::optional<std::int64_t> certain_start(const Job& job, std::int64_t leaving_ms) const;
  std::optional<std::int64_t> latest_start(const Job& job, const GangEnds& ends);
  std::optional<std::int64_t> latest_among_tenants(const Job& job, const GangEnds& ends);
  bool bind_claimed(const GangPlanner::Reservation& kept, const Job& job);
  void bind_start(const Job& job);
  void bind_growth(const Job& job);
  Job* next_candidate(std::size_t queue, std::map<GangPlanner::Shape, Candidates>& shapes) const;
  bool would_use_guarantee(const Job& job) const;
  bool would_use_guarantee(const Job& job, const GangPlanner::Reservation& kept) const;
  void try_candidate(Job& job, Candidates& candidates);
  std::vector<std::deque<Job*>> waiting_replicas() const;
  void backfill_replicas();
  std::optional<KeptFor> describe_reservation(const Job& job) const;
  void serve_minimum(Job& job);
  void wait_in_vain(Job& job, std::uint32_t count, WaitFacts facts);
  void serve_promises();
  bool is_claimed(const Job& job) const;
  void keep_claim(const Job& job, WaitFacts facts);
  bool may_break_claim(const Job& job) const;
  std::optional<KeptFor> describe_claim(const Job& job) const;
  WaitingLine::Claim claim_of(const MadeRoom& made) const;
  bool is_awaited_by_more_urgent(const Job& job) const;
  bool is_behind_promise(const Job& job) const;
  bool is_behind_earlier_promise(const Job& job) const;
  bool place_beside_promises(Job& job, std::uint32_t count);
  bool may_grow(const Job& job) const;
  GrowthTurns find_growing() const;
  bool may_any_grow(GrowthTurns& turns) const;
  Job* next_to_grow(GrowthTurns& turns) const;
  void try_to_grow(Job& job, GrowthTurns& turns);
  Job* next_growing(std::map<GangPlanner::GrowthGroup, Growing>& growing) const;
  void note_growths();
  bool has_more_coming(const Job& job) const;
  bool grow_by(Job& job, std::uint32_t count, bool is_bound);
  bool grow_together(Job& job);
  bool move_to(Job& job);

  // Who gives workers to whom for the sake of equal shares (move_for_shares.cpp).
  struct FairMoves;
  bool may_any_move_for_shares() const;
  void move_for_shares();
  Job* first_for_shares(const FairMoves& moves) const;
  bool take_for_shares(Job& job, FairMoves& moves);
  bool take_from_queue(Job& job, std::size_t queue, FairMoves& moves);
  bool take_from_equals(Job& job, FairMoves& moves);
  void note_partial_growth();
  WaitFacts facts_of(const Job& job) const;
  void describe_queue(const Job& job, std::span<const Job* const> served, WaitFacts& facts) const;
  void describe_claimants(const Job& job, WaitFacts& facts) const;
  std::vector<const Job*> claiming_before(const Job& job) const;
  void describe_line(const Job& job, WaitFacts& facts) const;
  void describe_fixed_ahead(const Job& job, WaitFacts& facts) const;
  std::vector<std::string> keepers_elsewhere(const Job& job) const;
  void describe_stalled_users(const Job& job, WaitFacts& facts) const;
  void describe_beside_unknown(const Job& job, WaitFacts& facts) const;
  void describe_sisters(const Job& job, TurnFacts& turn) const;

  GangPlanner& planner_;
  const TenantTree& tenants_;
  const Shares shares_;
  const std::int64_t now_ms_;
  const bool is_asked_;
  const InVain in_vain_;
  std::size_t changed_before_vain_turns_ = kNone;
  WaitingLine line_;
  std::vector<Cursor> cursors_;  ///< by queue
  std::vector<Job*> waiting_for_slots_;
  std::vector<Keeper> keepers_;
  std::vector<std::size_t> promises_;  ///< those of them that have one and for whom no room is being made
  std::vector<GangPlanner::Reservation> reservations_;  ///< of the keepers, as far as they were made
  std::vector<Bond> bonds_;                             ///< of the job in hand, by reservation
  std::map<const Job*, WaitFacts> told_;                ///< of jobs whose turn came, as it was then
  std::vector<SizeChange> size_changes_;
  const std::set<std::string>* except_ = nullptr;  ///< jobs that don't grow
  std::vector<const Job*> partly_grown_;
  bool has_moved_ = false;                     ///< or whose turn it was could not
  std::vector<std::size_t> limits_;            ///< queues whose quota kept jobs from growing
  std::optional<std::uint32_t> kept_back_;     ///< up to this priority jobs that can't be shrunk don't grow
  std::optional<std::uint32_t> unknown_back_;  ///< and up to this one those that rest once they have
};

}  // namespace ds::scheduler
