// What events about models do to a ledger.
#include <algorithm>
#include <iterator>

#include "scheduler/ledger/ledger.hpp"

namespace ds::scheduler {
namespace {

/// Versions of a job's file that are known, but for those in use.
constexpr std::size_t kMostFileVersions = 16;

/// Forgets the oldest that nothing is of. The newest stays, as the next number follows from it.
void forget_old_files(JobRecord& job) {
  const auto is_used = [&job](std::uint64_t version) {
    return version == job.files.rbegin()->first || job.live.contains(version) ||
           std::ranges::any_of(job.lines, [version](const ServedLine& line) {
             return version == line.version || version == line.good || version == line.refused ||
                    version == line.ready || version == line.before;
           });
  };
  for (auto old = job.files.begin(); job.files.size() > kMostFileVersions && old != job.files.end();)
    old = is_used(old->first) ? std::next(old) : job.files.erase(old);
}

}  // namespace

bool JobRecord::serves_file() const {
  return spec->serve && spec->serve->source.kind == ServedSource::Kind::file;
}

std::uint64_t JobRecord::version_of_file(std::string_view digest) const {
  for (const auto& [version, known] : files) {
    if (!digest.empty() && known == digest) return version;
  }
  return files.empty() ? 1 : files.rbegin()->first + 1;
}

bool Ledger::on(const Event&, const FileServed& body) {
  auto* job = active(body.job);
  if (job == nullptr || !job->serves_file() || body.version == 0) return false;
  const auto known = job->files.find(body.version);
  if (known != job->files.end() && known->second != body.digest) {
    if (!known->second.empty()) return false;
    known->second = body.digest;
    return true;
  }
  if (job->lines.empty()) job->lines.emplace_back();
  ServedLine& line = job->lines.front();
  if (line.version == body.version && line.refused == 0) return false;
  // Its file is gone: what no replica has any more nobody can go back to.
  const auto is_there = [job](std::uint64_t version) { return version != 0 && job->live.contains(version); };
  if (!is_there(line.good)) line.good = is_there(line.version) ? line.version : 0;
  for (const auto version : {line.ready, line.before}) {
    if (!is_there(version)) line.forget(version);
  }
  line.move_to(body.version);
  line.refused = 0;
  line.trouble.clear();
  job->crashes_in_a_row = 0;  // what crashed was another
  job->retry_at_ms = 0;
  job->files.emplace(body.version, body.digest);
  forget_old_files(*job);
  return true;
}

bool Ledger::on(const Event& event, const ModelVersionAdded& body) {
  ModelVersion version = body.version;
  version.added_ms = event.at_ms;
  if (!version.is_file() && find(version.source) == nullptr) return false;
  return registry_.add(body.model, version);
}

bool Ledger::on(const Event&, const ModelTagged& body) {
  bool has_changed = registry_.point(body.model, body.tag, body.version, body.back);
  const RegisteredModel* model = registry_.find(body.model);
  if (body.back && !has_changed) return false;
  if (model == nullptr || model->tagged(body.tag) != body.version) return false;
  for (const auto& id : followers(body.model, body.tag)) {
    JobRecord& job = jobs_.find(id)->second;
    // Who lets the tag point at a version that could not be served, also once more, wants it to be tried.
    for (auto& line : job.lines) {
      if (line.tag != body.tag || line.refused != body.version) continue;
      line.refused = 0;
      line.trouble.clear();
      has_changed = true;
    }
    follow_tags(job);
    index_.mark(id);
  }
  return has_changed;
}

std::vector<std::string> Ledger::followers(std::string_view model, std::string_view tag) const {
  std::vector<std::string> found;
  for (const auto& id : serving_models_) {
    const JobRecord& job = *find(id);
    if (is_end(job.state) || job.model != model) continue;
    if (std::ranges::find(job.lines, tag, &ServedLine::tag) != job.lines.end()) found.push_back(id);
  }
  return found;
}

/// What its tags led to before it ended may be gone.
void Ledger::forget_removed(JobRecord& job) const {
  if (job.model.empty()) return;  // its versions are not the registry's
  const RegisteredModel* model = registry_.find(job.model);
  for (auto& line : job.lines) {
    const auto is_there = [model](std::uint64_t version) {
      return model != nullptr && model->find(version) != nullptr;
    };
    if (!is_there(line.good)) line.good = 0;
    for (const auto version : {line.ready, line.before}) {
      if (!is_there(version)) line.forget(version);
    }
    if (is_there(line.version)) continue;
    line.refused = 0;  // it takes what the tag points at, though that could not be served
    line.trouble.clear();
  }
}

/// Its replicas are to be what its tags point at.
void Ledger::follow_tags(JobRecord& job) const {
  const RegisteredModel* model = registry_.find(job.model);
  if (model == nullptr) return;
  for (auto& line : job.lines) {
    const auto version = line.tag.empty() ? 0 : model->tagged(line.tag);
    if (version == 0 || (version == line.version && line.refused == 0) || version == line.refused) continue;
    line.move_to(version);
    line.refused = 0;
    line.trouble.clear();
  }
}

bool Ledger::on(const Event&, const ModelServed& body) {
  auto* job = active(body.job);
  const RegisteredModel* model = registry_.find(body.model);
  if (job == nullptr || !job->spec->serve || model == nullptr || body.lines.empty()) return false;
  const auto is_known = [&](const ServedLine& line) { return model->find(line.version) != nullptr; };
  if (!std::ranges::all_of(body.lines, is_known)) return false;
  job->model = body.model;
  job->lines = body.lines;
  serving_models_.insert(body.job);
  return true;
}

bool Ledger::on(const Event&, const RolloutStopped& body) {
  auto* job = active(body.job);
  if (job == nullptr) return false;
  bool has_changed = false;
  for (auto& line : job->lines) {
    const auto own = !body.to_own ? 0 : body.to_last ? line.former() : line.former_proved();
    const auto back = own != 0 ? own : job->stand_in_for(line);
    if (line.version != body.version || back == 0 || back == line.version) continue;
    line.refused = line.version;
    line.trouble = body.why;
    line.forget(line.version);  // though it was ready
    line.move_to(back);
    has_changed = true;
  }
  return has_changed;
}

std::vector<std::string> Ledger::find_servers(std::string_view model, std::uint64_t version,
                                              bool counts_unproved) const {
  std::vector<std::string> found;
  for (const auto& id : serving_models_) {
    const JobRecord& job = *find(id);
    if (is_end(job.state) || job.model != model) continue;
    const auto is_meant = [version](std::uint64_t one) { return version == 0 || one == version; };
    const bool serves = std::ranges::any_of(job.lines, [&](const ServedLine& line) {
      return is_meant(line.version) || is_meant(line.good) || is_meant(line.refused) ||
             (counts_unproved && (is_meant(line.ready) || is_meant(line.before)));
    });
    const bool has_replicas = std::ranges::any_of(
        leases_of(id), [&](const Lease& lease) { return lease.version != 0 && is_meant(lease.version); });
    if (serves || has_replicas) found.push_back(id);
  }
  return found;
}

bool Ledger::has_versions(const JobRecord& job) const {
  if (job.lines.empty() || job.model.empty()) return true;
  const RegisteredModel* model = registry_.find(job.model);
  return model != nullptr && std::ranges::all_of(job.lines, [model](const ServedLine& line) {
           return model->find(line.tag.empty() ? line.version : model->tagged(line.tag)) != nullptr;
         });
}

bool Ledger::on(const Event&, const ModelRemoved& body) {
  // A version that a part may go back to is not removed, but heads before did.
  if (!find_servers(body.model, body.version, false).empty() || !registry_.remove(body.model, body.version))
    return false;
  for (const auto& id : serving_models_) {
    JobRecord& job = jobs_.find(id)->second;
    for (auto& line : job.lines) {
      if (job.model == body.model) line.forget(body.version);
    }
  }
  if (body.version != 0) return true;
  // Another model of the name counts from 1 again: its versions are not those that ended jobs have served.
  for (const auto& id : serving_models_) {
    JobRecord& job = jobs_.find(id)->second;
    if (job.model != body.model) continue;
    for (auto& line : job.lines) line = {line.tag, line.share, 0};
  }
  return true;
}

bool Ledger::on(const Event&, const VersionProved& body) {
  auto* job = active(body.job);
  if (job == nullptr) return false;
  bool has_changed = false;
  for (auto& line : job->lines) {
    if (line.version != body.version || line.good == line.version) continue;
    line.on_proved();
    has_changed = true;
  }
  return has_changed;
}

}  // namespace ds::scheduler
