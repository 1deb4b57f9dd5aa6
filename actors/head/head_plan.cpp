// The policy: what the planner is told, and what becomes of its plans.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "actors/head/awaited_nodes.hpp"
#include "actors/head/head_actor.hpp"
#include "actors/head/quota_check.hpp"
#include "scheduler/policy/gpu_kind.hpp"
#include "scheduler/policy/start_conditions.hpp"
#include "scheduler/policy/wait_reasons.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

constexpr std::chrono::milliseconds kPlanPause{5};  ///< between the end of a plan and the next
constexpr std::size_t kMaxExplainedAtOnce = 1'000;  ///< jobs, for all who want numbers of them
constexpr const char* kQuotaCode = "quota_tenant";  ///< of why a job waits
constexpr std::int64_t kLookAgainMs = 1'000;        ///< at jobs whose growth waits for what no event tells
constexpr double kLongestS = 365.0 * 86'400;        ///< that a job is thought to have left

/// As it gains by them, in words.
std::string describe_change(const SizeChange& change) {
  const char* known = change.is_known ? "by what it has measured" : "if it scales; not measured yet";
  if (change.to > change.from)
    return fmt::format("grew from {} to {} workers: {:.2f} times as fast {}", change.from, change.to,
                       change.speed, known);
  if (!change.because.empty())
    return fmt::format("gave {} of {} workers to job {}: {}", change.from - change.to, change.from,
                       change.in_favour_of, change.because);
  return fmt::format(
      "gave {} of {} workers {}: {:.2f} times as fast without, by what it has measured",
      change.from - change.to, change.from,
      change.in_favour_of.empty() ? "back" : "to job " + change.in_favour_of + ", which gains more by it",
      change.speed);
}

/// Why a worker leaves its node, or starts on one, for a job that waits; null: for another reason.
const Relocation* find_relocation(const Plan& plan, std::uint64_t worker) {
  const auto found = std::ranges::find_if(
      plan.relocations, [&](const Relocation& one) { return one.has_begun && one.worker == worker; });
  return found == plan.relocations.end() ? nullptr : &*found;
}
const Relocation* find_relocation(const Plan& plan, const Placement& placement) {
  const auto found = std::ranges::find_if(plan.relocations, [&](const Relocation& one) {
    return one.has_begun && one.job == placement.job && one.to == placement.node;
  });
  return found == plan.relocations.end() ? nullptr : &*found;
}

/// Of what holds it whatever is free (`Waits::lasting`).
std::string lasting_hold(const JobRecord& job, const Reason& hold) {
  return hold.code == kBeginTimeCode ? begin_time_text(job.begins_ms()) : hold.text;
}

/// Of the job that loses workers, or gets some; null: nothing was compared.
const SizeChange* find_change(const Plan& plan, const std::string& job) {
  const auto found = std::ranges::find(plan.resizes, job, &SizeChange::job);
  return found == plan.resizes.end() ? nullptr : &*found;
}

}  // namespace

void Head::schedule_soon() {
  if (schedule_is_due_) return;
  schedule_is_due_ = true;
  // Events that arrive together are planned for together; one that comes alone doesn't wait for others.
  const auto rest = scheduled_at_ + kPlanPause - clock().now();
  Run plan{[](Head& head) { head.schedule(); }};
  if (rest.count() <= 0) return send(this, std::move(plan));
  delayed_send(this, rest, std::move(plan));
}

void Head::schedule() {
  schedule_is_due_ = false;
  const auto start = std::chrono::steady_clock::now();
  tell_planner();
  // What has ended while no head ran its node has yet to say: that is not overdue.
  if (!in_grace_ && is_settled_) {
    for (const std::string& id : std::exchange(unseen_, {})) {
      cancel_if_dependency_broke(id);
      stop_if_overdue(id);
      note_if_missed(id);
    }
  }
  quarantine_nodes();
  tell_planner();
  if (!in_grace_) {  // else the slots of nodes that aren't back aren't known to be free
    plan_and_carry_out();
    if (!short_programs_.empty()) {
      tell_planner();
      give_up_short_programs();
    }
  }
  counters_.cycle.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  scheduled_at_ = clock().now();
  look_at_drafts();
}

/// Replicas are as many as their load asks for.
bool Head::goes_by_attained(const JobRecord& job) const {
  return parts_.growth == GrowthRule::least_attained && !job.spec->serve;
}

/// A job that trains does not get another worker while the last one's trouble is fresh. True: it is limited
/// until something of which no event tells; when it has rested is known.
bool Head::limit_growth(const JobRecord& record, Demand& demand) const {
  const bool grows_by_gain = parts_.growth != GrowthRule::fair;
  if (!grows_by_gain) {
    demand.curve = nullptr;
    demand.is_settled = false;
  }
  if (goes_by_attained(record)) demand.weight = weight_by_attained(record.attained_slot_s(now_ms()));
  const auto job = jobs_.find(record.id);
  if (job == jobs_.end()) return false;
  const double left_s = record.left_s(job->second.live.step);
  demand.left_s = grows_by_gain ? left_s : 0;
  if (left_s > 0 && !record.may_stop_early())
    demand.likely_ends_ms = now_ms() + static_cast<std::int64_t>(1000 * std::min(left_s, kLongestS));
  job->second.size_rest.limit(demand, record.workers, now_ms());
  if (job->second.spare_starts.may_start(now_ms()) && !is_growth_untimely(record.id)) return false;
  const auto most = demand.workers.max;
  const bool can_relocate = demand.can_relocate;
  demand.can_relocate = false;
  if (record.spec->serve && record.workers > 0)  // each replica is wanted by itself
    demand.workers.min = std::min(demand.workers.min, record.workers);
  const bool is_too_soon = !job->second.spare_starts.may_start(now_ms());
  if (is_too_soon && !record.spec->serve && record.workers < demand.workers.min && has_enough_trained(record))
    record.workers > 0 ? void(demand.workers.min = record.workers) : void(demand.held = true);
  demand.workers.max = std::clamp(record.workers, demand.workers.min, demand.workers.max);
  return demand.workers.max < most || demand.can_relocate != can_relocate;
}

void Head::tell_planner() {
  const auto now = now_ms();
  auto changed = ledger_.take_changed();
  for (auto& id : wakeups_.take_due(now)) changed.insert(std::move(id));
  for (const std::string& id : changed) {
    const auto* record = ledger_.find(id);
    if (record == nullptr) continue;
    note_waiting(*record);
    auto demand = ledger_.demand(*record, now);
    auto next = ledger_.next_change_ms(*record, now);
    if (demand) {
      const bool is_limited = limit_growth(*record, *demand);
      // What is left to do only gets less: what still pays is looked at again when it is half.
      const auto left_ms = demand->likely_ends_ms > 0 ? static_cast<double>(demand->likely_ends_ms - now)
                           : demand->curve            ? demand->left_s * 1000
                                                      : 0;
      const auto half_ms = std::max(kLookAgainMs, static_cast<std::int64_t>(left_ms / 2));
      if (left_ms > 0 && (next == 0 || next > now + half_ms)) next = now + half_ms;
      if (goes_by_attained(*record) && record->workers > 0) {
        const double had = record->attained_slot_s(now);
        const double slots = (record->workers * record->spec->resources.cpus).number();
        const auto less_ms =
            static_cast<std::int64_t>(1000 * (next_lower_weight_slot_s(had) - had) / slots) + 1;
        if (next == 0 || next > now + less_ms) next = now + less_ms;
      }
      const auto live = jobs_.find(id);
      const auto rests_until_ms = live == jobs_.end() ? 0 : live->second.size_rest.until_ms();
      if (rests_until_ms > now && (next == 0 || next > rests_until_ms)) next = rests_until_ms;
      if (is_limited && (next == 0 || next > now + kLookAgainMs)) next = now + kLookAgainMs;
    }
    wakeups_.set(id, next);
    record->workers > record->wanted().max ? void(overfull_.insert(id)) : void(overfull_.erase(id));
    planner_.set_job(id, std::move(demand), ledger_.leases_of(id));
  }
  unseen_.merge(std::move(changed));
  if (!changed_nodes_) planner_.set_nodes(view_nodes());
  std::vector<NodeView> nodes;
  std::vector<std::string> gone;
  for (const auto& name :
       std::exchange(changed_nodes_, std::set<std::string>()).value_or(std::set<std::string>())) {
    auto view = view_for_planner(name);
    view ? nodes.push_back(*std::move(view)) : gone.push_back(name);
  }
  planner_.change_nodes(std::move(nodes), gone);
}

void Head::on_node_changed(const std::string& name) {
  if (changed_nodes_) changed_nodes_->insert(name);
  schedule_soon();
}

/// None: nothing is known of it.
std::optional<NodeView> Head::view_for_planner(const std::string& name) const {
  if (const auto up = nodes_.find(name); up != nodes_.end()) {
    const Node& node = up->second;
    const bool is_open = node.strangers.empty() && !is_closed(name);
    const bool may_be_opened = is_closed(name) && !node.leaves;
    return NodeView{name,         node.entry.slots,         node.entry.memory_bytes,
                    is_open,      node.entry.usable_gpus(), node.entry.gpu_kind(),
                    may_be_opened};
  }
  if (const NodeEntry* entry = away_.find(name))
    return NodeView{name, entry->slots, entry->memory_bytes, false, entry->usable_gpus(), entry->gpu_kind()};
  // It may come back with its workers.
  return ledger_.leases_on(name).empty() ? std::nullopt : std::optional(NodeView{name, 0, 0, false});
}

std::vector<NodeView> Head::view_nodes() const {
  std::set<std::string> names;
  for (const auto& [name, node] : nodes_) names.insert(name);
  for (const auto& [name, node] : away_.all()) names.insert(name);
  for (auto& name : ledger_.leased_nodes()) names.insert(std::move(name));
  std::vector<NodeView> views;
  for (const auto& name : names) views.push_back(*view_for_planner(name));
  return views;
}

Waits Head::waits_of(const JobRecord& job) {
  if (is_end(job.state)) return {};
  auto holds = ledger_.holds(job, now_ms());
  if (!holds.empty()) {
    auto lasting = lasting_hold(job, holds.front());
    return {std::move(holds), std::move(lasting)};
  }
  if (in_grace_) return is_waiting(job.state) ? Waits{{wait_for_nodes()}, kAwaitsNodes} : Waits{};
  tell_planner();
  const std::string id = job.id;
  auto waits = planner_.explain(std::span(&id, 1), ledger_.past_use(now_ms()), now_ms());
  if (waits.empty()) return {};
  if (lacks_only_news(job, waits.front().reasons)) return {{wait_for_nodes()}, kAwaitsNodes};
  for (auto& reason : waits.front().reasons) add_crash(reason, job.crash_text);
  auto lasting = waits.front().reasons.front().text;
  return {std::move(waits.front().reasons), std::move(lasting)};
}

bool Head::lacks_only_news(const JobRecord& job, std::span<const Reason> reasons) const {
  if (is_settled_ || find_lack_of_nodes(reasons) == nullptr) return false;
  const bool is_of_quota = std::ranges::find(reasons, kQuotaCode, &Reason::code) != reasons.end();
  return !is_of_quota || !is_beyond_quota(*job.spec, job.wanted().min, ledger_.tenants());
}

Reason Head::wait_for_nodes() const {
  const auto is_here = [this](const auto& name) { return nodes_.contains(name); };
  MissingNodes missing;
  for (const auto& [name, since_ms] : ledger_.joined()) {
    if (!is_here(name)) missing.joined.insert(name);
  }
  for (auto& name : ledger_.leased_nodes()) {
    if (!is_here(name)) missing.leased.insert(std::move(name));
  }
  return await_nodes(life(), missing);
}

void Head::note_waiting(const JobRecord& job) {
  if (!is_waiting(job.state)) return waiting_.remove(job.order);
  const auto holds = ledger_.holds(job, now_ms());
  waiting_.wait(job.id, job.order, holds.empty() ? std::string() : holds.front().code);
}

WaitCounts Head::wait_counts() {
  tell_planner();
  WaitCounts counts = waiting_.held();
  const auto ids = waiting_.first_for_room(kMaxExplainedAtOnce);
  if (ids.empty()) return counts;
  if (in_grace_) {
    counts[kAwaitsNodesCode] += ids.size();
    return counts;
  }
  for (const auto& wait : planner_.explain(ids, ledger_.past_use(now_ms()), now_ms())) {
    const bool is_news = lacks_only_news(*ledger_.find(wait.job), wait.reasons);
    ++counts[is_news ? kAwaitsNodesCode : wait.reasons.front().code];
  }
  return counts;
}

std::map<std::string, std::string> Head::first_reasons(const std::vector<std::string>& jobs, Coming coming) {
  std::map<std::string, std::string> reasons;
  std::vector<std::string> ids;
  for (const auto& id : jobs) {
    const auto& job = *ledger_.find(id);
    const auto holds = ledger_.holds(job, now_ms());
    holds.empty() ? ids.push_back(id) : void(reasons[id] = lasting_hold(job, holds.front()));
  }
  if (ids.empty()) return reasons;
  if (in_grace_) {
    for (const auto& id : ids) reasons[id] = kAwaitsNodes;
    return reasons;
  }
  tell_planner();
  for (auto& wait : planner_.explain(ids, ledger_.past_use(now_ms()), now_ms())) {
    if (coming == Coming::left_out && wait.room_is_coming) continue;
    const auto& job = *ledger_.find(wait.job);
    add_crash(wait.reasons.front(), job.crash_text);
    reasons[job.id] =
        lacks_only_news(job, wait.reasons) ? kAwaitsNodes : std::move(wait.reasons.front().text);
  }
  return reasons;
}

void Head::cancel_if_dependency_broke(const std::string& id) {
  const auto* job = ledger_.find(id);
  const auto culprit = job == nullptr ? std::nullopt : ledger_.broken_dependency(*job);
  if (!culprit) return;
  const auto* record = ledger_.find(*culprit);
  end_job(id, JobState::cancelled, "scheduler",
          fmt::format("job {}, which it depends on, {}", *culprit,
                      record == nullptr                      ? "is not known"
                      : record->state == JobState::cancelled ? "was cancelled"
                                                             : "failed"));
}

void Head::stop_if_overdue(const std::string& id) {
  const auto* job = ledger_.find(id);
  if (job == nullptr || !ledger_.is_overdue(*job, now_ms())) return;
  const std::string why = "time limit: it saves its last step and ends";
  spdlog::info("job {}: {}", id, why);
  release_workers(id, why,
                  {event("scheduler", why, TimeLimitReached{id}),
                   event("scheduler", why, JobStateChanged{id, JobState::resizing, why})});
}

void Head::plan_and_carry_out() {
  const auto planned = make_plan();
  const Plan& plan = planned.plan;
  std::set<std::string> touched;
  std::vector<Event> events;
  std::set<std::uint64_t> released;
  add_departures(planned, events);
  for (const auto& departure : planned.departures) {
    touched.insert(departure.job);
    released.insert(departure.worker);
    if (ledger_.drained().contains(ledger_.leases().at(departure.worker).node)) ++counters_.drained;
  }
  for (const auto& one : planned.over_quota) {
    if (std::ranges::find(planned.stopped, one.job) == planned.stopped.end()) ++counters_.shrunk;
  }
  for (const auto server : departing_servers()) {
    const Lease& lease = ledger_.leases().at(server);
    if (touched.contains(lease.job)) continue;  // first its workers
    events.push_back(
        event("scheduler", fmt::format("node {} is drained", lease.node), LeaseReleasing{server}));
    touched.insert(lease.job);
    released.insert(server);
    ++counters_.drained;
  }
  std::set<std::string> preempted;
  for (const auto& preemption : plan.preemptions) {
    const auto why = fmt::format("preempted: job {} comes first and needs the room", preemption.by);
    spdlog::info("job {}: {}", preemption.job, why);
    events.push_back(event("scheduler", why, JobStateChanged{preemption.job, JobState::preempted, why}));
    ++counters_.preempted;
    preempted.insert(preemption.job);
  }
  for (const auto& release : plan.releases) {
    const auto* change = find_change(plan, release.job);
    std::string why = change == nullptr ? "a job that comes first needs the room" : describe_change(*change);
    if (const auto* one = find_relocation(plan, release.worker)) {
      why = fmt::format("makes room for job {} on node {}: a newcomer on node {} takes over", one->by,
                        one->from, one->to);
      spdlog::info("job {}: worker {} {}", release.job, release.worker, why);
    }
    events.push_back(event("scheduler", why, LeaseReleasing{release.worker}));
    touched.insert(release.job);
    released.insert(release.worker);
    if (change == nullptr && !preempted.contains(release.job)) ++counters_.shrunk;
  }
  std::vector<Lease> granted;
  TakenDevices taken;
  const auto grant = [&](const std::string& job, const std::string& node, Role role,
                         const Resources& resources, const std::string& why) {
    const auto worker = ledger_.next_worker() + granted.size();
    const auto devices = take_devices(node, resources.gpus, taken);
    const auto version = role == Role::worker ? version_of_next(*ledger_.find(job), granted) : 0;
    events.push_back(event(
        "scheduler", why,
        LeaseGranted{worker, job, node, resources.cpus, resources.memory_bytes, role, devices, version}));
    granted.push_back({.worker = worker,
                       .job = job,
                       .node = node,
                       .slots = resources.cpus,
                       .memory_bytes = resources.memory_bytes,
                       .role = role,
                       .devices = devices,
                       .version = version});
    touched.insert(job);
  };
  for (const auto& placement : plan.placements) {
    const auto* job = ledger_.find(placement.job);
    if (is_waiting(job->state) && !touched.contains(placement.job)) {
      events.push_back(event("scheduler", "its gang has room",
                             JobStateChanged{placement.job, JobState::starting, "its workers start"}));
      if (job->started_ms == 0)
        counters_.job_wait.observe(static_cast<double>(now_ms() - job->submitted_ms) / 1000);
    }
    std::string why = "its workers fit there";
    if (const auto* change = find_change(plan, placement.job)) why += "; " + describe_change(*change);
    if (const auto* one = find_relocation(plan, placement))
      why = fmt::format("takes over on node {} what leaves node {}, where job {} gets room", one->to,
                        one->from, one->by);
    for (std::uint32_t i = 0; i < placement.count; ++i) {
      grant(placement.job, placement.node, Role::worker, job->spec->resources, why);
    }
  }
  for (const auto& placement : place_missing_roles(granted, released)) {
    grant(placement.job, placement.node, placement.role, {0, 0, 0, {}},
          fmt::format("its {} goes to node {}", to_string(placement.role), placement.node));
  }
  note_size_changes(plan);
  carry_out(std::move(events), granted);
  for (const auto& job : touched) {
    ensure_master(job, false);
    tell_leases(job);
  }
  release_needless_shards();
}

/// The lowest that nobody has. The planner counts them, so there are enough; else the ledger does not take
/// the grant.
std::vector<std::uint32_t> Head::take_devices(const std::string& node, std::uint32_t count,
                                              TakenDevices& taken) const {
  if (count == 0) return {};
  const auto [at, is_new] = taken.try_emplace(node);
  if (is_new) at->second = ledger_.devices_on(node);
  const auto devices = choose_devices(nodes_.at(node).entry.usable_gpus(), at->second, count);
  if (!devices) return {};
  at->second.insert(devices->begin(), devices->end());
  return *devices;
}

void Head::note_size_changes(const Plan& plan) {
  for (const auto& change : plan.resizes) {
    const auto job = jobs_.find(change.job);
    if (job == jobs_.end() || (!change.is_known && change.because.empty()))
      continue;  // that all may grow as before is no news
    job->second.size_note = describe_change(change);
    const auto* record = ledger_.find(change.job);
    if (record != nullptr && record->batches() > 1)
      job->second.size_note += fmt::format(", at {} samples a step", record->batch);
    job->second.size_noted = change.to;
    if (change.in_favour_of.empty()) job->second.size_rest.on_changed(change.from, change.to, now_ms());
    spdlog::info("job {}: {}", change.job, job->second.size_note);
  }
}

void Head::carry_out(std::vector<Event> events, const std::vector<Lease>& granted) {
  if (events.empty()) return;
  std::vector<std::uint64_t> orders;
  for (const auto& lease : granted) orders.push_back(lease.worker);
  commit(std::move(events), [this, orders = std::move(orders)] {
    for (const auto worker : orders) {
      const auto lease = ledger_.leases().find(worker);
      const auto* node = find_node_of(worker);
      if (node == nullptr || lease == ledger_.leases().end()) continue;  // went down meanwhile
      if (is_command(lease->second.job)) continue;                       // its gang starts it
      if (lease->second.releasing) {                                     // taken back before it was started
        end_leases({worker}, "it was not started");
        continue;
      }
      const std::string role =
          is_serve(lease->second.job) ? "replica" : std::string(to_string(lease->second.role));
      send(node->agent, messages::StartWorker{worker, lease->second.job, role, lease->second.devices});
      if (is_serve(lease->second.job)) prepare_nodes();
    }
  });
}

/// Parameter servers and data shards that jobs want and lack, with what the plan in hand grants and releases.
std::vector<RolePlacement> Head::place_missing_roles(const std::vector<Lease>& granted,
                                                     const std::set<std::uint64_t>& released) {
  auto roles = ledger_.role_demands(now_ms());
  std::erase_if(roles, [&](const RoleDemand& demand) {
    if (demand.role == Role::shard && !jobs_[demand.job].shard_starts.may_start(now_ms())) return true;
    const auto has = std::ranges::count_if(ledger_.leases_of(demand.job), [&](const Lease& lease) {
      return lease.role == demand.role && !lease.releasing && !released.contains(lease.worker);
    });
    return static_cast<std::uint64_t>(has) >= demand.count;
  });
  if (roles.empty()) return {};
  std::vector<Lease> leases;
  for (const auto& [worker, lease] : ledger_.leases()) {
    leases.push_back(lease);
    leases.back().releasing = lease.releasing || released.contains(worker);
  }
  leases.insert(leases.end(), granted.begin(), granted.end());
  return place_roles(view_nodes(), leases, roles);
}

/// Shards of a job without workers would only take memory; those on a drained node take nothing along.
void Head::release_needless_shards() {
  std::vector<std::pair<std::uint64_t, std::string>> needless;
  for (const auto& lease : ledger_.shard_leases()) {
    if (lease.releasing) continue;
    if (ledger_.find(lease.job)->workers == 0) {
      needless.emplace_back(lease.worker, "its job has no workers");
    } else if (ledger_.drained().contains(lease.node)) {
      needless.emplace_back(lease.worker, "its node is drained");
    }
  }
  for (const auto& [worker, why] : needless) kill_worker(worker, why);
}

}  // namespace ds::head
