// A ledger as a text.
#include "scheduler/ledger/ledger_snapshot.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "scheduler/ledger/slot_count_json.hpp"

namespace ds::scheduler {
namespace {

using nlohmann::json;

std::string dump(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Only what is not as it is for every new job: most of a long queue are. `text`: its file, or the number of
/// that.
json to_json(const JobRecord& job, json text) {
  static const JobRecord kNew;
  json document{{"id", job.id},
                {"file", job.file},
                {"directory", job.directory},
                {"text", std::move(text)},
                {"order", job.order},
                {"submitted", job.submitted_ms},
                {"state", to_string(job.state)}};
  const auto add = [&](const char* name, const auto& value, const auto& usual) {
    if (value != usual) document[name] = value;
  };
  add("key", job.key, kNew.key);
  add("later_keys", job.later_keys, kNew.later_keys);
  add("depends_on", job.depends_on, kNew.depends_on);
  add("started", job.started_ms, kNew.started_ms);
  add("ended", job.ended_ms, kNew.ended_ms);
  add("reason", job.reason, kNew.reason);
  add("cancel", job.cancel_requested, kNew.cancel_requested);
  add("pause", job.pause_requested, kNew.pause_requested);
  add("priority", job.priority, job.spec->priority);
  add("time_is_up", job.time_is_up, kNew.time_is_up);
  add("ran_before", job.ran_before_ms, kNew.ran_before_ms);
  add("crashed", job.crashed_ms, kNew.crashed_ms);
  add("generation", job.generation, kNew.generation);
  add("members", job.members, kNew.members);
  add("servers", job.servers, kNew.servers);
  add("finished", job.finished, kNew.finished);
  add("gang_since", job.gang_since_ms, kNew.gang_since_ms);
  add("attained", job.attained_before_slot_s, kNew.attained_before_slot_s);
  add("attained_to", job.attained_to_ms, kNew.attained_to_ms);
  add("step", job.step, kNew.step);
  add("total_steps", job.total_steps, kNew.total_steps);
  add("steps_per_epoch", job.steps_per_epoch, kNew.steps_per_epoch);
  add("checkpoint_step", job.checkpoint_step, kNew.checkpoint_step);
  add("restarts", job.restarts, kNew.restarts);
  add("restart_due", job.is_restart_due, kNew.is_restart_due);
  add("crashes", job.crashes_in_a_row, kNew.crashes_in_a_row);
  add("crash_text", job.crash_text, kNew.crash_text);
  add("crash_bound", job.crash_bound, kNew.crash_bound);
  add("retry_at", job.retry_at_ms, kNew.retry_at_ms);
  add("had", job.had, kNew.had);
  if (job.scaled) document["scaled"] = {job.scaled->min, job.scaled->max};
  for (const auto& e : job.evaluations)
    document["evaluations"].push_back({e.step, e.loss, e.metrics, e.majority_accuracy});
  add("batch", job.batch, kNew.batch);
  for (const auto& s : job.sizes) {
    document["sizes"].push_back({s.workers, s.nodes, s.step_s, s.compute_s});
    if (s.batches != 1) document["sizes"].back().push_back(s.batches);
  }
  add("resizes", job.resizes_s, kNew.resizes_s);
  if (job.runs != kNew.runs || (job.spec->kind == JobKind::command && !job.members.empty())) {
    document["runs"] = {job.runs.since_ms, job.runs.grown_lost_ms, job.runs.shrunk_lost_ms};
    if (job.runs.is_raised) document["runs"].push_back(true);
  }
  add("served_job", job.served_job, kNew.served_job);
  add("served_step", job.served_step, kNew.served_step);
  add("model", job.model, kNew.model);
  for (const auto& line : job.lines)
    document["lines"].push_back(
        {line.tag, line.share, line.version, line.good, line.refused, line.trouble, line.ready, line.before});
  for (const auto& [version, digest] : job.files) document["files"].push_back({version, digest});
  add("deadline", job.deadline_ms, kNew.deadline_ms);
  add("starts_by", job.starts_by_ms, kNew.starts_by_ms);
  add("has_promise", job.has_promise, kNew.has_promise);
  add("broken_promise", job.broken_promise, kNew.broken_promise);
  add("deadline_missed", job.is_deadline_missed, kNew.is_deadline_missed);
  add("has_to_start_again", job.has_to_start_again, kNew.has_to_start_again);
  return document;
}

json to_json(const Lease& lease) {
  json entry{lease.worker,          lease.node,    lease.slots,   lease.memory_bytes, lease.releasing,
             to_string(lease.role), lease.at_once, lease.since_ms};
  if (!lease.devices.empty() || lease.version != 0) entry.push_back(lease.devices);
  if (lease.version != 0) entry.push_back(lease.version);
  return entry;
}

json to_json(const NodeClosures& closures) {
  json list = json::array();
  for (const auto& [node, closure] : closures) list.push_back({node, closure.since_ms, closure.why});
  return list;
}

/// Jobs that are not what they were once the event is applied; more than these may be named.
std::set<std::string> jobs_changed_by(const Event& event, const std::string& job, const History& history,
                                      const std::set<std::string>& serving_models) {
  std::set<std::string> jobs;
  if (!job.empty()) jobs.insert(job);
  const auto* changed = std::get_if<JobStateChanged>(&event.body);
  const auto of_first = changed != nullptr && is_end(changed->state) ? history.first_to_go() : std::string();
  if (!of_first.empty()) jobs.insert(of_first);
  const bool moves_versions =
      std::holds_alternative<ModelTagged>(event.body) || std::holds_alternative<ModelRemoved>(event.body);
  if (moves_versions) jobs.insert(serving_models.begin(), serving_models.end());
  return jobs;
}

}  // namespace

LedgerSnapshot::LedgerSnapshot(const Ledger& ledger) : ledger_(&ledger) {
  write_all_but_jobs();
}

/// What is left to be written in slices are the jobs, with their leases and what happened to them.
void LedgerSnapshot::write_all_but_jobs() {
  json uses = json::array();
  for (const auto& [names, use] : ledger_->uses_)
    uses.push_back({names.first, names.second, use.slots, use.memory_bytes, use.at_ms, use.gpus});
  json crashes = json::array();
  for (const auto& crash : ledger_->early_crashes_)
    crashes.push_back({crash.node, crash.job, crash.at_ms, crash.is_program});
  json sound = json::array();
  for (const auto& run : ledger_->sound_runs_) sound.push_back({run.node, run.job});
  text_ = dump({{"version", 2},
                {"uses", uses},
                {"accounts", ledger_->accounts_.to_json()},
                {"joined", ledger_->joined_},
                {"lost", ledger_->lost_},
                {"drained", to_json(ledger_->drained_)},
                {"quarantined", to_json(ledger_->quarantined_)},
                {"cordoned", to_json(ledger_->cordoned_)},
                {"early_crashes", crashes},
                {"sound_runs", sound},
                {"history", ledger_->history_.to_json()},
                {"models", ledger_->registry_.to_json()},
                {"tenants", {ledger_->tenants_text_, ledger_->tenants_at_start_}},
                {"forgotten_keys", ledger_->forgotten_in_order_},
                {"next_order", ledger_->next_order_},
                {"next_worker", ledger_->next_worker_},
                {"starts", ledger_->starts_},
                {"newest", ledger_->newest_ms_}});
  text_.back() = ',';
  text_ += R"("jobs":[)";
}

void LedgerSnapshot::before(const Event& event) {
  if (is_whole_) return;
  for (const auto& job :
       jobs_changed_by(event, ledger_->job_of(event), ledger_->history_, ledger_->serving_models_))
    keep(job);
  // Also where an event names another's worker.
  if (const auto told = ledger_->describe(event); told && !told->job.empty()) keep(told->job);
}

void LedgerSnapshot::keep(const std::string& job) {
  if (job <= last_ || !kept_.insert(job).second) return;
  if (const JobRecord* record = ledger_->find(job)) write(*record);  // else it is no part of what was
}

void LedgerSnapshot::write(const JobRecord& job) {
  const auto [text, is_new] = texts_.try_emplace(job.text, texts_.size());
  json entry = to_json(job, is_new ? json(*job.text) : json(text->second));
  for (const auto worker : ledger_->index_.workers_of(job.id))
    entry["leases"].push_back(to_json(ledger_->leases_.at(worker)));
  if (json use = ledger_->accounts_.to_json(job.id); !use.is_null()) entry["use"] = std::move(use);
  if (json happened = ledger_->history_.to_json(job.id); !happened.is_null())
    entry["happened"] = std::move(happened);
  if (std::exchange(has_jobs_, true)) text_ += ',';
  text_ += dump(entry);
}

std::string LedgerSnapshot::next_piece(std::size_t bytes) {
  auto next = ledger_->jobs_.upper_bound(last_);
  for (; !is_whole_ && text_.size() < bytes; ++next) {
    if (next == ledger_->jobs_.end()) {
      text_ += "]}";
      is_whole_ = true;
      break;
    }
    last_ = next->first;
    if (kept_.erase(last_) == 0) write(next->second);
  }
  if (is_whole_) {
    kept_.clear();
    texts_.clear();
  }
  return std::exchange(text_, {});
}

std::string Ledger::snapshot() const {
  LedgerSnapshot snapshot(*this);
  return snapshot.next_piece(std::numeric_limits<std::size_t>::max());
}

}  // namespace ds::scheduler
