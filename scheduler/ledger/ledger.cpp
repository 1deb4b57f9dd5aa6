#include "scheduler/ledger/ledger.hpp"

#include <algorithm>
#include <functional>

#include "scheduler/spec/job_file.hpp"
#include "scheduler/spec/priority.hpp"
#include "scheduler/spec/tenant_file.hpp"

namespace ds::scheduler {

/// Of submissions of one job that goes on, but its first.
constexpr std::size_t kMostLaterKeys = 64;
/// Of which is known that they are back when they join once more.
constexpr std::size_t kMostLostNodes = 4096;

namespace {

/// Of one that has ended now, and not by the deadline that it was promised once: by how much, in whole
/// seconds, so that the text says no less. None: it was not promised any, or has ended by it.
std::optional<Happening> late_end(const JobRecord& job, const Event& event) {
  if (!job.is_deadline_missed || event.at_ms <= job.deadline_ms) return std::nullopt;
  return Happening{.what = "ended_late",
                   .job = job.id,
                   .by = event.by,
                   .value = std::to_string((event.at_ms - job.deadline_ms + 999) / 1000) + " s",
                   .at_ms = event.at_ms};
}

}  // namespace

bool Ledger::apply(const Event& event) {
  const std::string job = job_of(event);  // before it is applied: a lease may be gone afterwards
  auto happening = describe(event);
  if (!std::visit([&](const auto& body) { return on(event, body); }, event.body)) return false;
  newest_ms_ = std::max(newest_ms_, event.at_ms);
  if (happening) history_.add(*std::move(happening));
  if (job.empty() || std::holds_alternative<JobForgotten>(event.body)) return true;
  index_.mark(job);
  const auto* changed = std::get_if<JobStateChanged>(&event.body);
  if (changed == nullptr || !is_end(changed->state)) return true;
  index_.mark_dependents(job);
  if (auto late = late_end(*find(job), event)) history_.add(*std::move(late));
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

/// Jobs are often submitted by the thousand with one text, which is read and kept once. None: it is wrong.
std::shared_ptr<const Ledger::JobSource> Ledger::find_or_read_source(const std::string& text,
                                                                     const std::string& directory) {
  if (auto known = find_source(text, directory)) return known;
  auto parsed = parse_job_file(text, directory);
  auto* job_file = std::get_if<ParsedJob>(&parsed);
  return job_file == nullptr ? nullptr : keep_source(text, directory, std::move(job_file->spec));
}

LedgerIndex::JobKeys Ledger::keys_of(const JobRecord& job) const {
  const bool has_roles = job.spec->count_of(Role::server) + job.spec->count_of(Role::shard) > 0;
  return {job.id, job.spec->name, job.depends_on, has_roles};
}

void Ledger::index(const JobRecord& job) {
  index_.add_job(keys_of(job));
}

JobRecord* Ledger::active(std::string_view job) {
  const auto found = jobs_.find(job);
  return found == jobs_.end() || is_end(found->second.state) ? nullptr : &found->second;
}

JobRecord Ledger::record_of(const JobSubmitted& body, const std::shared_ptr<const JobSource>& source,
                            std::int64_t at_ms) const {
  JobRecord record;
  record.id = body.job;
  record.directory = body.directory;
  record.spec = {source, &source->spec};
  record.text = {source, &source->text};
  record.priority = record.spec->priority;
  record.key = body.key;
  record.file = body.file;
  record.depends_on = body.depends_on;
  record.order = next_order_;
  record.submitted_ms = at_ms;
  return record;
}

JobRecord Ledger::draft(const JobSubmitted& body, const JobSpec& spec, std::int64_t at_ms) const {
  return record_of(body, std::make_shared<const JobSource>(JobSource{body.text, spec}), at_ms);
}

bool Ledger::on(const Event& event, const JobSubmitted& body) {
  if (body.job.empty() || jobs_.contains(body.job) || keys_.contains(body.key) || is_forgotten_key(body.key))
    return false;
  const auto source = find_or_read_source(body.text, body.directory);
  if (source == nullptr) return false;
  auto record = record_of(body, source, event.at_ms);
  ++next_order_;
  if (!body.key.empty()) keys_.emplace(body.key, body.job);
  const JobRecord& job = jobs_.emplace(body.job, std::move(record)).first->second;
  counts_.add(*job.spec, job.state);
  index(job);
  return true;
}

bool Ledger::on(const Event&, const JobSubmittedAgain& body) {
  auto* job = active(body.job);
  if (job == nullptr || body.key.empty() || keys_.contains(body.key) || is_forgotten_key(body.key))
    return false;
  keys_.emplace(body.key, body.job);
  job->later_keys.push_back(body.key);
  job->crashes_in_a_row = 0;  // its owner has looked at it
  job->retry_at_ms = 0;
  if (job->later_keys.size() <= kMostLaterKeys) return true;
  keys_.erase(job->later_keys.front());
  forget_key(job->later_keys.front());
  job->later_keys.erase(job->later_keys.begin());
  return true;
}

bool Ledger::on(const Event& event, const GenerationFormed& body) {
  auto* job = active(body.job);
  if (job == nullptr || body.generation <= job->generation) return false;
  if (job->spec->kind == JobKind::command) job->runs.begin(event.at_ms);
  job->generation = body.generation;
  job->is_restart_due = false;
  if (job->spec->serve) {  // also those that leave: their leases end when they are no members any more
    note_sound_runs(job->members);
    note_sound_runs(body.members);
  }
  job->members = body.members;
  job->servers = body.servers;
  job->finished.clear();
  for (auto& line : job->lines) {
    const bool is_there = std::ranges::any_of(body.members, [&](std::uint64_t worker) {
      const auto lease = leases_.find(worker);
      return lease != leases_.end() && lease->second.version == line.version;
    });
    if (!is_there) continue;
    if (line.former() == 0 && job->stand_in_for(line) == 0) {
      line.on_proved();  // the first of all: there is none to go back to anyway
    } else {
      line.on_ready();
    }
  }
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
  counts_.move(*job->spec, job->state, body.state);
  job->state = body.state;
  job->reason = body.reason;
  if (is_end(body.state)) job->crash_text = {};
  if (has_no_gang(body.state)) forget_run(*job, event.at_ms);
  if (body.state == JobState::starting) {
    job->has_to_start_again = false;
    if (job->started_ms == 0) job->started_ms = event.at_ms;
  }
  if (is_end(body.state)) {
    job->ended_ms = event.at_ms;
    index_end(*job);
    // Nobody may have looked at it between its deadline and its end.
    const bool was_promised = job->has_promise || !job->broken_promise.empty();
    if (was_promised && event.at_ms > job->deadline_ms) job->is_deadline_missed = true;
    end_promise(*job);
    if (body.state != JobState::succeeded) drop_due_restart(*job);  // else others went on without that worker
    job->curve.reset();
    history_.end_job(body.job);
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
  end_promise(*job);
  return true;
}

bool Ledger::on(const Event&, const ResumeRequested& body) {
  auto* job = active(body.job);
  if (job == nullptr || !job->pause_requested) return false;
  job->pause_requested = false;
  return true;
}

bool Ledger::on(const Event& event, const NodeJoined& body) {
  if (body.node.empty() || !joined_.try_emplace(body.node, event.at_ms).second) return false;
  lost_.erase(body.node);
  return true;
}

bool Ledger::on(const Event& event, const NodeLost& body) {
  if (joined_.erase(body.node) == 0) return false;
  lost_[body.node] = event.at_ms;
  if (lost_.size() > kMostLostNodes)
    lost_.erase(std::ranges::min_element(lost_, {}, &NodeMoments::value_type::second));
  return true;
}

bool Ledger::on(const Event& event, const NodeDrained& body) {
  return !body.node.empty() && drained_.try_emplace(body.node, NodeClosure{event.at_ms, body.why}).second;
}

bool Ledger::on(const Event& event, const NodeQuarantined& body) {
  return !body.node.empty() && quarantined_.try_emplace(body.node, NodeClosure{event.at_ms, body.why}).second;
}

bool Ledger::on(const Event& event, const NodeCordoned& body) {
  return !body.node.empty() && cordoned_.try_emplace(body.node, NodeClosure{event.at_ms, event.why}).second;
}

bool Ledger::on(const Event&, const QuarantineLifted& body) {
  return quarantined_.erase(body.node) == 1;
}

bool Ledger::on(const Event&, const NodeUndrained& body) {
  const auto closures =
      drained_.erase(body.node) + quarantined_.erase(body.node) + cordoned_.erase(body.node);
  if (closures > 0) {
    // All of those jobs: who crashed on another node too has accused neither, and does not from now on.
    std::set<std::string> accusers;
    for (const auto& crash : early_crashes_) {
      if (crash.node == body.node) accusers.insert(crash.job);
    }
    std::erase_if(early_crashes_, [&](const auto& crash) { return accusers.contains(crash.job); });
  }
  forget_sound_runs();
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
  counts_.move(*job.spec, job.state, JobState::queued);
  job.state = JobState::queued;
  job.reason = event.why;
  forget_end(job);
  job.ended_ms = 0;
  job.cancel_requested = job.pause_requested = job.time_is_up = false;
  job.ran_before_ms = job.crashed_ms = 0;
  job.attained_before_slot_s = 0;
  job.deadline_ms = job.starts_by_ms = 0;
  job.broken_promise = {};
  job.is_deadline_missed = false;
  job.crashes_in_a_row = 0;
  job.retry_at_ms = 0;
  job.runs = {};
  forget_removed(job);
  follow_tags(job);
  learn_curve(job);
  index(job);
  history_.retry_job(body.job);
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
  const auto most = job->wanted().max;
  job->scaled = wanted;
  job->had = std::min(job->had, wanted.max);
  if (job->spec->kind == JobKind::command && wanted.max != most) job->runs.is_raised = wanted.max > most;
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

bool Ledger::on(const Event&, const DeadlinePromised& body) {
  auto* job = active(body.job);
  if (job == nullptr || job->has_promise || job->workers > 0) return false;
  if (job->started_ms != 0 && !job->has_given_promise_up()) return false;
  job->has_to_start_again = job->started_ms != 0;
  job->deadline_ms = body.deadline_ms;
  job->starts_by_ms = body.starts_by_ms;
  job->has_promise = true;
  promised_.insert(body.job);
  return true;
}

bool Ledger::on(const Event& event, const DeadlineMissed& body) {
  auto* job = active(body.job);
  if (job == nullptr) return false;
  const bool has_passed = event.at_ms > job->deadline_ms;
  const bool is_news = has_passed && !job->broken_promise.empty() && !job->is_deadline_missed;
  if (!job->has_promise && !is_news) return false;
  if (job->has_promise) job->broken_promise = event.why.empty() ? "it is broken" : event.why;
  job->is_deadline_missed = has_passed;
  end_promise(*job);
  return true;
}

bool Ledger::on(const Event&, const HeadStarted&) {
  ++starts_;
  return true;
}

bool Ledger::on(const Event&, const TenantsChanged& body) {
  if (body.text == (body.at_start ? tenants_at_start_ : tenants_text_) || !set_tenants(body.text))
    return false;
  if (body.at_start) tenants_at_start_ = body.text;
  return true;
}

/// False: it is wrong.
bool Ledger::set_tenants(const std::string& text) {
  TenantTree tenants;
  if (!text.empty()) {
    auto parsed = parse_tenant_file(text);
    if (!std::holds_alternative<TenantTree>(parsed)) return false;
    tenants = std::get<TenantTree>(std::move(parsed));
  }
  tenants_ = std::move(tenants);
  tenants_text_ = text;
  return true;
}

void Ledger::end_promise(JobRecord& job) {
  job.has_promise = job.has_to_start_again = false;
  promised_.erase(job.id);
}

/// No restart has followed the last crash, and none will.
void Ledger::drop_due_restart(JobRecord& job) {
  if (job.is_restart_due && job.restarts > 0) --job.restarts;
  job.is_restart_due = false;
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
  return named(name_or_id);
}

std::vector<const JobRecord*> Ledger::named(std::string_view name) const {
  std::vector<const JobRecord*> found;
  for (const auto& id : index_.named(name)) found.push_back(find(id));
  return found;
}

std::vector<const JobRecord*> prefer_living(std::vector<const JobRecord*> found) {
  const auto is_living = [](const JobRecord* job) { return !is_end(job->state); };
  if (std::ranges::count_if(found, is_living) == 1) std::erase_if(found, std::not_fn(is_living));
  return found;
}

}  // namespace ds::scheduler
