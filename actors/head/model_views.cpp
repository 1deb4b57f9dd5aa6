#include "actors/head/model_views.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ds::head {
namespace {

using namespace scheduler;
using nlohmann::json;

/// `version 3, which prod points at, could not be served: …; version 2 serves on`
std::string trouble_text(const JobRecord& job, const ServedLine& line) {
  const auto meant = !line.tag.empty()   ? line.tag + " points at"
                     : job.model.empty() ? "the job was submitted with last"
                                         : "traffic names";
  return fmt::format("version {}, which {}, could not be served: {}; version {} serves on", line.refused,
                     meant, line.trouble, line.version);
}

bool is_rolling(const JobRecord& job) {
  const auto wanted = job.versions();
  return std::ranges::any_of(job.live, [&](const auto& one) {
    const auto found = wanted.find(one.first);
    return one.second > (found == wanted.end() ? 0 : found->second);
  });
}

std::string numbers_of(const VersionCounts& counts) {
  std::string list;
  for (const auto& [version, count] : counts) list += fmt::format("{}{}", list.empty() ? "" : ", ", version);
  return list;
}

}  // namespace

json version_view(const RegisteredModel& model, const ModelVersion& version) {
  json view{{"model", model.name},        {"version", version.number},    {"from", version.from},
            {"metrics", version.metrics}, {"added_ms", version.added_ms}, {"tags", json::array()}};
  for (const auto& [tag, moves] : model.tags) {
    if (moves.back() == version.number) view["tags"].push_back(tag);
  }
  if (version.is_file()) {
    view["sha256"] = version.digest;
  } else {
    view["job"] = version.source;
    view["step"] = version.step;
  }
  return view;
}

json model_view(const RegisteredModel& model, bool whole) {
  json view{{"name", model.name}, {"newest", model.versions.back().number}, {"tags", json::object()}};
  for (const auto& [tag, moves] : model.tags) view["tags"][tag] = moves.back();
  if (!whole) {
    view["from"] = model.versions.back().from;
    view["metrics"] = model.versions.back().metrics;
    view["added_ms"] = model.versions.back().added_ms;
    return view;
  }
  view["versions"] = json::array();
  for (const auto& version : model.versions) view["versions"].push_back(version_view(model, version));
  view["history"] = json::object();
  for (const auto& [tag, moves] : model.tags) view["history"][tag] = moves;
  return view;
}

json served_view(const JobRecord& job, const Ledger& ledger) {
  if (job.lines.empty()) return nullptr;
  json view{{"name", job.model.empty() ? job.spec->name : job.model},
            {"traffic", json::array()},
            {"replicas", json::array()}};
  for (const auto& line : job.lines) {
    json one{{"tag", line.tag.empty() ? json(nullptr) : json(line.tag)},
             {"version", line.version},
             {"share", line.share}};
    if (const auto file = job.files.find(line.version); file != job.files.end() && !file->second.empty())
      one["sha256"] = file->second;
    if (line.refused != 0) one.update({{"refused", line.refused}, {"trouble", line.trouble}});
    view["traffic"].push_back(std::move(one));
  }
  struct Count {
    std::uint32_t ready = 0, starting = 0, leaving = 0;
  };
  std::map<std::uint64_t, Count> counts;
  for (const auto& line : job.lines) counts[line.version];
  for (const auto& lease : ledger.leases_of(job.id)) {
    if (lease.version == 0) continue;
    const bool is_ready = std::ranges::find(job.members, lease.worker) != job.members.end();
    auto& [ready, starting, leaving] = counts[lease.version];
    ++(lease.releasing ? leaving : is_ready ? ready : starting);
  }
  for (const auto& [version, count] : counts) {
    view["replicas"].push_back({{"version", version},
                                {"ready", count.ready},
                                {"starting", count.starting},
                                {"leaving", count.leaving}});
  }
  return view;
}

std::string served_text(const JobRecord& job, const VersionCounts& ready) {
  const bool has_one_file = job.files.size() == 1 && job.lines.front().version == 1;
  if (job.lines.empty() || has_one_file) return {};
  std::string text;
  if (ready.size() == 1) text = fmt::format(" of version {}", ready.begin()->first);
  if (ready.size() > 1) {
    for (const auto& [version, count] : ready)
      text += fmt::format("{}{} of version {}", text.empty() ? ": " : ", ", count, version);
  }
  if (is_rolling(job)) text += fmt::format("; rolls to version {}", numbers_of(job.versions()));
  for (const auto& line : job.lines) {
    if (line.refused != 0) text += "; " + trouble_text(job, line);
  }
  return text;
}

std::vector<Reason> rollout_reasons(const JobRecord& job) {
  std::vector<Reason> reasons;
  for (const auto& line : job.lines) {
    if (line.refused != 0) reasons.push_back({"rollout_stopped", trouble_text(job, line), {}});
  }
  if (!job.lines.empty() && is_rolling(job)) {
    reasons.push_back(
        {"rolling",
         fmt::format("its replicas of version {} are replaced one by one by those of version {}",
                     numbers_of(job.live), numbers_of(job.versions())),
         {}});
  }
  return reasons;
}

}  // namespace ds::head
