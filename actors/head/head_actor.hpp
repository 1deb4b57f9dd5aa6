#pragma once

// Private to actors/head: the class behind `spawn_head`, whose parts live in several files.

#include <spdlog/spdlog.h>

#include <caf/all.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "actors/head/awaited_nodes.hpp"
#include "actors/head/away_nodes.hpp"
#include "actors/head/chosen_checkpoints.hpp"
#include "actors/head/cluster_metrics.hpp"
#include "actors/head/compaction.hpp"
#include "actors/head/deadline_offer.hpp"
#include "actors/head/head.hpp"
#include "actors/head/head_records.hpp"
#include "actors/head/node_renewer.hpp"
#include "actors/head/submission.hpp"
#include "actors/head/views.hpp"
#include "actors/head/waiting_jobs.hpp"
#include "actors/head/wakeups.hpp"
#include "actors/job/command_gang.hpp"
#include "actors/job/master.hpp"
#include "actors/messages/node.hpp"
#include "actors/messages/serving.hpp"
#include "actors/messages/worker.hpp"
#include "scheduler/ledger/grant_check.hpp"
#include "scheduler/ledger/ledger.hpp"
#include "scheduler/policy/autoscale.hpp"
#include "scheduler/policy/departures.hpp"
#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/role_placement.hpp"

namespace ds::head {

class Head;

/// Local message: something to do on the head's actor, from another thread.
struct Run {
  std::function<void(Head&)> action;
};

}  // namespace ds::head

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::head::Run)

namespace ds::head {

/// A checkpoint as it travels; takes the memory over.
messages::StateReply to_state(storage::Checkpoint checkpoint);

class Head : public caf::event_based_actor {
 public:
  /// `snapshot_bytes`: of the newest snapshot in the journal; 0: there is none.
  Head(caf::actor_config& config, HeadParts parts, scheduler::Ledger ledger, std::uint64_t snapshot_bytes);
  caf::behavior make_behavior() override;

  // ---- HTTP (head_api.cpp) ----
  void answer(const gateway::HttpRequest& request, const gateway::Respond& respond);
  void on_submission_checked(const std::string& key, const CheckedSubmission& checked,
                             const gateway::Respond& respond);
  std::string metrics();
  // ---- the protocol's (head_serving.cpp) ----
  void control_model(const std::string& model, serving::ModelControl what,
                     const std::function<void(Result<void>)>& then);
  // ---- (head_tenants.cpp) ----
  /// `text` is right.
  void on_tenants_checked(const std::string& file, const std::string& text, const gateway::Respond& respond);
  // ---- (head_what_if.cpp) ----
  void on_draft_checked(const CheckedSubmission& checked, const gateway::Respond& respond);

 private:
  using Node = KnownNode;
  using CutOff = CutOffNode;
  using Serving = LiveServing;
  using Job = KnownJob;

  // ---- journal (head_actor.cpp) ----
  /// Applies the events, makes them durable, then runs `effect`. Events that contradict the ledger are left
  /// out. A grant of what is not there ends the head before anything is written.
  void commit(std::vector<scheduler::Event> events, std::function<void()> effect = {});
  /// Of leases that the ledger has just taken; see `scheduler::find_wrong_grant`.
  std::optional<std::string> find_wrong_grant(std::span<const std::uint64_t> granted) const;
  void die_of_journal(Error error) const;
  scheduler::Event event(std::string by, std::string why, scheduler::Event::Body body) const;
  void when_durable(std::function<void()> effect);
  void on_durable();
  void compact_if_due();
  void write_piece(storage::StateJournal::SnapshotPiece piece);
  void tell_if_full();
  void take_jobs_back();
  void note_start();

  // ---- jobs that ended long ago (head_retention.cpp) ----
  void forget_old_jobs();
  /// What they left on disk is gone.
  void forget(const std::vector<std::string>& jobs);

  // ---- nodes and leases (head_cluster.cpp) ----
  bool may_stay(const messages::RunningWorker& running, const std::string& node) const;
  /// It is told of a former start of a worker that has been started again, or is about to be.
  bool is_late(std::uint64_t worker, std::uint64_t generation) const;
  bool is_through(const scheduler::Lease& lease) const;
  void on_node_hello(const messages::NodeHello& hello);
  void on_node_down(const std::string& name);
  void remember_away(const std::string& name, const NodeEntry& entry);
  /// Gangs of users' programs that have ranks there stop as a whole, without a crash.
  void on_node_leaving(const std::string& name);
  void forget_agent(const caf::actor& agent);
  void on_worker_started(const messages::WorkerStarted& started);
  void on_worker_exited(const messages::WorkerExited& exited);
  void on_log(const messages::LogLines& lines);
  std::string log_prefix(const std::string& job, std::uint64_t worker) const;
  void end_grace_if_all_are_back();
  void on_grace_over();
  void tell_missing_nodes();
  scheduler::NodeNames drained_nodes() const;
  bool is_closed(const std::string& node) const;  ///< to what is new
  /// What leaves because its node is drained or its job has too many, to be written before the plan is.
  void add_departures(const scheduler::PlanWithDepartures& planned, std::vector<scheduler::Event>& events);
  std::vector<std::uint64_t> departing_servers() const;
  void end_leases(const std::vector<std::uint64_t>& workers, const std::string& why);
  /// Whether it lacks workers of its minimum and has others.
  bool is_short(const std::string& job) const;
  /// If it stays short it gives its slots back: a program once a plan has found no room for what it lacks, as
  /// it starts anew in any case; a training after a while, since those that are left have its state.
  void look_at_gang(const std::string& job);
  void give_up_gang(const std::string& job);
  void give_up_short_programs();
  std::optional<scheduler::Event> crash_event(const scheduler::Lease& lease,
                                              const messages::WorkerExited& exited) const;
  bool is_outside(const messages::WorkerExited& exited) const;
  std::string end_text(const messages::WorkerExited& exited) const;
  bool is_dispensable(const scheduler::Lease& lease) const;
  bool has_enough_trained(const scheduler::JobRecord& record) const;
  void kill_worker(std::uint64_t worker, const std::string& why);
  void on_spare_exited(const scheduler::Lease& lease, const messages::WorkerExited& exited, bool was_ready);
  void on_shard_exited(const scheduler::Lease& lease, const messages::WorkerExited& exited);
  Node* find_node_of(std::uint64_t worker);

  // ---- nodes that are not heard of (head_cut_off.cpp) ----
  bool may_run_unheard(const scheduler::Lease& lease) const;
  /// Nobody can tell its process of its programs, `unheard_for` so long already. `node`: as far as known.
  void on_node_lost(const std::string& name, const Node& node, std::chrono::milliseconds unheard_for);
  void cut_off(CutOff entry, const std::string& sign_of_life, std::chrono::milliseconds wait);
  void tell_cut_off(std::uint64_t number);
  void end_cut_off(std::uint64_t number, const std::string& why);
  void on_node_back(const messages::NodeHello& hello);
  bool is_cut_off(std::uint64_t worker) const;
  /// Whether one of its processes may run where nobody hears of it.
  bool is_partly_cut_off(const std::string& job) const;
  /// When all that a node of this name may run unheard of has ended; 0: there is nothing.
  std::int64_t cut_off_until_ms(const std::string& node) const;

  // ---- the policy (head_plan.cpp) ----
  void schedule_soon();
  void schedule();
  /// Of all that has changed since it was told last.
  void tell_planner();
  std::vector<scheduler::NodeView> view_nodes() const;
  std::optional<scheduler::NodeView> view_for_planner(const std::string& node) const;
  void on_node_changed(const std::string& node);
  bool goes_by_attained(const scheduler::JobRecord& job) const;
  bool limit_growth(const scheduler::JobRecord& job, scheduler::Demand& demand) const;
  /// Keeps for people why jobs change their sizes.
  void note_size_changes(const scheduler::Plan& plan);
  /// What depends on a job that did not succeed never starts.
  void cancel_if_dependency_broke(const std::string& job);
  /// A job whose `time_limit` is over saves its last step and ends.
  void stop_if_overdue(const std::string& job);
  /// Whether workers are to leave nodes that are drained.
  bool must_leave() const;
  /// What crashed there says that a node is at fault (head_nodes.cpp).
  void quarantine_nodes();
  void lift_oldest_quarantine();
  scheduler::PlanWithDepartures make_plan();
  /// Devices that leases and what a plan grants have taken, of the nodes on which it grants some.
  using TakenDevices = std::map<std::string, std::set<std::uint32_t>>;
  std::vector<std::uint32_t> take_devices(const std::string& node, std::uint32_t count,
                                          TakenDevices& taken) const;
  void plan_and_carry_out();
  void carry_out(std::vector<scheduler::Event> events, const std::vector<scheduler::Lease>& granted);
  std::vector<scheduler::RolePlacement> place_missing_roles(const std::vector<scheduler::Lease>& granted,
                                                            const std::set<std::uint64_t>& released);
  void release_needless_shards();
  Waits waits_of(const scheduler::JobRecord& job);
  /// Whether nobody knows yet which nodes there are, so that the job, which lacks them, may not lack any.
  bool lacks_only_news(const scheduler::JobRecord& job, std::span<const scheduler::Reason> reasons) const;
  scheduler::Reason wait_for_nodes() const;
  void note_waiting(const scheduler::JobRecord& job);
  /// By their first reasons' codes; of those that only wait for room the first `kMaxExplainedAtOnce`.
  WaitCounts wait_counts();
  /// Of those that only wait until workers that are stopping are gone.
  enum class Coming { told, left_out };
  /// The first sentence of each of these that waits, all of which the ledger has, by one plan.
  std::map<std::string, std::string> first_reasons(const std::vector<std::string>& jobs, Coming coming);

  // ---- jobs (head_jobs.cpp) ----
  void on_worker_hello(const messages::WorkerHello& hello);
  void ensure_master(const std::string& job, bool recovering);
  void tell_leases(const std::string& job);
  void on_note(const std::string& job, std::uint64_t master, const job::MasterNote& note);
  void note(const std::string& job, const job::RecordGeneration& record);
  void note(const std::string& job, const job::ShowPhase& phase);
  static void note_members(Job& job, const std::vector<std::uint64_t>& members);
  std::string running_text(const scheduler::JobRecord& record) const;
  void begin_measuring(const scheduler::JobRecord& record);
  void follow_batch(const std::string& job, const messages::StepReport& report);
  void measure_speed(const std::string& job, const messages::StepReport& report);
  void note(const std::string& job, const job::KillWorker& kill);
  void note(const std::string& job, const job::FinishJob& finish);
  void note(const std::string& job, const job::JobSizeKnown& size);
  void note(const std::string& job, const job::JobImpossible& impossible);
  void note(const std::string& job, const messages::StepReport& report);
  void note(const std::string& job, const messages::EvaluationReport& report);
  void set_state(const std::string& job, scheduler::JobState state, const std::string& by,
                 const std::string& why);
  /// `first`: what led to the end, written with it as one record.
  void end_job(const std::string& job, scheduler::JobState state, const std::string& by,
               const std::string& why, std::vector<scheduler::Event> first = {});
  /// Tells all workers of the job to leave, which save their newest state first. `first` is written with it
  /// as one record.
  void release_workers(const std::string& job, const std::string& why, std::vector<scheduler::Event> first);
  void save_checkpoint(const std::string& job, messages::SaveCheckpoint checkpoint,
                       std::function<void(std::string)> when_saved);
  caf::response_promise on_fetch(const messages::FetchState& request);

  // ---- jobs that run users' programs (head_commands.cpp) ----
  bool is_command(const std::string& job) const;
  void ensure_command(const std::string& job, bool recovering);
  void tell_command_leases(const std::string& job);
  void on_command_started(std::uint64_t worker, std::uint64_t generation, std::uint16_t port);
  void on_command_exited(const scheduler::Lease& lease, const messages::WorkerExited& exited);
  void take_exit(const messages::WorkerExited& exited);
  caf::actor sender_node();
  void stop_command(const std::string& job);
  /// Whether its gang should stay as it is for now, though it wants more workers.
  bool is_growth_untimely(const std::string& job) const;
  void carry_out(const std::string& job, const job::CommandActions& actions);
  void act(const std::string& job, const job::RecordCommand& action);
  void act(const std::string& job, const job::StartProcess& action);
  void act(const std::string& job, const job::StopProcess& action);
  void act(const std::string&, const job::FreeLease&) {}  // by `carry_out`
  void act(const std::string& job, const job::ShowRunning& action);
  void act(const std::string& job, const job::ShowRestart& action);
  void act(const std::string& job, const job::RecordFinished& action);
  void act(const std::string& job, const job::CommandCrashed& action);
  void act(const std::string& job, const job::CommandDone& action);

  // ---- jobs that serve models (head_serving.cpp) ----
  bool is_serve(const std::string& job) const;
  void ensure_serving(const std::string& job);
  void prepare_nodes();
  void on_replica_hello(const messages::ReplicaHello& hello);
  void on_replica_failed(const messages::ReplicaFailed& failed);
  /// Replicas that are to leave are told so, once that is durable.
  void tell_replicas(const std::string& job);
  /// Its process is gone; `has_crashed`: by itself. Whether it was ready.
  bool forget_replica(const scheduler::Lease& lease, bool has_crashed);
  std::string serving_text(const scheduler::JobRecord& record) const;
  void note_ready(const std::string& job);
  void on_replica_down(const caf::actor_addr& replica);
  /// Ends those that hang, so that others can take their place.
  void watch_replicas();
  void on_load(const std::string& job, scheduler::LoadSample sample);
  /// A replica has found another file than those of its version served, or none has any more (empty).
  void note_lost_file(const std::string& job, const std::string& why);
  bool was_never_placed(const scheduler::JobRecord& record) const;
  void tell_all_held();
  /// Tells the router why requests for it need not wait: it is paused, or waits for what is said and no
  /// replica is on its way. Empty: one may be.
  void tell_held(const std::string& job, const std::string& waits_for = {});
  void stop_serving(const std::string& job);
  /// Finds the checkpoint that the job is to serve, then accepts it.
  void choose_checkpoint(const Submission& submission, const gateway::Respond& respond);
  /// What a serve job serves.
  struct Served {
    std::optional<std::pair<std::string, std::uint64_t>> checkpoint;
    std::vector<scheduler::ServedLine> lines;
    std::optional<std::string> file = {};  ///< its SHA-256; empty: not known. None: it names no file
  };
  void accept(const Submission& submission, std::vector<std::string> dependencies, const Served& served,
              const gateway::Respond& respond);
  /// Finds the checkpoint, and keeps it from being dropped at least until `then` has returned.
  void find_checkpoint(const std::string& job, const scheduler::ServedSource& source,
                       std::function<void(Head&, const Result<storage::CheckpointEntry>&)> then);

  // ---- jobs that serve a file (head_files.cpp) ----
  /// SHA-256 of the file, beside the actor. False: too many wait for that, and it is not done.
  bool read_served_file(const std::string& path, std::function<void(Head&, const Result<std::string>&)> then);
  /// Looks at the file that the job is to serve, then accepts it, or lets the job that serves it follow.
  void choose_file(const Submission& submission, const gateway::Respond& respond);
  void serve_again(const scheduler::JobRecord& job, const std::string& key, const Result<std::string>& digest,
                   const gateway::Respond& respond);
  /// What a job that is tried again serves.
  std::vector<scheduler::Event> file_events(const scheduler::JobRecord& job, const std::string& digest) const;
  /// Whether the replica serves what others of its version do; one that does not is ended.
  bool is_right_file(const std::string& job, const messages::ReplicaHello& hello, std::uint64_t version);

  // ---- models of the registry: versions and tags (head_models.cpp) ----
  struct Registration;
  void answer_models(const gateway::HttpRequest& request, const std::vector<std::string>& route,
                     const gateway::Respond& respond);
  void answer_with_model(const std::string& name, const gateway::Respond& respond);
  void register_version(const std::string& name, const nlohmann::json& body, const gateway::Respond& respond);
  void register_checkpoint(const Registration& wanted);
  void register_file(const Registration& wanted);
  void keep_file(const Registration& wanted, const std::shared_ptr<const Result<std::string>>& content,
                 const std::string& digest);
  void add_version(const Registration& wanted, scheduler::ModelVersion version);
  /// Files that were copied and did not become versions.
  void drop_needless_files();
  void promote(const std::string& name, const nlohmann::json& body, const gateway::Respond& respond);
  void roll_back(const std::string& name, const nlohmann::json& body, const gateway::Respond& respond);
  void remove_model(const std::string& name, const nlohmann::json& body, const gateway::Respond& respond);
  void move_tag(scheduler::ModelTagged moved, const std::string& why, const gateway::Respond& respond);

  // ---- from one version to another (head_rollout.cpp) ----
  /// Of the job's next replica, after those `granted` in the same plan; 0: its model is not of the registry.
  std::uint64_t version_of_next(const scheduler::JobRecord& job,
                                const std::vector<scheduler::Lease>& granted) const;
  messages::AssignReplica assignment(const scheduler::JobRecord& job, const scheduler::Lease& lease) const;
  void tell_versions(const scheduler::JobRecord& job, Serving& serving);
  bool has_room(const scheduler::JobRecord& job, Job& live);
  /// Lets those leave that others have taken the place of. After every change.
  void roll(const std::string& job);
  /// What jobs that serve this tag of the model serve now.
  using ServedLines = std::map<std::string, std::vector<scheduler::ServedLine>>;
  ServedLines lines_of_followers(const std::string& model, const std::string& tag) const;
  /// Those of them that now serve something else begin to change.
  void on_tag_moved(const ServedLines& before);
  /// False: it is no version that the job only begins to serve.
  bool stop_rollout(const std::string& job, std::uint64_t version, const std::string& why);
  bool is_refused(const scheduler::Lease& lease) const;
  /// Its version has not been proved, and there is another to go back to: the job can do without.
  bool is_on_trial(const scheduler::Lease& lease) const;
  void on_version_crash(const scheduler::Lease& lease, const messages::WorkerExited& exited, bool was_ready);
  /// Versions that have served long enough are proved.
  void watch_trials(const std::string& job);

  // ---- HTTP (head_api.cpp) ----
  /// True: it has been.
  bool refuse_while_full(const gateway::HttpRequest& request, const gateway::Respond& respond) const;
  const scheduler::JobRecord* resolve_job(const std::string& name, const gateway::Respond& respond) const;
  nlohmann::json view(const scheduler::JobRecord& job, bool whole, const std::string& wait_reason) const;
  nlohmann::json whole_view(const scheduler::JobRecord& job);
  nlohmann::json disk_view() const;
  void answer_jobs(const gateway::HttpRequest& request, const gateway::Respond& respond);
  void answer_job(const gateway::HttpRequest& request, const std::string& name, const std::string& verb,
                  const gateway::Respond& respond);
  void submit(const gateway::HttpRequest& request, const gateway::Respond& respond);
  /// Reads the job file in the request and the beginning of its data, beside the actor, then comes back to
  /// it. False: too many wait for that, and it is not done.
  bool check_job_file(const gateway::HttpRequest& request,
                      std::function<void(Head&, const CheckedSubmission&)> then);
  /// False when no job was made with this key.
  bool answer_known(const std::string& key, const gateway::Respond& respond);
  void answer_logs(const scheduler::JobRecord& job, const gateway::HttpRequest& request,
                   const gateway::Respond& respond);
  void answer_events(const scheduler::JobRecord* job, const gateway::HttpRequest& request,
                     const gateway::Respond& respond);
  void answer_checkpoints(const scheduler::JobRecord& job, const gateway::Respond& respond);
  void start_export(const scheduler::JobRecord& job, const gateway::HttpRequest& request,
                    const gateway::Respond& respond);
  void on_export_state(std::uint64_t errand, Result<storage::Checkpoint> checkpoint);
  void on_export_done(const messages::ExportDone& exported);
  void fail_errand(std::uint64_t errand, const Error& why);
  /// Ends its process; the answer is still to be given (empty when there is no such errand).
  gateway::Respond end_errand(std::uint64_t errand);

  // ---- what would become of a job (head_what_if.cpp) ----
  struct Draft {
    Submission submission;
    gateway::Respond respond;
  };
  void plan_draft(const gateway::HttpRequest& request, const gateway::Respond& respond);
  /// Answers for the draft that has waited longest, if it is time.
  void look_at_drafts();
  gateway::HttpResponse answer_for(const Submission& submission);

  // ---- jobs with deadlines (head_deadlines.cpp) ----
  /// What the draft, or a paused job as if it were resumed, is promised if it is taken now.
  DeadlineOffer promise_deadline(const scheduler::JobRecord& draft);
  /// Asks for what a pause took; adds it, or why not, to `events`. Fields of an answer; fails: it may pass.
  Result<nlohmann::json> promise_anew(const scheduler::JobRecord& job, std::vector<scheduler::Event>& events);
  void note_if_missed(const std::string& job);

  // ---- what owners of jobs ask for (head_requests.cpp) ----
  void change_job(const scheduler::JobRecord& job, const std::string& verb,
                  const gateway::HttpRequest& request, const gateway::Respond& respond);
  void answer_with_job(const std::string& job, const gateway::Respond& respond, nlohmann::json more = {});
  void cancel(const std::string& job);
  void pause_job(const std::string& job);
  Result<nlohmann::json> resume_job(const std::string& job);  ///< see `promise_anew`; fails: it stays paused
  bool is_kept(const std::string& job, const gateway::Respond& respond) const;
  void retry(const std::string& job, const gateway::Respond& respond);
  /// `digest`: of the file that it serves; none: it names none.
  void retry(const std::string& job, const std::optional<std::string>& digest,
             const gateway::Respond& respond);
  Result<void> set_priority(const std::string& job, const nlohmann::json& body);
  Result<void> scale(const std::string& job, const nlohmann::json& body);

  // ---- tenants (head_tenants.cpp) ----
  /// The file that this head was started with counts if it is another than the last head's.
  void take_tenants_of_start();
  void on_tenants_changed();
  scheduler::Room cluster_room() const;  ///< of the nodes that are up
  void watch_guarantees();
  void answer_tenants(const gateway::Respond& respond);
  void change_tenants(const gateway::HttpRequest& request, const gateway::Respond& respond);
  void answer_usage(const gateway::HttpRequest& request, const gateway::Respond& respond);

  // ---- what operators ask for (head_nodes.cpp) ----
  nlohmann::json view_of_node(const std::string& name) const;
  void answer_nodes(const gateway::Respond& respond);
  void answer_node(const gateway::HttpRequest& request, const std::string& name, const std::string& verb,
                   const gateway::Respond& respond);
  void drain(const std::string& node);
  /// Why the job could never start with these nodes and quotas; empty: it could, or that is not known yet.
  std::string why_never(const Submission& submission);
  /// The same of one that was submitted, as long as it waits.
  std::string why_never(const scheduler::JobRecord& job);
  void cordon(const std::string& node);
  void undrain(const std::string& node);

  std::int64_t now_ms() const { return parts_.now_ms(); }
  /// Since this head began: steady, whatever becomes of the wall clock.
  std::chrono::milliseconds life() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock().now() - began_);
  }
  static std::int64_t backoff_ms(std::uint32_t crashes_in_a_row);

  HeadParts parts_;
  scheduler::Ledger ledger_;
  HeadCounters counters_;
  scheduler::Planner planner_;
  Wakeups wakeups_;
  WaitingJobs waiting_;                   ///< as the planner was told of them
  std::set<std::string> unseen_;          ///< jobs that changed since the last `schedule`
  std::set<std::string> overfull_;        ///< jobs with more workers than they want
  std::set<std::string> short_programs_;  ///< gangs that are looked at after the next plan
  std::map<std::string, Node> nodes_;
  std::optional<std::set<std::string>> changed_nodes_;  ///< since the planner was told; none: all
  std::map<caf::actor_addr, std::string> agents_;       ///< names of nodes by their agents
  AwayNodes away_;
  caf::actor renewer_;
  std::shared_ptr<RenewableNodes> renewable_ = std::make_shared<RenewableNodes>();
  std::map<std::uint64_t, CutOff> cut_off_;  ///< by number; a name may stand several times
  std::uint64_t cut_offs_ = 0;               ///< that ever were
  caf::actor_clock::time_point began_{};
  bool may_be_over_quota_ = true;                      ///< a queue: quotas have changed, or minimums
  std::map<std::string, Job> jobs_;                    ///< those that have not ended
  std::set<std::string> forgetting_;                   ///< jobs that are about to be: as good as forgotten
  std::map<std::string, std::int64_t> kept_until_ms_;  ///< jobs that could not be forgotten
  std::set<std::string> served_;  ///< of these the `serve` jobs, and some that have ended
  std::shared_ptr<ChosenCheckpoints> chosen_ = std::make_shared<ChosenCheckpoints>();
  std::weak_ptr<const void> file_in_work_;  ///< held by the registration of a file until its end
  std::uint64_t next_file_ = 1;             ///< step of `kModelFiles` that none has
  bool has_needless_files_ = false;         ///< of versions that were removed meanwhile
  std::uint64_t removals_ = 0;              ///< of models and versions
  /// All that versions had just before a removal which isn't durable yet, by its number.
  std::map<std::uint64_t, std::vector<std::uint64_t>> files_not_yet_gone_;
  std::uint64_t masters_ = 0;  ///< that were started
  std::map<std::uint64_t, std::int32_t> pids_;
  std::map<std::uint64_t, Suspect> suspects_;
  bool is_last_outside_ = false;  ///< the same: somebody else has ended it
  std::string last_end_;          ///< of the command whose exit is being carried out: how it ended
  std::map<std::uint64_t, Errand> errands_;
  std::uint64_t next_errand_ = std::uint64_t{1} << 63;  ///< never a lease's number
  bool in_grace_ = true;                 ///< just started: nodes that are not back yet are waited for
  bool is_guaranteed_too_much_ = false;  ///< to tenants, as was told last
  bool is_settled_ = false;              ///< nodes that were there when it started have had time to say so
  bool schedule_is_due_ = false;
  caf::actor_clock::time_point scheduled_at_{};
  std::deque<Draft> drafts_;        ///< that are yet to be planned, `kMaxDrafts` at most
  std::size_t drafts_checked_ = 0;  ///< that are being checked before they get there
  bool drafts_are_due_ = false;
  caf::actor_clock::time_point next_draft_at_{};
  Compaction compaction_;
  bool is_full_ = false;  ///< the disk, as was told last

  std::shared_ptr<JournalMark> mark_ = std::make_shared<JournalMark>();
  std::uint64_t appended_ = 0;                                           ///< commits handed to the journal
  std::uint64_t durable_ = 0;                                            ///< commits it has confirmed
  std::deque<std::pair<std::uint64_t, std::function<void()>>> effects_;  ///< by the commit they wait for
};

}  // namespace ds::head
