#include "scheduler/ledger/ledger.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "scheduler/policy/start_conditions.hpp"
#include "scheduler/spec/job_file.hpp"
#include "scheduler/spec/priority.hpp"

namespace ds::scheduler {

/// Of those that are kept; many more than a quarantine takes.
constexpr std::size_t kMaxEarlyCrashes = 256;
/// Of sizes that a job has run with, and of resizes; the last ones.
constexpr std::size_t kMaxSizesMeasured = 32, kMaxResizesMeasured = 8;
constexpr std::int64_t kMinimumRunMs = std::chrono::milliseconds(kMinimumRun).count();

bool Ledger::apply(const Event& event) {
  const std::string job = job_of(event);  // before it is applied: a lease may be gone afterwards
  if (!std::visit([&](const auto& body) { return on(event, body); }, event.body)) return false;
  if (job.empty()) return true;
  index_.mark(job);
  const auto* changed = std::get_if<JobStateChanged>(&event.body);
  if (changed != nullptr && is_end(changed->state)) index_.mark_dependents(job);
  return true;
}

/// Empty: none.
std::string Ledger::job_of(const Event& event) const {
  return std::visit(
      [&](const auto& body) -> std::string {
        if constexpr (requires { body.job; }) {
          return body.job;
        } else if constexpr (requires { body.worker; }) {
          const auto lease = leases_.find(body.worker);
          return lease == leases_.end() ? std::string() : lease->second.job;
        } else {
          return {};
        }
      },
      event.body);
}

std::shared_ptr<const Ledger::JobSource> Ledger::find_source(const std::string& text,
                                                             const std::string& directory) const {
  const auto known = sources_.find({text, directory});
  return known == sources_.end() ? nullptr : known->second.lock();
}

std::shared_ptr<const Ledger::JobSource> Ledger::keep_source(const std::string& text,
                                                             const std::string& directory, JobSpec spec) {
  auto source = std::make_shared<const JobSource>(JobSource{text, std::move(spec)});
  if (sources_.size() >= next_source_sweep_) {
    std::erase_if(sources_, [](const auto& entry) { return entry.second.expired(); });
    next_source_sweep_ = std::max(kFirstSourceSweep, 2 * sources_.size());
  }
  sources_[{text, directory}] = source;
  return source;
}

std::shared_ptr<const void> Ledger::keep_spec(const std::string& text, const std::string& directory,
                                              const JobSpec& spec) {
  auto known = find_source(text, directory);
  return known != nullptr ? known : keep_source(text, directory, spec);
}

/// Jobs are often submitted by the thousand with one text, which is read and kept once. False: it is wrong.
bool Ledger::set_source(JobRecord& job, const std::string& text) {
  auto source = find_source(text, job.directory);
  if (source == nullptr) {
    auto parsed = parse_job_file(text, job.directory);
    auto* job_file = std::get_if<ParsedJob>(&parsed);
    if (job_file == nullptr) return false;
    source = keep_source(text, job.directory, std::move(job_file->spec));
  }
  job.spec = {source, &source->spec};
  job.text = {source, &source->text};
  return true;
}

void Ledger::index(const JobRecord& job) {
  const bool has_roles = job.spec->count_of(Role::server) + job.spec->count_of(Role::shard) > 0;
  index_.add_job({job.id, job.spec->name, job.depends_on, has_roles});
}

JobRecord* Ledger::active(std::string_view job) {
  const auto found = jobs_.find(job);
  return found == jobs_.end() || is_end(found->second.state) ? nullptr : &found->second;
}

bool Ledger::on(const Event& event, const JobSubmitted& body) {
  if (body.job.empty() || jobs_.contains(body.job) || (!body.key.empty() && keys_.contains(body.key)))
    return false;
  JobRecord record;
  record.id = body.job;
  record.directory = body.directory;
  if (!set_source(record, body.text)) return false;
  record.priority = record.spec->priority;
  record.key = body.key;
  record.file = body.file;
  record.depends_on = body.depends_on;
  record.order = next_order_++;
  record.submitted_ms = event.at_ms;
  if (!body.key.empty()) keys_.emplace(body.key, body.job);
  index(jobs_.emplace(body.job, std::move(record)).first->second);
  return true;
}

bool Ledger::on(const Event& event, const LeaseGranted& body) {
  auto* job = active(body.job);
  if (job == nullptr || job->cancel_requested || job->pause_requested || job->time_is_up) return false;
  if (body.worker < next_worker_) return false;
  if (body.role == Role::worker && job->workers++ == 0) job->gang_since_ms = event.at_ms;
  const Lease& lease = leases_[body.worker] = {body.worker,       body.job, body.node,  body.slots,
                                               body.memory_bytes, false,    body.role,  job->spec->tenant,
                                               job->spec->queue,  false,    event.at_ms};
  index_.add_lease(lease);
  count_use(lease, event.at_ms, true);
  next_worker_ = body.worker + 1;
  return true;
}

bool Ledger::on(const Event& event, const LeaseReleasing& body) {
  const auto found = leases_.find(body.worker);
  if (found == leases_.end()) return false;
  Lease& lease = found->second;
  if (lease.releasing && (lease.at_once || !body.at_once)) return false;
  lease.at_once = body.at_once;
  if (lease.releasing) return true;
  lease.releasing = true;
  count_out(lease, event.at_ms);
  return true;
}

/// The lease's job has one worker less.
void Ledger::count_out(const Lease& lease, std::int64_t at_ms) {
  if (lease.role != Role::worker) return;
  JobRecord& job = jobs_.find(lease.job)->second;
  if (job.workers == 1) job.ran_before_ms = job.run_ms(at_ms);
  --job.workers;
}

void Ledger::count_use(const Lease& lease, std::int64_t at_ms, bool more) {
  if (lease.role != Role::worker) return;
  DecayedUse& use = uses_[{lease.tenant, lease.queue}];
  use.advance(at_ms);
  use.slots_now = more ? use.slots_now + lease.slots : use.slots_now - lease.slots;
  use.memory_now = more ? use.memory_now + lease.memory_bytes : use.memory_now - lease.memory_bytes;
}

std::vector<PastUse> Ledger::past_use(std::int64_t now_ms) const {
  std::vector<PastUse> past;
  for (const auto& [names, use] : uses_) {
    DecayedUse now = use;
    now.advance(now_ms);
    past.push_back({names.first, names.second, now.slots, now.memory_bytes});
  }
  return past;
}

bool Ledger::on(const Event& event, const LeaseEnded& body) {
  const auto found = leases_.find(body.worker);
  if (found == leases_.end()) return false;
  if (!found->second.releasing) count_out(found->second, event.at_ms);
  count_use(found->second, event.at_ms, false);
  index_.remove_lease(found->second);
  leases_.erase(found);
  return true;
}

bool Ledger::on(const Event&, const GenerationFormed& body) {
  auto* job = active(body.job);
  if (job == nullptr || body.generation <= job->generation) return false;
  job->generation = body.generation;
  job->members = body.members;
  job->servers = body.servers;
  job->finished.clear();
  // A replica that has become ready shows that the next can, as a step does.
  const bool has_grown = job->spec->serve && body.members.size() > 0;
  if (body.step > job->step || has_grown) job->crashes_in_a_row = 0;
  job->step = std::max(job->step, body.step);
  return true;
}

bool Ledger::on(const Event& event, const JobStateChanged& body) {
  auto* job = active(body.job);
  if (job == nullptr) return false;
  if (body.state != job->state && !is_legal(job->state, body.state)) return false;
  if (body.state == job->state && body.reason == job->reason) return false;
  job->state = body.state;
  job->reason = body.reason;
  if (body.state == JobState::starting && job->started_ms == 0) job->started_ms = event.at_ms;
  if (is_end(body.state)) {
    job->ended_ms = event.at_ms;
    job->curve.reset();
    index_.end_job(body.job);
  }
  return true;
}

bool Ledger::on(const Event&, const CancelRequested& body) {
  auto* job = active(body.job);
  if (job == nullptr || job->cancel_requested) return false;
  job->cancel_requested = true;
  return true;
}

bool Ledger::on(const Event&, const PauseRequested& body) {
  auto* job = active(body.job);
  if (job == nullptr || job->pause_requested) return false;
  job->pause_requested = true;
  return true;
}

bool Ledger::on(const Event&, const ResumeRequested& body) {
  auto* job = active(body.job);
  if (job == nullptr || !job->pause_requested) return false;
  job->pause_requested = false;
  return true;
}

bool Ledger::on(const Event& event, const NodeDrained& body) {
  return !body.node.empty() && drained_.try_emplace(body.node, NodeClosure{event.at_ms, body.why}).second;
}

bool Ledger::on(const Event& event, const NodeQuarantined& body) {
  return !body.node.empty() && quarantined_.try_emplace(body.node, NodeClosure{event.at_ms, body.why}).second;
}

bool Ledger::on(const Event&, const QuarantineLifted& body) {
  return quarantined_.erase(body.node) == 1;
}

bool Ledger::on(const Event&, const NodeUndrained& body) {
  const auto closures = drained_.erase(body.node) + quarantined_.erase(body.node);
  if (closures > 0) std::erase_if(early_crashes_, [&](const auto& crash) { return crash.node == body.node; });
  return closures > 0;
}

bool Ledger::on(const Event&, const TimeLimitReached& body) {
  auto* job = active(body.job);
  if (job == nullptr || job->time_is_up) return false;
  job->time_is_up = true;
  return true;
}

bool Ledger::on(const Event& event, const JobRetried& body) {
  const auto found = jobs_.find(body.job);
  if (found == jobs_.end()) return false;
  JobRecord& job = found->second;
  if (job.state != JobState::failed && job.state != JobState::cancelled) return false;
  job.state = JobState::queued;
  job.reason = event.why;
  job.ended_ms = 0;
  job.cancel_requested = job.pause_requested = job.time_is_up = false;
  job.ran_before_ms = 0;
  job.crashes_in_a_row = 0;
  job.retry_at_ms = 0;
  learn_curve(job);
  index(job);
  return true;
}

bool Ledger::on(const Event&, const PriorityChanged& body) {
  auto* job = active(body.job);
  if (job == nullptr || job->priority == body.priority || body.priority > kMaxPriority) return false;
  job->priority = body.priority;
  return true;
}

bool Ledger::on(const Event&, const WorkersScaled& body) {
  auto* job = active(body.job);
  const WorkerCount wanted{body.min, body.max};
  if (job == nullptr || (job->scaled ? *job->scaled : job->spec->workers) == wanted) return false;
  const bool may_be_none = job->spec->serve.has_value();
  if (body.min > body.max || body.max > job->spec->workers.max || (body.min < 1 && !may_be_none))
    return false;
  job->scaled = wanted;
  learn_curve(*job);
  return true;
}

bool Ledger::on(const Event&, const CheckpointChosen& body) {
  auto* job = active(body.job);
  if (job == nullptr || !job->spec->serve || find(body.source) == nullptr || body.step == 0) return false;
  job->served_job = body.source;
  job->served_step = body.step;
  serving_.insert(body.job);
  return true;
}

std::vector<std::uint64_t> Ledger::served_steps(std::string_view source) const {
  std::vector<std::uint64_t> steps;
  for (const std::string& id : serving_) {
    const JobRecord* job = find(id);
    if (job->served_job == source && !is_end(job->state)) steps.push_back(job->served_step);
  }
  return steps;
}

bool Ledger::on(const Event&, const SpeedMeasured& body) {
  auto* job = active(body.job);
  const bool is_sound = std::isfinite(body.step_s) && std::isfinite(body.resize_s) && body.compute_s > 0 &&
                        body.step_s >= body.compute_s && body.resize_s >= 0 && body.nodes >= 1 &&
                        body.workers >= body.nodes;
  if (job == nullptr || !is_sound) return false;
  const SizeMeasured size{body.workers, body.nodes, body.step_s, body.compute_s};
  std::erase_if(job->sizes, [&](const SizeMeasured& known) {
    return known.workers == size.workers && known.nodes == size.nodes;
  });
  if (job->sizes.size() == kMaxSizesMeasured) job->sizes.erase(job->sizes.begin());
  job->sizes.push_back(size);
  if (body.resize_s > 0) {
    if (job->resizes_s.size() == kMaxResizesMeasured) job->resizes_s.erase(job->resizes_s.begin());
    job->resizes_s.push_back(body.resize_s);
  }
  learn_curve(*job);
  return true;
}

void Ledger::learn_curve(JobRecord& job) {
  job.curve = make_curve(job.sizes, job.resizes_s, job.wanted(), job.spec->logical_ranks());
}

bool Ledger::on(const Event&, const JobSized& body) {
  auto* job = active(body.job);
  if (job == nullptr) return false;
  job->total_steps = body.total_steps;
  job->steps_per_epoch = body.steps_per_epoch;
  return true;
}

bool Ledger::on(const Event&, const EvaluationRecorded& body) {
  auto* job = active(body.job);
  if (job == nullptr) return false;
  // A step evaluated again (after a failure between evaluating and committing) gives the same numbers.
  if (!job->evaluations.empty() && job->evaluations.back().step >= body.step) return false;
  job->evaluations.push_back(body);
  if (body.step > job->step) job->crashes_in_a_row = 0;
  job->step = std::max(job->step, body.step);
  return true;
}

bool Ledger::on(const Event&, const CheckpointCommitted& body) {
  auto* job = active(body.job);
  if (job == nullptr || body.step < job->checkpoint_step) return false;
  if (body.step > job->checkpoint_step) job->crashes_in_a_row = 0;
  job->checkpoint_step = body.step;
  job->step = std::max(job->step, body.step);
  return true;
}

bool Ledger::on(const Event& event, const WorkerCrashed& body) {
  auto* job = active(body.job);
  if (job == nullptr) return false;
  ++job->restarts;
  if (body.in_a_row != job->crashes_in_a_row) job->crash_bound = next_worker_;
  job->crashes_in_a_row = body.in_a_row;
  job->retry_at_ms = body.retry_at_ms;
  if (!body.early_on.empty()) {
    if (early_crashes_.size() >= kMaxEarlyCrashes) early_crashes_.erase(early_crashes_.begin());
    early_crashes_.push_back({body.early_on, body.job, event.at_ms});
  }
  return true;
}

bool Ledger::on(const Event&, const RankFinished& body) {
  auto* job = active(body.job);
  const auto is_in = [&](const auto& workers) {
    return std::ranges::find(workers, body.worker) != workers.end();
  };
  if (job == nullptr || !is_in(job->members) || is_in(job->finished)) return false;
  job->finished.push_back(body.worker);
  return true;
}

const JobRecord* Ledger::find(std::string_view job) const {
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? nullptr : &found->second;
}

const JobRecord* Ledger::find_by_key(std::string_view key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : find(found->second);
}

std::vector<const JobRecord*> Ledger::match(std::string_view name_or_id) const {
  if (const auto* job = find(name_or_id)) return {job};
  std::vector<const JobRecord*> found;
  for (const auto& id : index_.named(name_or_id)) found.push_back(find(id));
  return found;
}

std::vector<Lease> Ledger::leases_of(std::string_view job) const {
  std::vector<Lease> found;
  for (const auto worker : index_.workers_of(job)) found.push_back(leases_.at(worker));
  return found;
}

std::vector<Lease> Ledger::leases_on(std::string_view node) const {
  std::vector<Lease> found;
  for (const auto worker : index_.workers_on(node)) found.push_back(leases_.at(worker));
  return found;
}

std::vector<Lease> Ledger::shard_leases() const {
  std::vector<Lease> found;
  for (const auto worker : index_.shards()) found.push_back(leases_.at(worker));
  return found;
}

/// Replicas are no gang: each is wanted by itself, one after the other, and those that there are go on
/// without the rest.
WorkerCount JobRecord::wanted() const {
  if (!spec->serve) return scaled.value_or(spec->workers);
  const std::uint32_t target = scaled ? scaled->max : std::max(spec->workers.min, 1U);
  return {workers < target ? workers + 1 : std::min(target, 1U), target};
}

std::int64_t JobRecord::begins_ms() const {
  const std::int64_t after = spec->start_after_ms == 0 ? 0 : submitted_ms + spec->start_after_ms;
  return std::max(after, spec->start_at_ms);
}

std::int64_t JobRecord::run_ms(std::int64_t now_ms) const {
  // A clock that was set back takes nothing away.
  return ran_before_ms + (workers == 0 ? 0 : std::max<std::int64_t>(0, now_ms - gang_since_ms));
}

const SizeMeasured* JobRecord::size_measured(std::uint32_t count) const {
  const auto found = std::find_if(sizes.rbegin(), sizes.rend(),
                                  [&](const SizeMeasured& size) { return size.workers == count; });
  return found == sizes.rend() ? nullptr : &*found;
}

double JobRecord::left_s(std::uint64_t at_step) const {
  const auto* now = size_measured(workers);
  const auto done = std::max(step, at_step);
  if (now == nullptr || total_steps == 0) return 0;
  return static_cast<double>(std::max<std::uint64_t>(1, total_steps - std::min(total_steps, done))) * now->step_s;
}

bool Ledger::is_overdue(const JobRecord& job, std::int64_t now_ms) const {
  const std::int64_t limit = job.spec->time_limit_ms;
  return limit != 0 && !is_end(job.state) && !job.time_is_up && job.workers > 0 &&
         job.run_ms(now_ms) >= limit;
}

std::vector<Reason> Ledger::holds(const JobRecord& job, std::int64_t now_ms) const {
  if (is_end(job.state)) return {};
  StartConditions conditions;
  conditions.is_paused = job.pause_requested;
  if (job.started_ms == 0) {  // else all was as it must be, and a clock that is set back changes nothing
    conditions.now_ms = now_ms;
    conditions.begins_ms = job.begins_ms();
    for (const auto& id : job.depends_on) {
      const auto* other = find(id);
      const auto state = other == nullptr ? JobState::cancelled : other->state;
      if (state != JobState::succeeded) conditions.unfinished.push_back({id, std::string(to_string(state))});
    }
  }
  return explain_holds(job.id, conditions);
}

/// Whether `holds` would have nothing to say.
bool Ledger::may_start(const JobRecord& job, std::int64_t now_ms) const {
  if (is_end(job.state) || job.pause_requested || job.cancel_requested || job.time_is_up) return false;
  if (job.started_ms != 0) return true;
  return job.begins_ms() <= now_ms && std::ranges::all_of(job.depends_on, [this](const auto& id) {
           const auto* other = find(id);
           return other != nullptr && other->state == JobState::succeeded;
         });
}

std::optional<std::string> Ledger::broken_dependency(const JobRecord& job) const {
  if (is_end(job.state) || job.started_ms != 0) return std::nullopt;
  const auto culprit = std::ranges::find_if(job.depends_on, [this](const auto& other) {
    const auto* record = find(other);
    return record == nullptr || (is_end(record->state) && record->state != JobState::succeeded);
  });
  return culprit == job.depends_on.end() ? std::nullopt : std::optional(*culprit);
}

std::optional<Demand> Ledger::demand(const JobRecord& job, std::int64_t now_ms) const {
  if (!may_start(job, now_ms) || job.wanted().max == 0) return std::nullopt;
  const std::int64_t runs_ms = now_ms - job.gang_since_ms;  // below 0: the clock was set back
  const bool is_young = job.workers > 0 && runs_ms >= 0 && runs_ms < kMinimumRunMs;
  const std::int64_t limit = job.spec->time_limit_ms;
  const std::int64_t lasts_ms = limit == 0 ? 0 : std::max<std::int64_t>(1, limit - job.ran_before_ms);
  return Demand{job.id,
                job.order,
                job.wanted(),
                job.spec->resources.cpus,
                job.spec->resources.memory_bytes,
                job.retry_at_ms > now_ms,
                job.priority,
                job.spec->preemptible,
                is_young,
                job.spec->tenant,
                job.spec->queue,
                job.curve,
                job.size_measured(job.workers) != nullptr,
                job.left_s(0),
                lasts_ms,
                limit == 0 || job.workers == 0 ? 0 : job.gang_since_ms + lasts_ms};
}

std::int64_t Ledger::next_change_ms(const JobRecord& job, std::int64_t now_ms) const {
  if (is_end(job.state)) return 0;
  std::int64_t next = 0;
  const auto consider = [&](std::int64_t at_ms) {
    if (at_ms > now_ms && (next == 0 || at_ms < next)) next = at_ms;
  };
  consider(job.retry_at_ms);
  if (job.started_ms == 0) consider(job.begins_ms());
  if (job.workers > 0) {
    consider(job.gang_since_ms + kMinimumRunMs);
    if (job.spec->time_limit_ms != 0)
      consider(job.gang_since_ms + std::max<std::int64_t>(0, job.spec->time_limit_ms - job.ran_before_ms));
  }
  return next;
}

std::vector<Demand> Ledger::demands(std::int64_t now_ms) const {
  std::vector<Demand> wanted;
  for (const auto& [id, job] : jobs_) {
    if (auto one = demand(job, now_ms)) wanted.push_back(*std::move(one));
  }
  std::sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.order < b.order; });
  return wanted;
}

std::vector<RoleDemand> Ledger::role_demands(std::int64_t now_ms) const {
  std::vector<const JobRecord*> jobs;
  for (const auto& id : index_.with_roles()) jobs.push_back(find(id));
  std::ranges::sort(jobs, {}, &JobRecord::order);
  std::vector<RoleDemand> wanted;
  for (const auto* job : jobs) {
    if (job->retry_at_ms > now_ms || !may_start(*job, now_ms)) continue;
    for (const Role role : {Role::server, Role::shard}) {
      if (const std::uint32_t count = job->spec->count_of(role); count > 0)
        wanted.push_back({job->id, role, count});
    }
  }
  return wanted;
}

}  // namespace ds::scheduler
