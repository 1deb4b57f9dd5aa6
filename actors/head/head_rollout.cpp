// Replicas of models that have versions: from one to another, one by one.
#include <fmt/format.h>

#include <algorithm>

#include "actors/head/head_actor.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

/// The line whose version that is, not proved yet, where there is another to go back to.
const ServedLine* find_new_line(const JobRecord& job, std::uint64_t version) {
  const auto found = std::ranges::find_if(job.lines, [&](const ServedLine& line) {
    return line.version == version && line.good != version && job.fallback_of(line) != 0;
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
  messages::AssignReplica order;
  order.job = job.id;
  order.file = job.file;
  order.directory = job.directory;
  order.text = *job.text;
  order.checkpoint_job = job.served_job;
  order.checkpoint_step = job.served_step;
  if (const auto file = job.files.find(lease.version); file != job.files.end()) order.digest = file->second;
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
  VersionCounts ready;
  for (const auto& lease : ledger_.leases_of(job.id)) {
    if (serving.known.ready.contains(lease.worker)) ++ready[lease.version];
  }
  std::vector<serving::VersionLine> lines;
  for (std::size_t i = 0; i < job.lines.size(); ++i) {
    const ServedLine& line = job.lines[i];
    std::uint64_t former = line.former() == line.version ? 0 : line.former();
    if (i < serving.told.size())
      former = serving.told[i].version == line.version ? serving.told[i].former : serving.told[i].version;
    const auto found = wanted.find(line.version);
    const auto count = found == wanted.end() ? 0 : found->second;
    // Replicas of another line no longer answer for this one once it has all of its own.
    const bool is_shared = std::ranges::find(job.lines, former, &ServedLine::version) != job.lines.end();
    if (is_shared && count > 0 && ready[line.version] >= count) former = 0;
    lines.push_back({line.version, former, line.share, count});
  }
  if (lines == serving.told) return;
  serving.told = lines;
  parts_.router->set_versions(job.id, std::move(lines));
}

bool Head::has_room(const JobRecord& job, Job& live) {
  RolloutRoom::Sight sight{.workers = job.workers};
  for (const auto& [version, count] : job.versions()) sight.wanted += count;
  sight.is_any_leaving = std::ranges::any_of(ledger_.leases_of(job.id), &Lease::releasing);
  sight.lacks_one = job.workers < job.wanted().max && live.spare_starts.may_start(now_ms());
  return live.serving->room.has_room(sight, life());
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
      replicas.push_back({lease.worker, lease.version, serving.known.state_of(lease.worker)});
  }
  const bool is_free = has_room(*record, job->second);
  std::vector<VersionMove> moves;
  for (const auto& line : record->lines) {
    if (line.former() != 0 && line.former() != line.version) moves.push_back({line.version, line.former()});
  }
  const auto leaving = choose_leaving(record->versions(), replicas, is_free, moves);
  if (!leaving.empty()) {
    std::vector<Event> events;
    for (const auto worker : leaving)
      events.push_back(event("scheduler", "others take its place", LeaseReleasing{worker}));
    commit(std::move(events));
    if (!is_free) serving.room.on_gave_way(record->workers);
    tell_leases(id);
    schedule_soon();
  }
  if (!serving.known.ready.empty() && serving_text(*record) != record->reason) note_ready(id);
}

Head::ServedLines Head::lines_of_followers(const std::string& model, const std::string& tag) const {
  ServedLines lines;
  for (const auto& id : ledger_.followers(model, tag)) lines[id] = ledger_.find(id)->lines;
  return lines;
}

void Head::on_tag_moved(const ServedLines& before) {
  for (const auto& [id, lines] : before) {
    const auto job = jobs_.find(id);
    if (job == jobs_.end() || !job->second.serving || ledger_.find(id)->lines == lines) continue;
    job->second.serving->trial = {};
    job->second.spare_starts = {};  // what held the last version up says nothing of this one
    roll(id);
  }
  schedule_soon();
}

bool Head::stop_rollout(const std::string& id, std::uint64_t version, const std::string& why) {
  const auto* line = find_new_line(*ledger_.find(id), version);
  const auto job = jobs_.find(id);
  if (line == nullptr || job == jobs_.end() || !job->second.serving) return false;
  spdlog::warn("job {}: version {} can't be served, version {} serves on: {}", id, version,
               ledger_.find(id)->fallback_of(*line), why);
  commit({event("head", why, RolloutStopped{id, version, why})});
  job->second.spare_starts = {};  // that was this version's fault
  job->second.spare_trouble.clear();
  job->second.serving->trial = {};
  roll(id);
  return true;
}

bool Head::is_refused(const Lease& lease) const {
  const auto* record = ledger_.find(lease.job);
  return lease.version != 0 && std::ranges::any_of(record->lines, [&](const ServedLine& line) {
           return line.refused == lease.version && line.version != lease.version;
         });
}

bool Head::is_on_trial(const Lease& lease) const {
  return lease.version != 0 && find_new_line(*ledger_.find(lease.job), lease.version) != nullptr;
}

void Head::on_version_crash(const Lease& lease, const messages::WorkerExited& exited, bool was_ready) {
  const auto job = jobs_.find(lease.job);
  const bool was_told_to_leave = lease.releasing && !suspects_.contains(lease.worker);
  if (was_told_to_leave || is_outside(exited) || lease.version == 0) return;
  if (job == jobs_.end() || !job->second.serving) return;
  const auto suspect = suspects_.find(lease.worker);
  if (suspect != suspects_.end() && suspect->second.only_here) return;  // that says nothing of the version
  auto& serving = *job->second.serving;
  const auto* record = ledger_.find(lease.job);
  const auto* line = find_new_line(*record, lease.version);
  // What has never been ready is tried as often as a job that never gets to its first step.
  const auto most =
      line != nullptr && line->former() == 0 ? record->spec->restart_limit + 1 : VersionTrial::kMostCrashes;
  const bool is_any_ready = !serving.known.ready.empty() || !serving.known.unheard.empty();
  const bool is_over = serving.trial.on_crash(lease.version, is_any_ready, most);
  if (line == nullptr || !is_over) return;
  const auto crashes = serving.trial.crashes(lease.version);
  const auto when = was_ready ? "soon after they were ready" : "before they were ready";
  const auto who = crashes == 1 ? std::string("a replica ended before it was ready: ")
                                : fmt::format("{} replicas ended {}, the last: ", crashes, when);
  stop_rollout(lease.job, lease.version, who + end_text(exited));
}

void Head::watch_trials(const std::string& id) {
  const auto* record = ledger_.find(id);
  Serving& serving = *jobs_.at(id).serving;
  std::vector<Event> events;
  for (const auto& line : record->lines) {
    if (find_new_line(*record, line.version) != &line) continue;
    const bool is_ready = std::ranges::any_of(ledger_.leases_of(id), [&](const Lease& lease) {
      return lease.version == line.version && !lease.releasing && serving.known.ready.contains(lease.worker);
    });
    serving.trial.look(line.version, is_ready, life());
    if (serving.trial.has_passed(line.version))
      events.push_back(event("head", "its replicas serve without a crash", VersionProved{id, line.version}));
  }
  if (!events.empty()) commit(std::move(events));
}

}  // namespace ds::head
