#include "scheduler/ledger/ledger.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {

bool Ledger::apply(const Event& event) {
  return std::visit([&](const auto& body) { return on(event, body); }, event.body);
}

JobRecord* Ledger::active(std::string_view job) {
  const auto found = jobs_.find(job);
  return found == jobs_.end() || is_end(found->second.state) ? nullptr : &found->second;
}

bool Ledger::on(const Event& event, const JobSubmitted& body) {
  if (body.job.empty() || jobs_.contains(body.job) || (!body.key.empty() && keys_.contains(body.key)))
    return false;
  auto parsed = parse_job_file(body.text, body.directory);
  auto* job_file = std::get_if<ParsedJob>(&parsed);
  if (job_file == nullptr) return false;
  JobRecord record;
  record.id = body.job;
  record.spec = std::move(job_file->spec);
  record.key = body.key;
  record.file = body.file;
  record.directory = body.directory;
  record.text = body.text;
  record.order = next_order_++;
  record.submitted_ms = event.at_ms;
  if (!body.key.empty()) keys_.emplace(body.key, body.job);
  jobs_.emplace(body.job, std::move(record));
  return true;
}

bool Ledger::on(const Event& event, const LeaseGranted& body) {
  auto* job = active(body.job);
  if (job == nullptr || job->cancel_requested || body.worker < next_worker_) return false;
  if (body.role == Role::worker && job->workers++ == 0) job->gang_since_ms = event.at_ms;
  const Lease& lease =
      leases_[body.worker] = {body.worker, body.job,  body.node,        body.slots,     body.memory_bytes,
                              false,       body.role, job->spec.tenant, job->spec.queue};
  count_use(lease, event.at_ms, true);
  next_worker_ = body.worker + 1;
  return true;
}

bool Ledger::on(const Event&, const LeaseReleasing& body) {
  const auto found = leases_.find(body.worker);
  if (found == leases_.end() || found->second.releasing) return false;
  found->second.releasing = true;
  count_out(found->second);
  return true;
}

/// The lease's job has one worker less.
void Ledger::count_out(const Lease& lease) {
  if (lease.role == Role::worker) --jobs_.find(lease.job)->second.workers;
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
  if (!found->second.releasing) count_out(found->second);
  count_use(found->second, event.at_ms, false);
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
  if (body.step > job->step) job->crashes_in_a_row = 0;
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
  if (is_end(body.state)) job->ended_ms = event.at_ms;
  return true;
}

bool Ledger::on(const Event&, const CancelRequested& body) {
  auto* job = active(body.job);
  if (job == nullptr || job->cancel_requested) return false;
  job->cancel_requested = true;
  return true;
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

bool Ledger::on(const Event&, const WorkerCrashed& body) {
  auto* job = active(body.job);
  if (job == nullptr) return false;
  ++job->restarts;
  if (body.in_a_row != job->crashes_in_a_row) job->crash_bound = next_worker_;
  job->crashes_in_a_row = body.in_a_row;
  job->retry_at_ms = body.retry_at_ms;
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
  for (const auto& [id, job] : jobs_) {
    if (job.spec.name == name_or_id) found.push_back(&job);
  }
  return found;
}

std::vector<Lease> Ledger::leases_of(std::string_view job) const {
  std::vector<Lease> found;
  for (const auto& [worker, lease] : leases_) {
    if (lease.job == job) found.push_back(lease);
  }
  return found;
}

std::vector<Lease> Ledger::leases_on(std::string_view node) const {
  std::vector<Lease> found;
  for (const auto& [worker, lease] : leases_) {
    if (lease.node == node) found.push_back(lease);
  }
  return found;
}

std::vector<Demand> Ledger::demands(std::int64_t now_ms) const {
  std::vector<Demand> wanted;
  for (const auto& [id, job] : jobs_) {
    if (is_end(job.state) || job.state == JobState::paused || job.cancel_requested) continue;
    const std::int64_t runs_ms = now_ms - job.gang_since_ms;  // below 0: the clock was set back
    const bool is_young =
        job.workers > 0 && runs_ms >= 0 && runs_ms < std::chrono::milliseconds(kMinimumRun).count();
    wanted.push_back({id, job.order, job.spec.workers, job.spec.resources.cpus,
                      job.spec.resources.memory_bytes, job.retry_at_ms > now_ms, job.spec.priority,
                      job.spec.preemptible, is_young, job.spec.tenant, job.spec.queue});
  }
  std::sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.order < b.order; });
  return wanted;
}

std::vector<RoleDemand> Ledger::role_demands(std::int64_t now_ms) const {
  std::vector<RoleDemand> wanted;
  for (const auto& demand : demands(now_ms)) {
    if (demand.held) continue;
    const JobSpec& spec = jobs_.find(demand.job)->second.spec;
    for (const Role role : {Role::server, Role::shard}) {
      if (const std::uint32_t count = spec.count_of(role); count > 0)
        wanted.push_back({demand.job, role, count});
    }
  }
  return wanted;
}

namespace {

using nlohmann::json;

json to_json(const JobRecord& job) {
  json evaluations = json::array();
  for (const auto& e : job.evaluations) {
    evaluations.push_back({e.step, e.loss, e.metrics, e.majority_accuracy});
  }
  return {{"id", job.id},
          {"key", job.key},
          {"file", job.file},
          {"directory", job.directory},
          {"text", job.text},
          {"order", job.order},
          {"submitted", job.submitted_ms},
          {"started", job.started_ms},
          {"ended", job.ended_ms},
          {"state", to_string(job.state)},
          {"reason", job.reason},
          {"cancel", job.cancel_requested},
          {"generation", job.generation},
          {"members", job.members},
          {"servers", job.servers},
          {"finished", job.finished},
          {"gang_since", job.gang_since_ms},
          {"step", job.step},
          {"total_steps", job.total_steps},
          {"steps_per_epoch", job.steps_per_epoch},
          {"checkpoint_step", job.checkpoint_step},
          {"restarts", job.restarts},
          {"crashes", job.crashes_in_a_row},
          {"crash_bound", job.crash_bound},
          {"retry_at", job.retry_at_ms},
          {"evaluations", evaluations}};
}

JobRecord job_from(const json& from) {
  JobRecord job;
  from.at("id").get_to(job.id);
  from.at("key").get_to(job.key);
  from.at("file").get_to(job.file);
  from.at("directory").get_to(job.directory);
  from.at("text").get_to(job.text);
  from.at("order").get_to(job.order);
  from.at("submitted").get_to(job.submitted_ms);
  from.at("started").get_to(job.started_ms);
  from.at("ended").get_to(job.ended_ms);
  job.state = job_state_from(from.at("state").get<std::string>()).value();
  from.at("reason").get_to(job.reason);
  from.at("cancel").get_to(job.cancel_requested);
  from.at("generation").get_to(job.generation);
  from.at("members").get_to(job.members);
  if (from.contains("servers")) from.at("servers").get_to(job.servers);
  if (from.contains("finished")) from.at("finished").get_to(job.finished);
  if (from.contains("gang_since")) from.at("gang_since").get_to(job.gang_since_ms);
  from.at("step").get_to(job.step);
  from.at("total_steps").get_to(job.total_steps);
  from.at("steps_per_epoch").get_to(job.steps_per_epoch);
  from.at("checkpoint_step").get_to(job.checkpoint_step);
  from.at("restarts").get_to(job.restarts);
  from.at("crashes").get_to(job.crashes_in_a_row);
  from.at("crash_bound").get_to(job.crash_bound);
  from.at("retry_at").get_to(job.retry_at_ms);
  for (const auto& e : from.at("evaluations")) {
    job.evaluations.push_back({job.id, e.at(0), e.at(1), e.at(2), e.at(3)});
  }
  job.spec = std::get<ParsedJob>(parse_job_file(job.text, job.directory)).spec;
  return job;
}

}  // namespace

std::string Ledger::snapshot() const {
  json jobs = json::array();
  for (const auto& [id, job] : jobs_) jobs.push_back(to_json(job));
  json leases = json::array();
  for (const auto& [worker, lease] : leases_) {
    leases.push_back({worker, lease.job, lease.node, lease.slots, lease.memory_bytes, lease.releasing,
                      to_string(lease.role)});
  }
  json uses = json::array();
  for (const auto& [names, use] : uses_) {
    uses.push_back({names.first, names.second, use.slots, use.memory_bytes, use.at_ms});
  }
  const json document{{"version", 1},
                      {"jobs", jobs},
                      {"uses", uses},
                      {"leases", leases},
                      {"next_order", next_order_},
                      {"next_worker", next_worker_}};
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<Ledger> Ledger::restore(std::string_view snapshot) {
  try {
    const auto document = json::parse(snapshot);
    if (document.at("version") != 1) return std::nullopt;
    Ledger ledger;
    for (const auto& entry : document.at("jobs")) {
      auto job = job_from(entry);
      if (!job.key.empty()) ledger.keys_.emplace(job.key, job.id);
      ledger.jobs_.emplace(job.id, std::move(job));
    }
    for (const auto& entry : document.at("leases")) {
      Lease lease{entry.at(0), entry.at(1), entry.at(2), entry.at(3), entry.at(4), entry.at(5)};
      if (entry.size() > 6) lease.role = role_from(entry.at(6).get<std::string>()).value();
      JobRecord& job = ledger.jobs_.at(lease.job);
      lease.tenant = job.spec.tenant;
      lease.queue = job.spec.queue;
      if (lease.role == Role::worker) {
        job.workers += lease.releasing ? 0 : 1;
        DecayedUse& use = ledger.uses_[{lease.tenant, lease.queue}];
        use.slots_now += lease.slots;
        use.memory_now += lease.memory_bytes;
      }
      ledger.leases_.emplace(lease.worker, lease);
    }
    if (document.contains("uses")) {
      for (const auto& entry : document.at("uses")) {
        DecayedUse& use = ledger.uses_[{entry.at(0), entry.at(1)}];
        entry.at(2).get_to(use.slots);
        entry.at(3).get_to(use.memory_bytes);
        entry.at(4).get_to(use.at_ms);
      }
    }
    document.at("next_order").get_to(ledger.next_order_);
    document.at("next_worker").get_to(ledger.next_worker_);
    return ledger;
  } catch (const std::exception&) {  // json's, or a job file that this version cannot read
    return std::nullopt;
  }
}

}  // namespace ds::scheduler
