// A ledger as a text, and back.
#include <exception>
#include <map>
#include <nlohmann/json.hpp>

#include "scheduler/ledger/ledger.hpp"
#include "scheduler/ledger/slot_count_json.hpp"
#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {
namespace {

using nlohmann::json;

/// Only what is not as it is for every new job: most of a long queue are. `text`: the number of its text.
json to_json(const JobRecord& job, std::size_t text) {
  static const JobRecord kNew;
  json document{{"id", job.id},
                {"file", job.file},
                {"directory", job.directory},
                {"text", text},
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
  add("deadline_missed", job.is_deadline_missed, kNew.is_deadline_missed);
  return document;
}

JobRecord job_from(const json& from) {
  JobRecord job;
  from.at("id").get_to(job.id);
  from.at("file").get_to(job.file);
  from.at("directory").get_to(job.directory);
  from.at("order").get_to(job.order);
  from.at("submitted").get_to(job.submitted_ms);
  job.state = job_state_from(from.at("state").get<std::string>()).value();
  const auto take = [&](const char* name, auto& value) {
    if (const auto found = from.find(name); found != from.end()) found->get_to(value);
  };
  take("key", job.key);
  take("later_keys", job.later_keys);
  take("depends_on", job.depends_on);
  take("started", job.started_ms);
  take("ended", job.ended_ms);
  take("reason", job.reason);
  take("cancel", job.cancel_requested);
  take("pause", job.pause_requested);
  take("priority", job.priority);
  take("time_is_up", job.time_is_up);
  take("ran_before", job.ran_before_ms);
  take("generation", job.generation);
  take("members", job.members);
  take("servers", job.servers);
  take("finished", job.finished);
  take("gang_since", job.gang_since_ms);
  take("attained", job.attained_before_slot_s);
  take("attained_to", job.attained_to_ms);
  take("step", job.step);
  take("total_steps", job.total_steps);
  take("steps_per_epoch", job.steps_per_epoch);
  take("checkpoint_step", job.checkpoint_step);
  take("restarts", job.restarts);
  take("restart_due", job.is_restart_due);
  take("crashes", job.crashes_in_a_row);
  take("crash_text", job.crash_text);
  take("crash_bound", job.crash_bound);
  take("retry_at", job.retry_at_ms);
  take("had", job.had);
  if (const auto sizes = from.find("sizes"); sizes != from.end()) {
    for (const auto& s : *sizes)
      job.sizes.push_back(
          {s.at(0), s.at(1), s.at(2), s.at(3), s.size() > 4 ? s.at(4).get<std::uint32_t>() : 1});
  }
  take("batch", job.batch);
  take("resizes", job.resizes_s);
  if (const auto runs = from.find("runs"); runs != from.end())
    job.runs = {runs->at(0), runs->at(1), runs->at(2), runs->size() > 3};
  take("served_job", job.served_job);
  take("served_step", job.served_step);
  take("model", job.model);
  if (const auto lines = from.find("lines"); lines != from.end()) {
    for (const auto& l : *lines) {
      const auto at = [&l](std::size_t place) {  // nobody looked at that before
        return place < l.size() ? l.at(place).get<std::uint64_t>() : 0;
      };
      job.lines.push_back({l.at(0), l.at(1), l.at(2), l.at(3), l.at(4), l.at(5), at(6), at(7)});
    }
  }
  if (const auto files = from.find("files"); files != from.end()) {
    for (const auto& file : *files)
      job.files.emplace(file.at(0).get<std::uint64_t>(), file.at(1).get<std::string>());
  }
  take("deadline", job.deadline_ms);
  take("starts_by", job.starts_by_ms);
  take("has_promise", job.has_promise);
  take("deadline_missed", job.is_deadline_missed);
  // Of a version that wrote all fields it is null where there is none.
  if (from.contains("scaled") && from.at("scaled").is_array())
    job.scaled = WorkerCount{from.at("scaled").at(0), from.at("scaled").at(1)};
  if (from.contains("evaluations")) {
    for (const auto& e : from.at("evaluations"))
      job.evaluations.push_back({job.id, e.at(0), e.at(1), e.at(2), e.at(3)});
  }
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

/// The jobs come last and one by one: of a million no tree is made. Before them their texts, each once.
std::string Ledger::snapshot() const {
  json texts = json::array();
  std::map<const std::string*, std::size_t> numbers;
  for (const auto& [id, job] : jobs_) {
    if (numbers.emplace(job.text.get(), texts.size()).second) texts.push_back(*job.text);
  }
  json leases = json::array();
  for (const auto& [worker, lease] : leases_) {
    leases.push_back({worker, lease.job, lease.node, lease.slots, lease.memory_bytes, lease.releasing,
                      to_string(lease.role), lease.at_once, lease.since_ms});
    if (!lease.devices.empty() || lease.version != 0) leases.back().push_back(lease.devices);
    if (lease.version != 0) leases.back().push_back(lease.version);
  }
  json uses = json::array();
  for (const auto& [names, use] : uses_) {
    uses.push_back({names.first, names.second, use.slots, use.memory_bytes, use.at_ms, use.gpus});
  }
  json crashes = json::array();
  for (const auto& crash : early_crashes_)
    crashes.push_back({crash.node, crash.job, crash.at_ms, crash.is_program});
  json sound = json::array();
  for (const auto& run : sound_runs_) sound.push_back({run.node, run.job});
  const json document{{"version", 1},
                      {"uses", uses},
                      {"accounts", accounts_.to_json()},
                      {"leases", leases},
                      {"drained", to_json(drained_)},
                      {"quarantined", to_json(quarantined_)},
                      {"cordoned", to_json(cordoned_)},
                      {"early_crashes", crashes},
                      {"sound_runs", sound},
                      {"history", history_.to_json()},
                      {"models", registry_.to_json()},
                      {"tenants", {tenants_text_, tenants_at_start_}},
                      {"texts", texts},
                      {"forgotten_keys", forgotten_in_order_},
                      {"next_order", next_order_},
                      {"next_worker", next_worker_}};
  std::string text = document.dump(-1, ' ', false, json::error_handler_t::replace);
  text.back() = ',';
  text += R"("jobs":[)";
  const char* separator = "";
  for (const auto& [id, job] : jobs_) {
    text += separator;
    text += to_json(job, numbers.at(job.text.get())).dump(-1, ' ', false, json::error_handler_t::replace);
    separator = ",";
  }
  text += "]}";
  return text;
}

bool Ledger::restore_job(const nlohmann::json& entry) {
  auto job = job_from(entry);
  const auto source = find_or_read_source(entry.at("text").get<std::string>(), job.directory);
  if (source == nullptr) return false;
  job.spec = {source, &source->spec};
  job.text = {source, &source->text};
  if (!entry.contains("priority")) job.priority = job.spec->priority;
  if (!is_end(job.state)) learn_curve(job);
  if (!job.key.empty()) keys_.emplace(job.key, job.id);
  for (const auto& key : job.later_keys) keys_.emplace(key, job.id);
  const auto id = job.id;
  const auto& record = jobs_.emplace(id, std::move(job)).first->second;
  index(record);
  if (!record.served_job.empty()) serving_.insert(id);
  if (!record.model.empty()) serving_models_.insert(id);
  if (record.has_promise) promised_.insert(id);
  is_end(record.state) ? index_end(record) : index_.mark(id);
  return true;
}

std::optional<Ledger> Ledger::restore(std::string_view snapshot) {
  try {
    Ledger ledger;
    std::vector<std::string> without_runs;
    bool is_readable = true;
    std::string member;
    json texts;
    const auto take_job = [&](int depth, json::parse_event_t event, json& parsed) {
      if (event == json::parse_event_t::key && depth == 1) member = parsed.get<std::string>();
      if (event == json::parse_event_t::array_end && depth == 1 && member == "texts") texts = parsed;
      if (event != json::parse_event_t::object_end || depth != 2 || member != "jobs") return true;
      if (auto& text = parsed.at("text"); text.is_number()) text = texts.at(text.get<std::size_t>());
      is_readable = is_readable && ledger.restore_job(parsed);
      if (parsed.contains("members") && !parsed.contains("runs")) without_runs.push_back(parsed.at("id"));
      return false;  // it need not be kept
    };
    const auto document = json::parse(snapshot, take_job);
    if (!is_readable || document.at("version") != 1 || !document.contains("jobs")) return std::nullopt;
    for (const auto& entry : document.at("leases")) {
      Lease lease{entry.at(0), entry.at(1), entry.at(2), entry.at(3), entry.at(4), entry.at(5)};
      if (entry.size() > 6) lease.role = role_from(entry.at(6).get<std::string>()).value();
      lease.at_once = entry.size() > 7 ? entry.at(7).get<bool>() : lease.releasing;
      if (entry.size() > 8) entry.at(8).get_to(lease.since_ms);
      if (entry.size() > 9) entry.at(9).get_to(lease.devices);
      if (entry.size() > 10) entry.at(10).get_to(lease.version);
      JobRecord& job = ledger.jobs_.at(lease.job);
      lease.tenant = job.spec->tenant;
      lease.queue = job.spec->queue;
      if (lease.role == Role::worker) {
        job.workers += lease.releasing ? 0 : 1;
        if (!lease.releasing && lease.version != 0) ++job.live[lease.version];
        DecayedUse& use = ledger.uses_[{lease.tenant, lease.queue}];
        use.slots_now += lease.slots;
        use.memory_now += lease.memory_bytes;
        use.gpus_now += lease.devices.size();
      }
      ledger.leases_.emplace(lease.worker, lease);
      ledger.index_.add_lease(lease);
      ledger.index_.mark(lease.job);
    }
    // Of a version that kept none: what runs has run since its gang began, as far as is known.
    for (const std::string& id : without_runs) {
      JobRecord& job = ledger.jobs_.at(id);
      const bool runs = job.workers > 0 && !job.members.empty() && job.state != JobState::resizing;
      if (runs && job.spec->kind == JobKind::command) job.runs.begin(job.gang_since_ms);
    }
    if (document.contains("uses")) {
      for (const auto& entry : document.at("uses")) {
        DecayedUse& use = ledger.uses_[{entry.at(0), entry.at(1)}];
        entry.at(2).get_to(use.slots);
        entry.at(3).get_to(use.memory_bytes);
        entry.at(4).get_to(use.at_ms);
        if (entry.size() > 5) entry.at(5).get_to(use.gpus);
      }
    }
    if (document.contains("accounts")) ledger.accounts_ = UseAccounts::from_json(document.at("accounts"));
    if (document.contains("forgotten_keys")) {
      for (const auto& key : document.at("forgotten_keys")) ledger.forget_key(key.get<std::string>());
    }
    read(document, "drained", ledger.drained_);
    read(document, "quarantined", ledger.quarantined_);
    read(document, "cordoned", ledger.cordoned_);
    if (document.contains("early_crashes")) {
      for (const auto& entry : document.at("early_crashes"))
        ledger.early_crashes_.push_back(
            {entry.at(0), entry.at(1), entry.at(2), entry.size() > 3 && entry.at(3).get<bool>()});
    }
    if (document.contains("sound_runs")) {
      for (const auto& entry : document.at("sound_runs"))
        ledger.sound_runs_.insert({entry.at(0), entry.at(1)});
    }
    if (document.contains("tenants")) {  // none of an earlier version, of which no head could be told
      if (!ledger.set_tenants(document.at("tenants").at(0))) return std::nullopt;
      document.at("tenants").at(1).get_to(ledger.tenants_at_start_);
    }
    if (document.contains("history")) ledger.history_ = History::from_json(document.at("history"));
    if (document.contains("models")) ledger.registry_ = ModelRegistry::from_json(document.at("models"));
    document.at("next_order").get_to(ledger.next_order_);
    document.at("next_worker").get_to(ledger.next_worker_);
    return ledger;
  } catch (const std::exception&) {  // json's, or a job file that this version cannot read
    return std::nullopt;
  }
}

}  // namespace ds::scheduler
