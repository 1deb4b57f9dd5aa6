#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "actors/collective/communicator.hpp"
#include "actors/job/server_plan.hpp"
#include "scheduler/spec/role.hpp"

namespace ds::job {

/// What a worker process says of itself.
enum class WorkerPhase : std::uint8_t {
  fresh,     ///< has no job yet
  ready,     ///< has data, model and a whole state at `step`; trains in no generation
  training,  ///< trains in `generation`
  finished,  ///< all steps done and the last checkpoint committed
};

struct WorkerStatus {
  WorkerPhase phase = WorkerPhase::fresh;
  std::uint64_t generation = 0;  ///< newest obeyed
  std::uint64_t step = 0;        ///< committed
  bool operator==(const WorkerStatus&) const = default;
};

/// A process that the ledger says is this job's.
struct GangLease {
  std::uint64_t worker = 0;
  bool releasing = false;
  scheduler::Role role = scheduler::Role::worker;
};

// What the gang wants done, in order.
struct AssignWorker {
  std::uint64_t worker = 0;
};  ///< give it the job
struct PauseWorker {
  std::uint64_t worker = 0, generation = 0;
};
/// Make the generation durable, then call `on_recorded`.
struct RecordGeneration {
  std::uint64_t generation = 0;
  std::vector<std::uint64_t> members;
  std::uint64_t step = 0;
  std::vector<std::uint64_t> servers;
};
/// Send the member its place. `source` is the worker that has the state of `step`; 0: the checkpoint store.
struct JoinWorker {
  std::uint64_t worker = 0, generation = 0;
  std::uint32_t rank = 0;
  std::vector<std::uint64_t> members;
  std::vector<collective::RankRange> ranges;
  std::uint64_t step = 0;
  std::uint64_t source = 0;
  bool needs_state = false;
  // With parameter servers workers have their state from these; nobody needs one otherwise.
  std::vector<std::uint64_t> primaries;  ///< by range
  bool seed = false;  ///< this one sets the servers from the checkpoint of `step`, or from the first state
};
/// Send the server its ranges.
struct JoinServer {
  std::uint64_t worker = 0, generation = 0;
  ServerPlan plan;
};
struct StartWorker {
  std::uint64_t worker = 0, generation = 0;
};
/// All leave: make the state of this paused worker a checkpoint, then call `on_saved`.
struct SaveState {
  std::uint64_t worker = 0, generation = 0, step = 0;
};
struct StopWorker {
  std::uint64_t worker = 0;
};  ///< its work is over; it exits by itself
struct KillWorker {
  std::uint64_t worker = 0;
  std::string why;
  bool at_fault = false;     ///< it failed by itself; not: something happened to it
  bool dispensable = false;  ///< the others train on without it (`Gang::can_do_without`)
};
struct FinishJob {
  std::uint64_t step = 0;
};
/// It fails the same way each time; trying on helps nobody.
struct FailJob {
  std::string why;
};
/// The job's visible state changed.
struct ShowPhase {
  enum Value { starting, training, resizing } value = starting;
  std::string why;
};

using GangAction =
    std::variant<AssignWorker, PauseWorker, RecordGeneration, JoinWorker, JoinServer, StartWorker, SaveState,
                 StopWorker, KillWorker, FinishJob, FailJob, ShowPhase>;
using GangActions = std::vector<GangAction>;

/// Of a state, with the vectors of an optimizer that has two; and how slowly it may come.
inline constexpr std::uint64_t kMostBytesOfAParameter = 12;
inline constexpr std::uint64_t kSlowestBytesPerSecond = 25'000'000;

/// Until the state of so many parameters has come to whoever asked for it.
constexpr std::chrono::seconds state_deadline(std::uint64_t parameters) {
  return std::chrono::seconds(120 + parameters * kMostBytesOfAParameter / kSlowestBytesPerSecond);
}

/// Forms the generations of one job's gang: who trains, with which logical ranks, from which step.
///
/// A generation is formed in four rounds: every worker pauses at a step boundary and says its step; the
/// generation is made durable; every member joins (those behind fetch the newest member's state; only when no
/// worker is past the newest checkpoint is that read); all start. A loss at any point begins the next
/// generation. Steps are the same bits on every worker, so it does not matter who has the newest. Parameter
/// servers pause and join like workers, take no steps, and hold the state instead (`plan_servers`). When all
/// workers must leave at once (the job is preempted) they pause, and stop when the newest state of theirs is
/// a checkpoint; with servers they stop at once, for these keep the state. Pure: time comes in through
/// `on_tick`; the same calls give the same actions.
class Gang {
 public:
  struct Options {
    std::uint32_t logical_ranks = 1;
    std::uint32_t min_workers = 1;
    std::optional<ServerRules> servers;  ///< none: the workers hold the state
    std::uint64_t generation = 0;        ///< newest recorded; 0: none
    std::vector<std::uint64_t> members;  ///< of that generation
    std::vector<std::uint64_t> server_members;
    bool recovering = false;  ///< a new head takes a running job back
    std::chrono::milliseconds gather_limit{
        10'000};  ///< how long a whole minimum waits for the rest to get ready
    std::chrono::milliseconds pause_limit{60'000};
    /// In place of `pause_limit` for one whose first micro-batch is not done, and the most for any.
    std::chrono::milliseconds first_pause_limit{600'000}, longest_pause_limit{3'600'000};
    // These begin again whenever the worker has read more of its data.
    std::chrono::milliseconds join_limit{180'000};
    std::chrono::milliseconds ready_limit{300'000};      ///< from lease to ready
    std::chrono::milliseconds successor_limit{600'000};  ///< for workers told to leave to go on until others
                                                         ///< take over; then they leave all the same
    std::chrono::milliseconds leave_limit{
        60'000};  ///< for workers that all leave to pause and save; what is not saved then is lost
    std::chrono::milliseconds recover_limit{
        20'000};                          ///< for a new head to hear from the workers of the old one
    std::uint32_t dispensable_joins = 2;  ///< that may fail, of a worker that the others can do without
    std::uint32_t fruitless_limit = 8;  ///< generations in a row that got stuck at once, with no member lost
  };
  using Time = std::chrono::milliseconds;  ///< since any fixed moment

  explicit Gang(Options options);

  /// The ledger's leases of this job, as a whole, whenever they change. A worker that is not in it is gone.
  GangActions set_leases(const std::vector<GangLease>& leases, Time now);
  /// With fewer it does not train; from the next generation on.
  void set_min_workers(std::uint32_t count) { options_.min_workers = count; }
  /// Whether the job is to train on even while all its workers are told to leave: another is to come.
  void set_goes_on(bool goes_on) { goes_on_ = goes_on; }
  /// What a newcomer has to fetch; a large state is given more than `join_limit`.
  void set_state_bytes(std::uint64_t bytes);
  GangActions on_hello(std::uint64_t worker, const WorkerStatus& status, Time now);
  /// The newest committed checkpoint's step; never smaller than before.
  void set_checkpoint(std::uint64_t step);
  /// The versions after `step` turned out to be damaged: the newest that can be read is this one (0: none).
  void reset_checkpoint(std::uint64_t step) { checkpoint_step_ = step; }
  /// `held`: of a server.
  GangActions on_paused(std::uint64_t worker, std::uint64_t generation, std::uint64_t step, Time now,
                        std::vector<HeldRange> held = {});
  /// It reads its data, `amount` so far: who goes on is not late, however much there is.
  void on_read(std::uint64_t worker, std::uint64_t amount, Time now);
  /// It computes a micro-batch, or a batch of an evaluation, and can stop at the end of that only: `longest`
  /// is what these took until now at most, 0 if none was done. It is given twice as long besides
  /// `pause_limit`.
  void on_pausing(std::uint64_t worker, std::uint64_t generation, Time longest);
  GangActions on_recorded(std::uint64_t generation, Time now);
  GangActions on_joined(std::uint64_t worker, std::uint64_t generation, Time now);
  /// `step` is committed. A gang that would only grow goes on until one was in its generation: else workers
  /// that come again and again could keep it from ever ending a long one.
  GangActions on_step(std::uint64_t generation, std::uint64_t step, Time now);
  /// A member cannot go on in this generation (a collective failed, or its join did); it waits for the next.
  /// When that happens again and again with no step and no loss in between, the next try waits longer each
  /// time, and in the end the job fails with the last `why`.
  GangActions on_stuck(std::uint64_t worker, std::uint64_t generation, std::uint64_t step,
                       const std::string& why, Time now);
  /// The worker cannot do its part, now or ever. One that the gang can do without is just removed.
  GangActions on_failed(std::uint64_t worker, const std::string& why, Time now);
  /// It has never trained, and enough others have, be it that they leave once it takes over: a fault of its
  /// own is none of the job's.
  bool can_do_without(std::uint64_t worker) const;
  /// The connection to the worker is gone.
  GangActions on_lost(std::uint64_t worker, Time now);
  /// The state asked for by `SaveState` is a checkpoint now.
  GangActions on_saved(std::uint64_t generation, Time now);
  /// It could not be had from this worker, or not be stored: another one's is tried.
  GangActions on_not_saved(std::uint64_t worker, std::uint64_t generation, Time now);
  GangActions on_finished(std::uint64_t worker, std::uint64_t generation, std::uint64_t step);
  GangActions on_tick(Time now);

  std::uint64_t generation() const { return generation_; }
  const std::vector<std::uint64_t>& members() const { return members_; }
  bool is_training() const { return stage_ == Stage::training; }

 private:
  enum class Stage { gathering, pausing, recording, joining, training, leaving, finished };
  struct Worker {
    scheduler::Role role = scheduler::Role::worker;
    bool releasing = false;
    bool present = false;  ///< said hello and was not lost
    bool ready = false;    ///< has a state
    bool lost = false;     ///< must be killed; never comes back
    bool trained = false;  ///< was in a generation that began, as far as is known
    bool stopped = false;  ///< told to exit, since the others have its state or nobody waits for it
    std::uint32_t failed_joins = 0;
    WorkerStatus status;
    std::vector<HeldRange> held;  ///< of a server that paused
    Time pause_limit{0};          ///< 0: that of the options
    Time leased_at{0};
    Time read_at{0};     ///< when it had last read more
    Time awaited_at{0};  ///< when it was told to pause, if the others had been before
    std::uint64_t read = 0;
    Time releasing_at{0};
  };

  void reconsider(GangActions& actions, Time now);
  bool can_gather(Time now) const;
  bool must_change() const;
  bool only_grows() const;
  std::vector<std::uint64_t> staying() const;
  /// Those that have trained, some of which leave, as long as they go on: too few others are ready, and some
  /// who take over are to get ready, or to come again after they failed. Until then nothing is gained by
  /// stopping. Empty: there is nothing to wait for, or it took too long.
  std::vector<std::uint64_t> going_on() const;
  bool has_enough(std::size_t workers) const { return workers >= std::max(options_.min_workers, 1U); }
  void note_loss_of_successor(std::uint64_t worker);
  void stop_waiting_for_successors(Time now);
  void begin_pause(GangActions& actions, Time now, const std::string& why);
  void finish_pause(GangActions& actions, Time now);
  void begin_join(GangActions& actions, Time now);
  bool all_leave() const;
  bool has_state_to_save() const;
  void order_pause(GangActions& actions);
  void begin_leave(GangActions& actions, Time now);
  void save_newest(GangActions& actions, Time now);
  void leave_late(GangActions& actions, Time now);
  void finish_leave(GangActions& actions, Time now);
  void count_fruitless(std::uint64_t step, const std::string& why, GangActions& actions, Time now);
  void lose(std::uint64_t worker, const std::string& why, GangActions& actions, bool at_fault = false);
  void take_back_or_gather(GangActions& actions, Time now);
  std::vector<std::uint64_t> candidates() const;
  std::vector<std::uint64_t> servers() const;
  void join_servers(GangActions& actions);
  void choose_resume_step();
  Time pause_limit(const Worker& worker) const;
  Time longest_pause() const;
  Time leave_limit() const;
  Worker* find(std::uint64_t worker);
  void enter(Stage stage, Time now);

  Options options_;
  Time join_limit_;
  Stage stage_ = Stage::gathering;
  bool recovering_ = false;
  bool stuck_ = false;
  bool has_stepped_ = false;  ///< in this generation
  bool goes_on_ = false;
  bool lost_successor_ = false;  ///< one that was to take over failed, and another is to come
  bool waited_enough_ = false;   ///< for successors
  std::uint64_t generation_ = 0;
  std::vector<std::uint64_t> members_;
  std::vector<std::uint64_t> server_members_;
  ServerPlan server_plan_;
  std::map<std::uint64_t, Worker> workers_;
  std::set<std::uint64_t> awaited_;
  std::uint64_t resume_step_ = 0;
  std::uint64_t checkpoint_step_ = 0;
  std::uint64_t saving_generation_ = 0;  ///< in which a state was last asked for
  Time entered_{0};
  Time last_ready_{0};
  std::optional<Time> recovering_since_;
  std::uint64_t counted_generation_ = 0;  ///< newest that was counted as fruitless or not
  std::uint32_t fruitless_ = 0;
  Time retry_at_{0};
};

}  // namespace ds::job
