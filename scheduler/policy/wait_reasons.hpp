#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/policy/capacity.hpp"
#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// How many jobs a reason names at most.
inline constexpr std::size_t kMaxBlockingJobs = 20;

/// And so many of those whose turn has come and that keep it back, with their reasons.
inline constexpr std::size_t kMaxBlockers = 3;

/// Jobs with workers where a job that waits could have some.
struct InTheWay {
  std::vector<std::string>
      names;  ///< by name; of more than can be named those with the most slots, they first
  std::size_t count = 0;
  std::size_t enough = 0;  ///< it fits when so many of these with the most slots are gone; 0: not looked at
};

/// The limit of a queue that a job would pass.
struct QuotaFacts {
  std::string queue;
  SlotCount used, wanted;  ///< slots, or GPUs; with what is kept for jobs that wait
  std::uint64_t guaranteed = 0;
  std::optional<std::uint64_t> borrowing_limit;
  std::optional<std::uint64_t> gpu_limit{};  ///< if it is that one
  bool is_for_ever = false;                  ///< the job would pass it if nobody else had anything
  std::vector<std::string> others{};         ///< queues whose limits it would pass as well
  std::vector<std::string> users{};          ///< jobs that have what any of them allows, the first few
  bool has_more_users = false;
  // The job is not preemptible, and others could not have what they are guaranteed. `used`: by such jobs;
  // `guaranteed`: to the queues below this one, together.
  bool is_fixed = false;
  bool is_of_gpus = false;            ///< then these are GPUs
  SlotCount claimed{};                ///< kept for such jobs that come first
  std::optional<std::uint64_t> most;  ///< that the queue may have; of slots none: all there are
};

/// Whose turn comes first, among queues.
struct TurnFacts {
  std::size_t jobs = 0;            ///< of other queues that must start first
  std::vector<std::string> names;  ///< the first few of these
  std::string first_queue, own_queue;
  std::string first_side,
      own_side;  ///< the queues whose shares decide: these, or those above where they meet
  double first_share = 0, own_share = 0;
  std::vector<std::string> claimants{};  ///< before it for what its own queues are guaranteed, the first few
  bool is_first_guaranteed = false;      ///< what the first wants is within what its queue is guaranteed
  bool has_gpu_guarantees = false;       ///< that goes by GPUs, too
};

/// For whom the room that would be enough for a job is kept.
struct KeptFor {
  std::string job;
  std::optional<std::int64_t> at_ms;  ///< from when on that one needs it; none: nobody knows
  std::int64_t now_ms = 0;
  std::int64_t lasts_ms = 0;  ///< for how long the job may run that is kept back; 0: it has no limit
  std::optional<std::int64_t> likely_ms = {};  ///< if nobody knows it for certain: from when on probably
  bool is_guarantee = false;  ///< with the job there it would be beyond what its queue is guaranteed
};

/// One that is not available, and would have room for a worker.
struct MissingNode {
  std::string id;
  std::uint64_t fitting = 0;  ///< workers
  bool is_closed = false;     ///< as in `NodeView`; else it is down, or about to end
};

/// What a waiting job was compared with.
struct WaitFacts {
  std::string job;
  std::uint32_t workers = 0;                ///< it has
  bool is_extra = false;                    ///< it has all that it must; it lacks one more
  std::uint32_t needed = 1;                 ///< it must have to run
  SlotCount slots = 1;                      ///< a worker
  std::uint64_t memory_bytes = 0;           ///< a worker
  std::uint64_t fitting_now = 0;            ///< workers that could be added now
  std::uint64_t fitting_now_by_slots = 0;   ///< the same if memory did not count
  std::uint64_t fitting_ever = 0;           ///< workers it could have if it were alone on the available nodes
  std::uint64_t fitting_ever_by_slots = 0;  ///< the same if memory did not count
  std::uint64_t fitting_undrained = 0;      ///< workers it could have alone, with all nodes available
  std::vector<MissingNode> missing_nodes{};  ///< if that would do: those with the most room, the first few
  std::size_t missing_node_count = 0;
  // Of jobs whose workers must be on one node what fits is what fits on one; all together:
  bool is_together = false;
  std::uint64_t fitting_now_apart = 0;
  std::uint64_t fitting_ever_apart = 0;
  std::string node{};                     ///< where it has workers; empty: it has none
  std::uint32_t gpus = 0;                 ///< a worker
  std::string gpu_kind{};                 ///< empty: any
  std::uint64_t fitting_now_on_any = 0;   ///< if GPUs of all kinds would do; of jobs with GPUs
  std::uint64_t fitting_ever_on_any = 0;  ///< the same
  std::vector<GpuCount> gpus_there{};     ///< by kind; of jobs with GPUs
  SlotCount free_slots;                   ///< on available nodes
  SlotCount total_slots;                  ///< on available nodes
  std::uint64_t releasing = 0;            ///< workers of other jobs that are stopping
  std::size_t available_nodes = 0;
  std::size_t unavailable_nodes = 0;
  bool held = false;
  std::int64_t held_until_ms = 0;                ///< 0: nobody knows
  std::uint32_t restart = 0, restart_limit = 0;  ///< as in `Demand`
  std::vector<Relocation> relocations{};         ///< that make room for it
  bool room_is_coming = false;                   ///< it starts when those that are stopping are gone
  std::size_t too_young = 0;             ///< less urgent jobs that will have run for `kMinimumRun` soon
  std::size_t ahead = 0;                 ///< jobs of its queue that wait and keep this one from starting
  std::size_t ahead_by_promise = 0;      ///< those of them that have a promise, and this one has none
  std::size_t ahead_by_priority = 0;     ///< and those that are more urgent, the others are earlier
  std::vector<std::string> ahead_names;  ///< the first few
  std::size_t fixed_ahead = 0;           ///< jobs of its queue before it that wait for what others are
                                         ///< guaranteed, since nobody could have it back from them
  std::vector<std::string> fixed_ahead_names{};  ///< the first few
  std::optional<KeptFor> kept_for;               ///< if it would fit now
  std::optional<KeptFor> promised;               ///< it would be in the way of a promise to one of any queue
  /// It has a promise, and would borrow: its queue, and who comes before it for what that is guaranteed.
  std::string promise_queue{};
  std::vector<std::string> promise_claimants{};
  std::optional<TurnFacts> turn;  ///< if jobs of other queues keep it from starting
  /// Jobs that wait in other queues, by which it goes who there is within what is guaranteed.
  std::vector<std::string> claimants_elsewhere{};  ///< the first few
  std::size_t claimant_elsewhere_count = 0;
  std::optional<QuotaFacts> quota;
  std::string unknown_tenant;  ///< not empty: it may not start because of that
  InTheWay occupants;          ///< by `find_in_the_way`, or the same as `everybody`
  InTheWay everybody;          ///< other jobs with workers on available nodes
  std::vector<Wait> first;     ///< those whose turn has come and that keep this one back, the first few
  std::vector<Reason> instead{};  ///< with those gone whom it could preempt it would wait for these
};

/// Why the job waits, the most decisive first; at least one reason.
std::vector<Reason> explain_wait(const WaitFacts& facts);

/// Adds what the job's last crash was, if that is why it waits. Empty: that is not known.
void add_crash(Reason& reason, std::string_view crash);
/// A share as people read it: 0.25.
std::string share_text(double share);

/// Whether it does so however many others end, as long as the nodes (closed ones too) and quotas stay as they
/// are.
bool waits_for_ever(const WaitFacts& facts);

}  // namespace ds::scheduler
