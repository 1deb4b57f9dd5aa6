// A ledger as a text, and back.
#include <exception>
#include <nlohmann/json.hpp>

#include "scheduler/ledger/ledger.hpp"
#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {
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
          {"depends_on", job.depends_on},
          {"order", job.order},
          {"submitted", job.submitted_ms},
          {"started", job.started_ms},
          {"ended", job.ended_ms},
          {"state", to_string(job.state)},
          {"reason", job.reason},
          {"cancel", job.cancel_requested},
          {"pause", job.pause_requested},
          {"priority", job.priority},
          {"scaled", job.scaled ? json{job.scaled->min, job.scaled->max} : json(nullptr)},
          {"time_is_up", job.time_is_up},
          {"ran_before", job.ran_before_ms},
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
          {"served_job", job.served_job},
          {"served_step", job.served_step},
          {"evaluations", evaluations}};
}

JobRecord job_from(const json& from) {
  JobRecord job;
  from.at("id").get_to(job.id);
  from.at("key").get_to(job.key);
  from.at("file").get_to(job.file);
  from.at("directory").get_to(job.directory);
  from.at("text").get_to(job.text);
  if (from.contains("depends_on")) from.at("depends_on").get_to(job.depends_on);
  from.at("order").get_to(job.order);
  from.at("submitted").get_to(job.submitted_ms);
  from.at("started").get_to(job.started_ms);
  from.at("ended").get_to(job.ended_ms);
  job.state = job_state_from(from.at("state").get<std::string>()).value();
  from.at("reason").get_to(job.reason);
  from.at("cancel").get_to(job.cancel_requested);
  job.pause_requested = from.value("pause", false);
  job.time_is_up = from.value("time_is_up", false);
  job.ran_before_ms = from.value("ran_before", std::int64_t{0});
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
  job.priority = from.value("priority", 0U);  // 0: of a version that had none
  if (from.contains("scaled") && from.at("scaled").is_array())
    job.scaled = WorkerCount{from.at("scaled").at(0), from.at("scaled").at(1)};
  job.served_job = from.value("served_job", std::string());
  job.served_step = from.value("served_step", std::uint64_t{0});
  return job;
}

json to_json(const NodeClosures& closures) {
  json list = json::array();
  for (const auto& [node, closure] : closures) list.push_back({node, closure.since_ms, closure.why});
  return list;
}

void read(const json& document, const char* name, NodeClosures& closures) {
  if (!document.contains(name)) return;  // of a version that had none
  for (const auto& entry : document.at(name)) closures[entry.at(0)] = {entry.at(1), entry.at(2)};
}

}  // namespace

std::string Ledger::snapshot() const {
  json jobs = json::array();
  for (const auto& [id, job] : jobs_) jobs.push_back(to_json(job));
  json leases = json::array();
  for (const auto& [worker, lease] : leases_) {
    leases.push_back({worker, lease.job, lease.node, lease.slots, lease.memory_bytes, lease.releasing,
                      to_string(lease.role), lease.at_once, lease.since_ms});
  }
  json uses = json::array();
  for (const auto& [names, use] : uses_) {
    uses.push_back({names.first, names.second, use.slots, use.memory_bytes, use.at_ms});
  }
  json crashes = json::array();
  for (const auto& crash : early_crashes_) crashes.push_back({crash.node, crash.job, crash.at_ms});
  const json document{{"version", 1},
                      {"jobs", jobs},
                      {"uses", uses},
                      {"leases", leases},
                      {"drained", to_json(drained_)},
                      {"quarantined", to_json(quarantined_)},
                      {"early_crashes", crashes},
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
      job.spec = ledger.spec_of(job.text, job.directory);
      if (job.spec == nullptr) return std::nullopt;
      if (!entry.contains("priority")) job.priority = job.spec->priority;
      if (!job.key.empty()) ledger.keys_.emplace(job.key, job.id);
      const auto id = job.id;
      const auto& record = ledger.jobs_.emplace(id, std::move(job)).first->second;
      ledger.index(record);
      if (!record.served_job.empty()) ledger.serving_.insert(id);
      is_end(record.state) ? ledger.index_.end_job(id) : ledger.index_.mark(id);
    }
    for (const auto& entry : document.at("leases")) {
      Lease lease{entry.at(0), entry.at(1), entry.at(2), entry.at(3), entry.at(4), entry.at(5)};
      if (entry.size() > 6) lease.role = role_from(entry.at(6).get<std::string>()).value();
      lease.at_once = entry.size() > 7 ? entry.at(7).get<bool>() : lease.releasing;
      if (entry.size() > 8) entry.at(8).get_to(lease.since_ms);
      JobRecord& job = ledger.jobs_.at(lease.job);
      lease.tenant = job.spec->tenant;
      lease.queue = job.spec->queue;
      if (lease.role == Role::worker) {
        job.workers += lease.releasing ? 0 : 1;
        DecayedUse& use = ledger.uses_[{lease.tenant, lease.queue}];
        use.slots_now += lease.slots;
        use.memory_now += lease.memory_bytes;
      }
      ledger.leases_.emplace(lease.worker, lease);
      ledger.index_.add_lease(lease);
      ledger.index_.mark(lease.job);
    }
    if (document.contains("uses")) {
      for (const auto& entry : document.at("uses")) {
        DecayedUse& use = ledger.uses_[{entry.at(0), entry.at(1)}];
        entry.at(2).get_to(use.slots);
        entry.at(3).get_to(use.memory_bytes);
        entry.at(4).get_to(use.at_ms);
      }
    }
    read(document, "drained", ledger.drained_);
    read(document, "quarantined", ledger.quarantined_);
    if (document.contains("early_crashes")) {
      for (const auto& entry : document.at("early_crashes"))
        ledger.early_crashes_.push_back({entry.at(0), entry.at(1), entry.at(2)});
    }
    document.at("next_order").get_to(ledger.next_order_);
    document.at("next_worker").get_to(ledger.next_worker_);
    return ledger;
  } catch (const std::exception&) {  // json's, or a job file that this version cannot read
    return std::nullopt;
  }
}

}  // namespace ds::scheduler
