// What a ledger tells the policy: which jobs may have workers now, and what keeps the others.
#include <algorithm>
#include <chrono>

#include "scheduler/ledger/ledger.hpp"
#include "scheduler/policy/start_conditions.hpp"
#include "scheduler/spec/scalars.hpp"

namespace ds::scheduler {

constexpr std::int64_t kMinimumRunMs = std::chrono::milliseconds(kMinimumRun).count();

namespace {

/// Not at a moment that comes yet: then the clock was set back.
bool is_within_minimum_run(std::int64_t since_ms, std::int64_t now_ms) {
  return now_ms >= since_ms && now_ms - since_ms < kMinimumRunMs;
}

}  // namespace

std::vector<PastUse> Ledger::past_use(std::int64_t now_ms) const {
  std::vector<PastUse> past;
  for (const auto& [names, use] : uses_) {
    DecayedUse now = use;
    now.advance(now_ms);
    past.push_back({names.first, names.second, now.slots, now.memory_bytes, now.gpus});
  }
  return past;
}

/// Replicas are no gang: each is wanted by itself, one after the other, and those that there are go on
/// without the rest. Of all that there are to be those are spare that need not be.
WorkerCount JobRecord::wanted() const {
  if (!spec->serve) return scaled.value_or(spec->workers);
  const std::uint32_t most = lines.empty() ? replicas() : most_replicas(versions(), live);
  return {workers < most ? workers + 1 : std::min(most, std::max(spec->workers.min, 1U)), most};
}

bool JobRecord::is_gang_whole() const {
  return state == JobState::running && !spec->serve && !members.empty() && workers >= members.size();
}

bool JobRecord::can_relocate() const {
  return spec->kind == JobKind::train && spec->preemptible && wanted().min < wanted().max;
}

bool JobRecord::restarts_when_resized() const {
  return spec->kind == JobKind::command && wanted().min < wanted().max;
}

std::uint32_t JobRecord::replicas() const {
  return scaled ? scaled->max : std::max(spec->workers.min, 1U);
}

VersionCounts JobRecord::versions() const {
  std::vector<VersionShare> shares;
  for (const auto& line : lines) shares.push_back({line.version, line.share});
  return share_replicas(shares, replicas());
}

std::uint64_t JobRecord::fallback_of(const ServedLine& line) const {
  const auto own = line.former();
  return own != 0 ? own : stand_in_for(line);
}

std::uint64_t JobRecord::stand_in_for(const ServedLine& line) const {
  if (line.good != 0) return line.good;
  const ServedLine* largest = nullptr;
  for (const ServedLine& other : lines) {
    const bool is_good = other.good != 0 && other.good != line.version;
    if (is_good && (largest == nullptr || other.share > largest->share)) largest = &other;
  }
  return largest == nullptr ? 0 : largest->good;
}

std::uint32_t JobRecord::least() const {
  const WorkerCount count = wanted();
  return spec->serve ? std::min(count.max, 1U) : count.min;
}

bool JobRecord::has_given_promise_up() const {
  const bool is_gone = deadline_ms != 0 && !has_promise && broken_promise.empty() && !is_deadline_missed;
  return is_gone && !time_is_up && !is_end(state);
}

std::int64_t JobRecord::lasts_ms() const {
  const std::int64_t limit_ms = spec->time_limit_ms;
  return limit_ms == 0 ? 0 : std::max<std::int64_t>(1, limit_ms - ran_before_ms);
}

std::int64_t JobRecord::latest_start_ms() const {
  return deadline_ms - lasts_ms();
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
  return find_measured(sizes, count);
}

double JobRecord::attained_slot_s(std::int64_t now_ms) const {
  // A clock that was set back takes nothing away.
  const std::int64_t since_ms = workers == 0 ? 0 : std::max<std::int64_t>(0, now_ms - attained_to_ms);
  return attained_before_slot_s +
         (workers * spec->resources.cpus).number() * static_cast<double>(since_ms) / 1000;
}

bool JobRecord::may_stop_early() const {
  return spec->early_stop.has_value() || spec->until.metric.has_value();
}

std::uint32_t JobRecord::batches() const {
  return batch == 0 ? 1 : static_cast<std::uint32_t>(batch / spec->batch.global);
}

double JobRecord::left_s(std::uint64_t at_step) const {
  const auto* now = size_measured(workers);
  const auto done = std::max(step, at_step);
  if (now == nullptr || total_steps == 0) return 0;
  return static_cast<double>(std::max<std::uint64_t>(1, total_steps - std::min(total_steps, done))) *
         now->with(batches()).step_s / batches();
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
  const bool is_young = job.workers > 0 && is_within_minimum_run(job.gang_since_ms, now_ms);
  const bool can_relocate = job.can_relocate();
  const std::int64_t limit = job.spec->time_limit_ms;
  const std::int64_t lasts_ms = job.lasts_ms();
  const bool restarts = job.restarts_when_resized();
  const std::int64_t left_ms = limit == 0 ? 0 : std::max<std::int64_t>(1, limit - job.run_ms(now_ms));
  const bool is_held = job.retry_at_ms > now_ms;
  Demand demand{job.id,
                job.order,
                job.wanted(),
                job.spec->resources.cpus,
                job.spec->resources.memory_bytes,
                is_held,
                job.priority,
                job.spec->preemptible,
                is_young,
                job.spec->tenant,
                job.spec->queue,
                job.curve,
                job.size_measured(job.workers) != nullptr,
                job.left_s(0),
                lasts_ms,
                limit == 0 || job.workers == 0 ? 0 : job.gang_since_ms + lasts_ms,
                job.spec->resources.gpus,
                job.spec->resources.gpu_kind,
                job.spec->placement,
                job.has_promise,
                job.spec->serve.has_value(),
                can_relocate,
                can_relocate && is_within_minimum_run(newest_since_ms(job), now_ms),
                restarts ? job.runs.next_size(job.workers, now_ms, left_ms) : 0,
                restarts && now_ms < job.runs.may_shrink_ms(),
                restarts && job.runs.shrunk_lost_ms > 0,
                is_held ? job.retry_at_ms : 0,
                is_held ? job.crashes_in_a_row : 0,
                job.spec->restart_limit,
                crashed_early_on(job)};
  if (job.has_promise) demand.starts_by_ms = job.starts_by_ms;
  // Its owner has made its minimum larger: what it has is of use until it has that.
  demand.works_with_fewer = demand.works_with_fewer || job.is_gang_whole();
  if (is_young) demand.young_until_ms = job.gang_since_ms + kMinimumRunMs;
  // One that is preemptible would have back before others what it has just given them.
  const std::uint32_t had = job.spec->preemptible ? 0 : job.had;
  demand.is_extra = job.spec->serve && job.workers >= std::max({job.spec->workers.min, had, 1U});
  return demand;
}

/// When the newest of its workers was granted; 0: it has none.
std::int64_t Ledger::newest_since_ms(const JobRecord& job) const {
  std::int64_t newest_ms = 0;
  for (const auto worker : index_.workers_of(job.id)) {
    const Lease& lease = leases_.at(worker);
    if (lease.role == Role::worker) newest_ms = std::max(newest_ms, lease.since_ms);
  }
  return newest_ms;
}

std::int64_t Ledger::next_change_ms(const JobRecord& job, std::int64_t now_ms) const {
  if (is_end(job.state)) return 0;
  std::int64_t next = 0;
  const auto consider = [&](std::int64_t at_ms) {
    if (at_ms > now_ms && (next == 0 || at_ms < next)) next = at_ms;
  };
  consider(job.retry_at_ms);
  if (job.started_ms == 0) consider(job.begins_ms());
  if (job.has_promise || !job.broken_promise.empty()) consider(job.deadline_ms + 1);
  if (job.has_promise) {
    if (job.awaits_promised_start()) consider(job.latest_start_ms() + 1);
    if (!job.awaits_promised_start() && job.workers < job.wanted().min)
      consider(job.deadline_ms - static_cast<std::int64_t>(job.spec->time_limit_ms) + job.run_ms(now_ms) + 1);
  }
  if (job.workers > 0) {
    consider(job.gang_since_ms + kMinimumRunMs);
    if (job.can_relocate()) consider(newest_since_ms(job) + kMinimumRunMs);
    if (job.restarts_when_resized()) {
      consider(job.runs.may_shrink_ms());
      consider(job.runs.may_grow_ms());
      // It grows by more and more at once, the longer it has run: what it may is looked at now and again.
      if (job.runs.may_grow_ms() <= now_ms && job.workers < job.wanted().max)
        consider(now_ms + std::max<std::int64_t>(1'000, job.runs.ran_ms(now_ms) / 4));
    }
    if (job.spec->time_limit_ms != 0)
      consider(job.gang_since_ms + std::max<std::int64_t>(0, job.spec->time_limit_ms - job.ran_before_ms));
  }
  return next;
}

std::optional<std::string> Ledger::find_missed(const JobRecord& job, std::int64_t now_ms) const {
  const bool is_broken = !job.broken_promise.empty();
  if (is_end(job.state) || job.is_deadline_missed || (!job.has_promise && !is_broken)) return std::nullopt;
  if (now_ms > job.deadline_ms) return "it has not ended by its deadline, " + to_time_text(job.deadline_ms);
  if (is_broken) return std::nullopt;
  if (job.awaits_promised_start() && now_ms > job.latest_start_ms())
    return "it was promised to start by " + to_time_text(job.starts_by_ms) +
           ", and now it is too late for its time_limit";
  // Nobody else is promised anything as long as it lacks workers.
  if (job.awaits_promised_start() || job.workers >= job.wanted().min) return std::nullopt;
  if (job.crashes_in_a_row > 1) return "it has crashed " + std::to_string(job.crashes_in_a_row) + " times";
  if (now_ms + static_cast<std::int64_t>(job.spec->time_limit_ms) - job.run_ms(now_ms) > job.deadline_ms)
    return "it lacks workers, and now it is too late for what is left of its time_limit";
  return std::nullopt;
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
