#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/ledger/decayed_use.hpp"
#include "scheduler/ledger/event.hpp"
#include "scheduler/ledger/history.hpp"
#include "scheduler/ledger/job_counts.hpp"
#include "scheduler/ledger/ledger_index.hpp"
#include "scheduler/ledger/use_accounts.hpp"
#include "scheduler/models/model_registry.hpp"
#include "scheduler/policy/elastic/speed_curve.hpp"
#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/program_runs.hpp"
#include "scheduler/policy/quarantine.hpp"
#include "scheduler/policy/role_placement.hpp"
#include "scheduler/policy/rollout.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// All that the head knows of one job and must know again after a restart.
struct JobRecord {
  std::string id;
  std::shared_ptr<const JobSpec> spec;  ///< shared with jobs of the same text; never null
  std::uint32_t priority = 0;           ///< the file's, or what the owner gave it since
  std::string key, file, directory;
  std::vector<std::string> later_keys = {};  ///< with which it was submitted again, the last few
  std::shared_ptr<const std::string> text;   ///< of the file; shared like `spec`, never null
  std::vector<std::string> depends_on;       ///< ids
  std::uint64_t order = 0;                   ///< of submission, from 1
  std::int64_t submitted_ms = 0, started_ms = 0, ended_ms = 0;  ///< 0: not yet
  JobState state = JobState::queued;
  std::string reason;
  bool cancel_requested = false;
  bool pause_requested = false;
  bool time_is_up = false;
  std::uint64_t generation = 0;
  std::vector<std::uint64_t> members;        ///< workers of `generation`, in rank order
  std::vector<std::uint64_t> servers;        ///< of `generation`
  std::vector<std::uint64_t> finished = {};  ///< of a command's `members`: ended with exit code 0
  std::optional<WorkerCount> scaled;         ///< by its owner
  std::uint32_t workers = 0;                 ///< leased, but for those that are leaving
  std::uint32_t had = 0;           ///< replicas, since it last had none, of those that are wanted now
  std::int64_t gang_since_ms = 0;  ///< when it last had none and got some
  /// For how long it had some before that, as far as it counts; below 0: this time counts in part only.
  std::int64_t ran_before_ms = 0;
  std::int64_t crashed_ms = 0;  ///< of a command: what counts of the runs that ended by crashes
  std::uint64_t step = 0;       ///< committed steps known to be reached
  std::uint64_t total_steps = 0, steps_per_epoch = 0;  ///< 0: not known yet
  std::uint64_t checkpoint_step = 0;
  std::uint32_t restarts = 0;   ///< after crashes, over the job's life; that which is due counts
  bool is_restart_due = false;  ///< a worker has crashed since its gang was formed last
  std::uint64_t crash_bound =
      0;  ///< workers below it were there at the last crash: theirs count as the same one
  std::uint32_t crashes_in_a_row = 0;  ///< since the last committed step; of a command: in all
  std::int64_t retry_at_ms = 0;
  std::string crash_text = {};  ///< of the last of these, the first `kMaxCrashText` bytes; empty: none
  static constexpr std::size_t kMaxCrashText = 500;
  double attained_before_slot_s = 0;  ///< slots of its workers times seconds, until `attained_to_ms`
  std::int64_t attained_to_ms = 0;    ///< when their number changed last
  std::vector<EvaluationRecorded> evaluations;  ///< one a step at most, oldest first
  std::string served_job;                       ///< of a `serve` job: whose checkpoint; empty: a file
  std::uint64_t served_step = 0;
  std::string model;  ///< of a `serve` job: of the registry; empty: it serves no such
  /// Of that model, or one of the file that the job names; none: what it serves has no versions.
  std::vector<ServedLine> lines = {};
  /// Of a `serve` job that names a file: what its versions are, SHA-256 in hexadecimal; empty: not known yet.
  std::map<std::uint64_t, std::string> files = {};
  VersionCounts live = {};                         ///< of `workers`, by the model's version
  std::int64_t deadline_ms = 0, starts_by_ms = 0;  ///< what it was promised last; 0: nothing
  bool has_promise = false;                        ///< that holds: not broken, nor given up by its owner
  std::string broken_promise = {};                 ///< why it can't be kept any more; empty: it isn't broken
  bool is_deadline_missed = false;                 ///< it is broken, and its deadline has passed
  bool has_to_start_again = false;       ///< it was promised anew after a pause, and has not started since
  std::uint64_t batch = 0;               ///< samples that its steps take now; 0: as in its file
  std::vector<SizeMeasured> sizes = {};  ///< how long its steps took with how many workers, oldest first
  std::vector<double> resizes_s = {};    ///< for so long it stood still at the last resizes, oldest first
  std::shared_ptr<const SpeedCurve> curve = {};  ///< that follows from these; null: too little is known

  ProgramRuns runs = {};  ///< of a `command` job

  /// With how many workers it runs: what its owner wanted last, of a `serve` job what its load asked for.
  WorkerCount wanted() const;
  /// Of a `serve` job: what its load asked for.
  std::uint32_t replicas() const;
  /// How many of these of which version; of a model of the registry.
  VersionCounts versions() const;
  /// Whether it serves a file that it names.
  bool serves_file() const;
  /// Which version of its file has this content; where none has, or it is empty, a number that is new.
  std::uint64_t version_of_file(std::string_view digest) const;
  /// To which version this line of its goes back when its own can't be served; 0: there is none.
  std::uint64_t fallback_of(const ServedLine& line) const;
  /// The same, where nothing of the line's own is known but what is `good`: else the largest other's.
  std::uint64_t stand_in_for(const ServedLine& line) const;
  /// With fewer it can't go on: not the next replica that a serve job wants.
  std::uint32_t least() const;
  /// Whether it runs with all the workers with which its gang was formed, or more; replicas are no gang.
  bool is_gang_whole() const;
  /// Whether one of its workers may go to another node: nothing of its work is lost then.
  bool can_relocate() const;
  /// Whether its program starts again when its size changes, and that may be by the policy's will.
  bool restarts_when_resized() const;
  /// The moment before which it does not start; 0: there is none.
  std::int64_t begins_ms() const;
  /// Whether it had one, and its owner gave it up by pausing the job.
  bool has_given_promise_up() const;
  /// Whether it has a promise and waits for the start that this names.
  bool awaits_promised_start() const { return has_promise && (started_ms == 0 || has_to_start_again); }
  /// A gang that starts now ends within that time, by what is left of its time limit; 0: it has none.
  std::int64_t lasts_ms() const;
  /// Of one with a deadline that has no workers: it can end by that if it starts by then.
  std::int64_t latest_start_ms() const;
  /// For how long it has had workers, those that are told to leave not counted: what its `time_limit` bounds.
  /// Of a command, which begins anew, only since its run began, and the runs that it ended by a crash.
  std::int64_t run_ms(std::int64_t now_ms) const;
  /// Slots that its workers have had times seconds; those that are told to leave have none.
  double attained_slot_s(std::int64_t now_ms) const;
  /// Whether it ends when an evaluation says so, before all its steps are made.
  bool may_stop_early() const;
  /// Batches of `batch.global` that its steps take now.
  std::uint32_t batches() const;
  /// What was measured with so many workers; null: nothing.
  const SizeMeasured* size_measured(std::uint32_t count) const;
  /// Until all its steps are done at its present size, `at_step` or more of them being done; 0: not known.
  double left_s(std::uint64_t at_step) const;
};

/// Why nothing new goes to a node.
struct NodeClosure {
  std::int64_t since_ms = 0;
  std::string why;
};
using NodeClosures = std::map<std::string, NodeClosure, std::less<>>;
using NodeMoments = std::map<std::string, std::int64_t, std::less<>>;  ///< Unix time, ms

/// The jobs and leases that a sequence of events leads to. A plain value: no clock, no I/O.
class Ledger {
 public:
  /// Applies one event. False when it contradicts what is known (unknown job, illegal transition, lease
  /// granted twice, …): then nothing changed, and the event must not be written.
  bool apply(const Event& event);

  /// Spares `apply` of a submission that follows, while the result is held, reading the file again. `spec` is
  /// what `parse_job_file` makes of it.
  std::shared_ptr<const void> keep_spec(const std::string& text, const std::string& directory,
                                        const JobSpec& spec);

  /// The job that `apply` would make of a submission now. `spec` is what `parse_job_file` makes of its file.
  JobRecord draft(const JobSubmitted& submission, const JobSpec& spec, std::int64_t at_ms) const;

  /// A text that `restore` turns into an equal ledger. Who has many jobs takes it in pieces
  /// (`LedgerSnapshot`). None: a text of a later version, or no such text.
  std::string snapshot() const;
  static std::optional<Ledger> restore(std::string_view snapshot);
  static std::optional<Ledger> restore(std::span<const std::string> pieces);

  const JobRecord* find(std::string_view job) const;
  const JobRecord* find_by_key(std::string_view key) const;
  /// Jobs that `name_or_id` names: the one with this id, else all of this name.
  std::vector<const JobRecord*> match(std::string_view name_or_id) const;
  /// Also where another job's id is that name.
  std::vector<const JobRecord*> named(std::string_view name) const;
  const std::map<std::string, JobRecord, std::less<>>& jobs() const { return jobs_; }
  /// How many they are of which kind, state and tenant.
  const JobCounts& counts() const { return counts_; }
  const std::map<std::uint64_t, Lease>& leases() const { return leases_; }
  std::vector<Lease> leases_of(std::string_view job) const;
  std::vector<Lease> leases_on(std::string_view node) const;
  /// The node's GPUs that leases have; no two have the same.
  const std::set<std::uint32_t>& devices_on(std::string_view node) const { return index_.devices_on(node); }
  /// What leases have of the node; those of workers that are leaving count.
  NodeHolding held_on(std::string_view node) const { return index_.held_on(node); }
  /// Slots, memory and GPUs that the workers of each tenant's queue have now, as `held_on`.
  const std::map<std::pair<std::string, std::string>, DecayedUse>& uses() const { return uses_; }

  /// What tenants' queues have used since ever, until now.
  UseAccounts used_by_queues(std::int64_t now_ms) const;
  /// What the job has used since its submission, over all its tries.
  Use used_by(const JobRecord& job, std::int64_t now_ms) const;

  /// Nodes that any lease is on.
  std::vector<std::string> leased_nodes() const { return index_.nodes(); }
  /// Leases of data shards.
  std::vector<Lease> shard_leases() const;

  /// Jobs of which an event told since the last call, and those that depend on them.
  std::set<std::string> take_changed() { return index_.take_marked(); }

  /// Nodes that are there, since when.
  const NodeMoments& joined() const { return joined_; }
  /// Nodes that are to be empty, whether they are up or not.
  const NodeClosures& drained() const { return drained_; }
  /// Nodes that nothing new goes to because workers crash there.
  const NodeClosures& quarantined() const { return quarantined_; }
  /// Nodes that nothing new goes to because an operator wants that.
  const NodeClosures& cordoned() const { return cordoned_; }
  /// Crashes that may speak against the nodes they happened on, oldest first; the last few.
  const std::vector<EarlyCrash>& early_crashes() const { return early_crashes_; }
  /// Of programs that crashed early somewhere: those that have ended, and those that are under way.
  std::set<SoundRun> sound_runs(std::int64_t now_ms) const;
  /// On which node the job's program crashed early last; empty: on none.
  std::string crashed_early_on(const JobRecord& job) const;

  /// What tenants may use, by the text given last: to a head that was started, or since. Without one there
  /// are none.
  const TenantTree& tenants() const { return tenants_; }
  const std::string& tenants_text() const { return tenants_text_; }
  /// That with which a head was started last.
  const std::string& tenants_at_start() const { return tenants_at_start_; }

  /// Of how many heads it is the journal, and when the newest of its events happened; 0: there is none.
  std::uint64_t starts() const { return starts_; }
  std::int64_t newest_ms() const { return newest_ms_; }

  /// What happened lately.
  const History& history() const { return history_; }
  /// What happened to the job after that number; without one from its submission on, which has the number 0.
  History::Page history_of(const JobRecord& job, std::optional<std::uint64_t> after) const;
  /// Steps of the job whose checkpoints other jobs serve, that have not ended, or that versions of models
  /// are.
  std::vector<std::uint64_t> needed_steps(std::string_view job) const;
  const ModelRegistry& registry() const { return registry_; }
  /// Jobs that serve what this tag of the model points at, and have not ended.
  std::vector<std::string> followers(std::string_view model, std::string_view tag) const;
  /// Jobs that have not ended and serve this version (0: any) of the model, go back to it, or have replicas
  /// of it still.
  std::vector<std::string> servers_of(std::string_view model, std::uint64_t version) const {
    return find_servers(model, version, true);
  }
  /// Whether all that the job would serve, if it were tried again, is in the registry still.
  bool has_versions(const JobRecord& job) const;

  /// Numbers that were never used, not even by a lease that ended.
  std::uint64_t next_worker() const { return next_worker_; }

  /// What the policy needs: the jobs that may have workers now. Reads the job's clock from `now_ms`.
  std::vector<Demand> demands(std::int64_t now_ms) const;
  /// Of one job; none: it may have none now.
  std::optional<Demand> demand(const JobRecord& job, std::int64_t now_ms) const;
  /// The next moment at which the job's demand, or whether it is overdue, changes without an event; 0: none.
  std::int64_t next_change_ms(const JobRecord& job, std::int64_t now_ms) const;
  /// How long, and how many, jobs that have ended are known.
  struct EndedBounds {
    std::size_t most = 0;           ///< beyond it the oldest go before their `retention` is over
    std::int64_t least_age_ms = 0;  ///< but none whose end is not so long ago
    std::size_t limit = 0;          ///< so many at a time
  };
  /// Jobs that need not be known any more, of those that `may_go`. None that others depend on, or whose
  /// checkpoints are served or are versions of models.
  std::vector<std::string> forgettable(std::int64_t now_ms, const EndedBounds& bounds,
                                       const std::function<bool(const std::string&)>& may_go) const;
  /// Whether what was submitted with this key is forgotten: it makes no second job. The last 100,000 such
  /// keys are kept.
  bool is_forgotten_key(std::string_view key) const { return forgotten_keys_.contains(key); }
  /// Why the job may have no workers now, whatever is free; such a job is in no `demands`. None: it may.
  std::vector<Reason> holds(const JobRecord& job, std::int64_t now_ms) const;
  /// The job that this one, which has not started, depends on and that has failed or was cancelled; none:
  /// there is no such.
  std::optional<std::string> broken_dependency(const JobRecord& job) const;
  /// Whether it runs and has done so for as long as it may.
  bool is_overdue(const JobRecord& job, std::int64_t now_ms) const;
  /// Jobs that were promised that they end before their deadlines, and have not ended.
  const std::set<std::string>& promised() const { return promised_; }
  /// What of its promise can't be kept any more, in words; once more when its deadline has passed. None:
  /// there is nothing that isn't known.
  std::optional<std::string> find_missed(const JobRecord& job, std::int64_t now_ms) const;
  /// What each tenant's queue has used lately.
  std::vector<PastUse> past_use(std::int64_t now_ms) const;
  /// Queues that are remembered at most though they use nothing now; all of a tree of tenants are.
  static constexpr std::size_t kMaxUses = 256;
  /// What these jobs want besides workers.
  std::vector<RoleDemand> role_demands(std::int64_t now_ms) const;

 private:
  friend class LedgerSnapshot;
  bool on(const Event& event, const JobSubmitted& body);
  bool on(const Event& event, const JobSubmittedAgain& body);
  bool on(const Event& event, const LeaseGranted& body);
  bool may_have_devices(const JobRecord& job, const LeaseGranted& body) const;
  bool on(const Event& event, const LeaseReleasing& body);
  bool on(const Event& event, const LeaseEnded& body);
  bool on(const Event& event, const GenerationFormed& body);
  bool on(const Event& event, const JobStateChanged& body);
  bool on(const Event& event, const CancelRequested& body);
  bool on(const Event& event, const JobSized& body);
  bool on(const Event& event, const EvaluationRecorded& body);
  bool on(const Event& event, const CheckpointCommitted& body);
  bool on(const Event& event, const WorkerCrashed& body);
  bool on(const Event& event, const RankFinished& body);
  bool on(const Event& event, const SpeedMeasured& body);
  bool on(const Event& event, const BatchChanged& body);
  bool on(const Event& event, const PauseRequested& body);
  bool on(const Event& event, const ResumeRequested& body);
  bool on(const Event& event, const NodeJoined& body);
  bool on(const Event& event, const NodeLost& body);
  bool on(const Event& event, const NodeDrained& body);
  bool on(const Event& event, const NodeUndrained& body);
  bool on(const Event& event, const NodeQuarantined& body);
  bool on(const Event& event, const NodeCordoned& body);
  bool on(const Event& event, const QuarantineLifted& body);
  bool on(const Event& event, const TimeLimitReached& body);
  bool on(const Event& event, const JobRetried& body);
  bool on(const Event& event, const JobForgotten& body);
  bool is_needed(const JobRecord& job) const;
  LedgerIndex::JobKeys keys_of(const JobRecord& job) const;
  bool on(const Event& event, const PriorityChanged& body);
  bool on(const Event& event, const WorkersScaled& body);
  bool on(const Event& event, const CheckpointChosen& body);
  bool on(const Event& event, const FileServed& body);
  bool on(const Event& event, const ModelVersionAdded& body);
  bool on(const Event& event, const ModelTagged& body);
  bool on(const Event& event, const ModelServed& body);
  bool on(const Event& event, const RolloutStopped& body);
  std::int64_t newest_since_ms(const JobRecord& job) const;
  bool on(const Event& event, const VersionProved& body);
  bool on(const Event& event, const ModelRemoved& body);
  /// `counts_unproved`: also those that may go back to the version though it has not been proved.
  std::vector<std::string> find_servers(std::string_view model, std::uint64_t version,
                                        bool counts_unproved) const;
  void follow_tags(JobRecord& job) const;
  void forget_removed(JobRecord& job) const;
  bool on(const Event& event, const DeadlinePromised& body);
  bool on(const Event& event, const DeadlineMissed& body);
  bool on(const Event& event, const TenantsChanged& body);
  bool on(const Event& event, const HeadStarted& body);
  bool set_tenants(const std::string& text);
  void end_promise(JobRecord& job);
  static void drop_due_restart(JobRecord& job);
  std::string job_of(const Event& event) const;
  /// Before it is applied.
  std::optional<Happening> describe(const Event& event) const;
  /// What jobs of one text share.
  struct JobSource {
    std::string text;
    JobSpec spec;
  };
  std::shared_ptr<const JobSource> find_source(const std::string& text, const std::string& directory) const;
  std::shared_ptr<const JobSource> keep_source(const std::string& text, const std::string& directory,
                                               JobSpec spec);
  std::shared_ptr<const JobSource> find_or_read_source(const std::string& text, const std::string& directory);
  JobRecord record_of(const JobSubmitted& body, const std::shared_ptr<const JobSource>& source,
                      std::int64_t at_ms) const;
  template <class Iterator>
  static std::optional<Ledger> restore(Iterator begin, Iterator end);
  bool restore_job(const nlohmann::json& entry);
  void restore_lease(Lease lease);
  bool restore_rest(const nlohmann::json& document);
  void begin_accounts();
  void begin_runs(const std::vector<std::string>& without_runs);
  void index(const JobRecord& job);
  void index_end(const JobRecord& job);
  void forget_end(const JobRecord& job);
  void forget_key(const std::string& key);
  static void learn_curve(JobRecord& job);
  JobRecord* active(std::string_view job);
  bool may_start(const JobRecord& job, std::int64_t now_ms) const;
  void count_out(const Lease& lease, std::int64_t at_ms);
  static void forget_run(JobRecord& job, std::int64_t at_ms);
  void end_run(JobRecord& job, std::int64_t at_ms, bool is_shrunk) const;
  void end_run(const Event& event, const Lease& leaving);
  void count_use(const Lease& lease, std::int64_t at_ms, bool more);
  void forget_an_idle_use(const DecayedUse& newest, std::int64_t at_ms);
  bool has_crashed_early(std::string_view job) const;
  void note_sound_run(const Lease& lease);
  void note_sound_runs(const std::vector<std::uint64_t>& workers);
  void forget_sound_runs();

  std::map<std::string, JobRecord, std::less<>> jobs_;
  JobCounts counts_;                                      ///< of `jobs_`
  std::map<std::string, std::string, std::less<>> keys_;  ///< idempotency key -> job
  std::set<std::string> serving_;                         ///< jobs that serve checkpoints
  std::set<std::string> serving_models_;                  ///< jobs that serve models of the registry
  ModelRegistry registry_;
  std::set<std::string> promised_;  ///< jobs with `has_promise`
  std::set<std::pair<std::int64_t, std::string>>
      retained_;                                          ///< ended jobs, by when their `retention` is over
  std::set<std::pair<std::int64_t, std::string>> ended_;  ///< the same by when they have ended
  std::set<std::string, std::less<>> forgotten_keys_;
  std::deque<std::string> forgotten_in_order_;  ///< the same
  std::map<std::uint64_t, Lease> leases_;
  std::map<std::pair<std::string, std::string>, DecayedUse> uses_;  ///< by tenant and queue
  NodeMoments joined_, lost_;  ///< `lost_`: those that were there, the last few
  UseAccounts accounts_;       ///< of leases that have ended
  NodeClosures drained_, quarantined_, cordoned_;
  TenantTree tenants_;
  std::string tenants_text_, tenants_at_start_;
  std::vector<EarlyCrash> early_crashes_;
  std::set<SoundRun> sound_runs_;
  History history_;
  LedgerIndex index_;
  std::map<std::pair<std::string, std::string>, std::weak_ptr<const JobSource>>
      sources_;  ///< by text and folder
  static constexpr std::size_t kFirstSourceSweep = 1024;
  std::size_t next_source_sweep_ =
      kFirstSourceSweep;  ///< sources of no job any more are taken out when there are so many
  std::uint64_t next_order_ = 1;
  std::uint64_t next_worker_ = 1;
  std::uint64_t starts_ = 0;
  std::int64_t newest_ms_ = 0;
};

/// Of jobs that one name may mean, what it means for somebody who asks about or changes a job: the only one
/// that has not ended, else all of them.
std::vector<const JobRecord*> prefer_living(std::vector<const JobRecord*> found);

}  // namespace ds::scheduler
