// Replicas of models of the registry: from one version to another, one by one.
#include <fmt/format.h>

#include <algorithm>

#include "actors/head/head_actor.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

/// A replica more that finds no room for so long has none.
constexpr std::chrono::milliseconds kRoomPatience{3'000};
/// Replicas of a version that end by themselves before one was ready: it can't be served.
constexpr std::uint32_t kMostLoadCrashes = 3;

RolloutReplica::State state_of(std::uint64_t worker, const std::set<std::uint64_t>& ready,
                               const std::set<std::uint64_t>& unheard) {
  using State = RolloutReplica::State;
  return ready.contains(worker) ? State::ready : unheard.contains(worker) ? State::unheard : State::starting;
}

/// The line whose version that is, and that no replica has been ready with, while one was with another.
const ServedLine* find_new_line(const JobRecord& job, std::uint64_t version) {
  const auto found = std::ranges::find_if(job.lines, [version](const ServedLine& line) {
    return line.version == version && line.good != 0 && line.good != version;
  });
  return found == job.lines.end() ? nullptr : &*found;
}

}  // namespace

std::uint64_t Head::version_of_next(const JobRecord& job, const std::vector<Lease>& granted) const {
  if (job.lines.empty()) return 0;
  VersionCounts there = job.live;
  for (const auto& lease : granted) {
    if (lease.job == job.id) ++there[lease.version];
  }
  return next_version(job.versions(), there);
}

messages::AssignReplica Head::assignment(const JobRecord& job, const Lease& lease) const {
  messages::AssignReplica order{
      .job = job.id,
      .file = job.file,
      .directory = job.directory,
      .text = *job.text,
      .checkpoint_job = job.served_job,
      .checkpoint_step = job.served_step,
  };
  const RegisteredModel* model = ledger_.registry().find(job.model);
  const ModelVersion* version = model == nullptr ? nullptr : model->find(lease.version);
  if (version != nullptr) {
    order.checkpoint_job = version->source;
    order.checkpoint_step = version->step;
    order.is_archive = version->is_file();
    order.origin = fmt::format("registry:{}@{} ({})", job.model, version->number, version->from);
  }
  if (const auto* training = order.is_archive ? nullptr : ledger_.find(order.checkpoint_job)) {
    order.training_directory = training->directory;
    order.training_text = *training->text;
  }
  const auto live = jobs_.find(job.id);
  if (live == jobs_.end() || !live->second.serving) return order;
  const auto& accepted = live->second.serving->quantization;
  const auto known = accepted.find(std::max<std::uint64_t>(lease.version, 1));
  if (known != accepted.end()) order.quantization = known->second;
  return order;
}

void Head::tell_versions(const JobRecord& job, Serving& serving) {
  if (job.lines.empty()) return;
  const auto wanted = job.versions();
  std::vector<serving::VersionLine> lines;
  for (std::size_t i = 0; i < job.lines.size(); ++i) {
    const ServedLine& line = job.lines[i];
    std::uint64_t former = line.good == line.version ? 0 : line.good;
    if (i < serving.told.size())
      former = serving.told[i].version == line.version ? serving.told[i].former : serving.told[i].version;
    const auto count = wanted.find(line.version);
    lines.push_back({line.version, former, line.share, count == wanted.end() ? 0 : count->second});
  }
  if (lines == serving.told) return;
  serving.told = lines;
  parts_.router->set_versions(job.id, std::move(lines));
}

bool Head::has_room(const JobRecord& job, Job& live) {
  Serving& serving = *live.serving;
  if (serving.gave_way && job.workers <= *serving.gave_way) return true;  // nobody has come for who left
  serving.gave_way.reset();
  const bool lacks = job.workers < job.wanted().max && live.spare_starts.may_start(now_ms());
  if (!lacks) serving.lacks_since.reset();
  if (lacks && !serving.lacks_since) serving.lacks_since = life();
  return !serving.lacks_since || life() - *serving.lacks_since < kRoomPatience;
}

void Head::roll(const std::string& id) {
  const auto job = jobs_.find(id);
  const auto* record = ledger_.find(id);
  if (job == jobs_.end() || !job->second.serving || record->lines.empty()) return;
  Serving& serving = *job->second.serving;
  tell_versions(*record, serving);
  if (in_grace_ || is_end(record->state) || record->pause_requested) return;
  std::vector<RolloutReplica> replicas;
  for (const auto& lease : ledger_.leases_of(id)) {
    if (!lease.releasing)
      replicas.push_back(
          {lease.worker, lease.version, state_of(lease.worker, serving.ready, serving.unheard)});
  }
  const bool is_free = has_room(*record, job->second);
  const auto leaving = choose_leaving(record->versions(), replicas, is_free);
  if (!leaving.empty()) {
    std::vector<Event> events;
    for (const auto worker : leaving)
      events.push_back(event("scheduler", "others take its place", LeaseReleasing{worker}));
    commit(std::move(events));
    if (!is_free) serving.gave_way = record->workers;
    tell_leases(id);
    schedule_soon();
  }
  if (!serving.ready.empty() && serving_text(*record) != record->reason) note_ready(id);
}

void Head::on_tag_moved(const std::vector<std::string>& jobs) {
  for (const auto& id : jobs) {
    const auto job = jobs_.find(id);
    if (job == jobs_.end() || !job->second.serving) continue;
    job->second.serving->load_crashes.clear();
    job->second.serving->gave_way.reset();
    job->second.spare_starts = {};  // what held the last version up says nothing of this one
    roll(id);
  }
  schedule_soon();
}

bool Head::stop_rollout(const std::string& id, std::uint64_t version, const std::string& why) {
  const auto* line = find_new_line(*ledger_.find(id), version);
  const auto job = jobs_.find(id);
  if (line == nullptr || job == jobs_.end() || !job->second.serving) return false;
  spdlog::warn("job {}: version {} can't be served, version {} serves on: {}", id, version, line->good, why);
  commit({event("head", why, RolloutStopped{id, version, why})});
  job->second.spare_starts = {};  // that was this version's fault
  job->second.spare_trouble.clear();
  job->second.serving->load_crashes.clear();
  roll(id);
  return true;
}

bool Head::is_refused(const Lease& lease) const {
  const auto* record = ledger_.find(lease.job);
  return lease.version != 0 && std::ranges::any_of(record->lines, [&](const ServedLine& line) {
           return line.refused == lease.version && line.version != lease.version;
         });
}

void Head::on_load_crash(const Lease& lease, const messages::WorkerExited& exited) {
  const auto job = jobs_.find(lease.job);
  const bool was_told_to_leave = lease.releasing && !suspects_.contains(lease.worker);
  if (lease.version == 0 || was_told_to_leave || is_outside(exited)) return;
  if (job == jobs_.end() || !job->second.serving) return;
  if (find_new_line(*ledger_.find(lease.job), lease.version) == nullptr) return;
  const auto crashes = ++job->second.serving->load_crashes[lease.version];
  if (crashes < kMostLoadCrashes) return;
  stop_rollout(
      lease.job, lease.version,
      fmt::format("{} replicas ended before they were ready, the last: {}", crashes, end_text(exited)));
}

}  // namespace ds::head
