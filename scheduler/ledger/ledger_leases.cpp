// What events about leases do to a ledger, and who has which.
#include "scheduler/ledger/ledger.hpp"

#include <algorithm>
#include <chrono>
#include <functional>

namespace ds::scheduler {
namespace {

/// From now on it has another number of workers.
void attain(JobRecord& job, std::int64_t at_ms) {
  job.attained_before_slot_s = job.attained_slot_s(at_ms);
  job.attained_to_ms = at_ms;
}

/// A rank of a command, by itself.
bool has_ended(const JobRecord& job, std::uint64_t worker) {
  return std::ranges::find(job.finished, worker) != job.finished.end();
}

/// The program, which may have started again and again while its worker stayed; or the model is served.
bool is_sound(const JobRecord& job, const Lease& lease, std::int64_t now_ms) {
  if (job.spec->serve) return std::ranges::find(job.members, lease.worker) != job.members.end();
  if (job.runs.since_ms == 0) return false;
  const auto since_ms = std::max(lease.since_ms, job.runs.since_ms);
  return now_ms - since_ms >= std::chrono::milliseconds(kSoonAfterStart).count();
}

}  // namespace

bool Ledger::has_crashed_early(std::string_view job) const {
  return std::ranges::any_of(early_crashes_,
                             [&](const auto& crash) { return crash.is_program && crash.job == job; });
}

void Ledger::note_sound_run(const Lease& lease) {
  if (!early_crashes_.empty() && lease.role == Role::worker && has_crashed_early(lease.job))
    sound_runs_.insert({lease.node, lease.job});
}

void Ledger::note_sound_runs(const std::vector<std::uint64_t>& workers) {
  for (const auto worker : workers) {
    if (const auto lease = leases_.find(worker); lease != leases_.end()) note_sound_run(lease->second);
  }
}

void Ledger::forget_sound_runs() {
  std::erase_if(sound_runs_, [this](const auto& run) { return !has_crashed_early(run.job); });
}

std::set<SoundRun> Ledger::sound_runs(std::int64_t now_ms) const {
  std::set<SoundRun> sound = sound_runs_;
  std::set<std::string_view> accusers;
  for (const EarlyCrash& crash : early_crashes_) {
    if (crash.is_program) accusers.insert(crash.job);
  }
  for (const auto job : accusers) {
    for (const auto worker : index_.workers_of(job)) {
      const Lease& lease = leases_.at(worker);
      if (is_sound(jobs_.find(job)->second, lease, now_ms)) sound.insert({lease.node, lease.job});
    }
  }
  return sound;
}

std::string Ledger::crashed_early_on(const JobRecord& job) const {
  if (early_crashes_.empty()) return {};
  const auto last = std::find_if(early_crashes_.rbegin(), early_crashes_.rend(),
                                 [&](const auto& crash) { return crash.job == job.id; });
  return last == early_crashes_.rend() ? std::string() : last->node;
}

bool Ledger::on(const Event& event, const LeaseGranted& body) {
  auto* job = active(body.job);
  if (job == nullptr || job->cancel_requested || job->pause_requested || job->time_is_up) return false;
  if (body.worker < next_worker_ || !may_have_devices(*job, body)) return false;
  if (body.role == Role::worker) end_run(*job, event.at_ms, false);
  if (body.role == Role::worker) attain(*job, event.at_ms);
  if (body.role == Role::worker && job->workers++ == 0) job->gang_since_ms = event.at_ms;
  if (job->spec->serve && body.role == Role::worker)
    job->had = job->workers == 1 ? 1 : std::max(job->had, std::min(job->workers, job->replicas()));
  if (body.version != 0) ++job->live[body.version];
  const Lease& lease = leases_[body.worker] = {
      body.worker,       body.job,         body.node, body.slots,  body.memory_bytes, false,       body.role,
      job->spec->tenant, job->spec->queue, false,     event.at_ms, body.devices,      body.version};
  index_.add_lease(lease);
  count_use(lease, event.at_ms, true);
  accounts_.begin(event.at_ms);
  next_worker_ = body.worker + 1;
  return true;
}

/// As many as its workers need, and none that another lease has.
bool Ledger::may_have_devices(const JobRecord& job, const LeaseGranted& body) const {
  if (body.devices.size() != (body.role == Role::worker ? job.spec->resources.gpus : 0)) return false;
  const auto& taken = index_.devices_on(body.node);
  return std::ranges::none_of(body.devices, [&](std::uint32_t device) { return taken.contains(device); }) &&
         std::ranges::adjacent_find(body.devices, std::greater_equal()) == body.devices.end();
}

bool Ledger::on(const Event& event, const LeaseReleasing& body) {
  const auto found = leases_.find(body.worker);
  if (found == leases_.end()) return false;
  Lease& lease = found->second;
  if (lease.releasing && (lease.at_once || !body.at_once)) return false;
  lease.at_once = body.at_once;
  if (lease.releasing) return true;
  lease.releasing = true;
  end_run(event, lease);
  count_out(lease, event.at_ms);
  return true;
}

/// Its worker is told to leave. Only a plan changes a gang's size; where a node is drained the gang has no
/// choice. A rank that has ended is missed by no other: the program goes on.
void Ledger::end_run(const Event& event, const Lease& leaving) {
  if (leaving.role != Role::worker) return;
  JobRecord& job = jobs_.find(leaving.job)->second;
  if (has_ended(job, leaving.worker)) return;
  const bool is_drained = drained_.contains(leaving.node);
  if (is_drained) forget_run(job, event.at_ms);
  const bool is_resize = event.by == "scheduler" && !is_drained;
  is_resize ? end_run(job, event.at_ms, true) : job.runs.end();
}

/// One of its workers comes or is told to leave. That it ends, pauses or is stopped whole, or that its owner
/// wants another size, is no loss that it has a right to be spared another time.
void Ledger::end_run(JobRecord& job, std::int64_t at_ms, bool is_shrunk) const {
  const bool is_whole = is_end(job.state) || is_waiting(job.state) || job.pause_requested ||
                        job.cancel_requested || job.time_is_up;
  const bool is_owners_will = is_shrunk ? job.workers > job.wanted().max : job.workers < job.wanted().min;
  is_whole || is_owners_will ? job.runs.end() : job.runs.lose(at_ms, is_shrunk);
}

/// A program that has to begin anew, though not by its own fault, has its whole `time_limit` for that. Not
/// where a plan makes its gang larger or smaller: by then its slots may be promised to others.
void Ledger::forget_run(JobRecord& job, std::int64_t at_ms) {
  if (job.spec->kind != JobKind::command || is_end(job.state)) return;
  job.ran_before_ms += job.crashed_ms - job.run_ms(at_ms);
}

/// The lease's job has one worker less.
void Ledger::count_out(const Lease& lease, std::int64_t at_ms) {
  if (lease.role != Role::worker) return;
  JobRecord& job = jobs_.find(lease.job)->second;
  attain(job, at_ms);
  if (job.workers == 1) job.ran_before_ms = job.run_ms(at_ms);
  --job.workers;
  if (job.workers == 0 && has_no_gang(job.state)) forget_run(job, at_ms);
  const auto live = job.live.find(lease.version);
  if (live != job.live.end() && --live->second == 0) job.live.erase(live);
}

/// Anybody may name a new tenant as long as there are none: of too many the one that has used least lately.
void Ledger::forget_an_idle_use(const DecayedUse& newest, std::int64_t at_ms) {
  if (uses_.size() <= std::max(kMaxUses, tenants_.queues.size())) return;
  auto least = uses_.end();
  double fewest = 0;
  for (auto one = uses_.begin(); one != uses_.end(); ++one) {
    if (&one->second == &newest || one->second.slots_now > 0) continue;
    DecayedUse then = one->second;
    then.advance(at_ms);
    if (least != uses_.end() && then.slots >= fewest) continue;
    least = one;
    fewest = then.slots;
  }
  if (least != uses_.end()) uses_.erase(least);
}

void Ledger::count_use(const Lease& lease, std::int64_t at_ms, bool more) {
  if (lease.role != Role::worker) return;
  const auto [at, is_new] = uses_.try_emplace({lease.tenant, lease.queue});
  DecayedUse& use = at->second;
  if (is_new) forget_an_idle_use(use, at_ms);
  use.advance(at_ms);
  use.slots_now = more ? use.slots_now + lease.slots : use.slots_now - lease.slots;
  use.memory_now = more ? use.memory_now + lease.memory_bytes : use.memory_now - lease.memory_bytes;
  use.gpus_now = more ? use.gpus_now + lease.devices.size() : use.gpus_now - lease.devices.size();
}

bool Ledger::on(const Event& event, const LeaseEnded& body) {
  const auto found = leases_.find(body.worker);
  if (found == leases_.end()) return false;
  JobRecord& job = jobs_.find(found->second.job)->second;
  if (is_sound(job, found->second, event.at_ms)) note_sound_run(found->second);
  if (!found->second.releasing) {
    const bool is_missed = found->second.role == Role::worker && !has_ended(job, body.worker);
    if (is_missed) job.runs.end();
    if (is_missed && event.by == "head")
      forget_run(job, event.at_ms);  // with its node; else it has ended itself
    count_out(found->second, event.at_ms);
  }
  count_use(found->second, event.at_ms, false);
  accounts_.begin(event.at_ms);  // of a snapshot without accounts
  accounts_.add(found->second, event.at_ms);
  index_.remove_lease(found->second);
  leases_.erase(found);
  return true;
}

UseAccounts Ledger::used_by_queues(std::int64_t now_ms) const {
  UseAccounts accounts = accounts_.of_queues();
  for (const auto& [worker, lease] : leases_) accounts.add(lease, now_ms);
  return accounts;
}

Use Ledger::used_by(const JobRecord& job, std::int64_t now_ms) const {
  Use use = accounts_.of_job(job.id);
  for (const auto worker : index_.workers_of(job.id)) {
    const Lease& lease = leases_.at(worker);
    if (lease.role == Role::worker) use += use_between(lease, 0, now_ms);
  }
  return use;
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

}  // namespace ds::scheduler
