// A ledger from a text.
#include <cstddef>
#include <exception>
#include <iterator>
#include <nlohmann/json.hpp>

#include "scheduler/ledger/ledger.hpp"
#include "scheduler/ledger/slot_count_json.hpp"
#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {
namespace {

using nlohmann::json;

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
  take("crashed", job.crashed_ms);
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
  take("broken_promise", job.broken_promise);
  take("deadline_missed", job.is_deadline_missed);
  take("has_to_start_again", job.has_to_start_again);
  // Of a version that wrote all fields it is null where there is none.
  if (from.contains("scaled") && from.at("scaled").is_array())
    job.scaled = WorkerCount{from.at("scaled").at(0), from.at("scaled").at(1)};
  if (from.contains("evaluations")) {
    for (const auto& e : from.at("evaluations"))
      job.evaluations.push_back({job.id, e.at(0), e.at(1), e.at(2), e.at(3)});
  }
  return job;
}

/// `at`: where that begins which every version has after the worker, and after the job if it is named.
Lease lease_from(const json& entry, const std::string& job, std::size_t at) {
  Lease lease{entry.at(0), job, entry.at(at), entry.at(at + 1), entry.at(at + 2), entry.at(at + 3)};
  if (entry.size() > at + 4) lease.role = role_from(entry.at(at + 4).get<std::string>()).value();
  lease.at_once = entry.size() > at + 5 ? entry.at(at + 5).get<bool>() : lease.releasing;
  if (entry.size() > at + 6) entry.at(at + 6).get_to(lease.since_ms);
  if (entry.size() > at + 7) entry.at(at + 7).get_to(lease.devices);
  if (entry.size() > at + 8) entry.at(at + 8).get_to(lease.version);
  return lease;
}

void read(const json& document, const char* name, NodeClosures& closures) {
  if (!document.contains(name)) return;  // of a version that had none
  for (const auto& entry : document.at(name)) closures[entry.at(0)] = {entry.at(1), entry.at(2)};
}

/// The characters of texts that follow each other, without one text of all.
class PieceIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  explicit PieceIterator(std::span<const std::string> pieces) : rest_(pieces) { skip_empty(); }
  const char& operator*() const { return rest_.front()[at_]; }
  PieceIterator& operator++() {
    if (++at_ < rest_.front().size()) return *this;
    rest_ = rest_.subspan(1);
    at_ = 0;
    skip_empty();
    return *this;
  }
  PieceIterator operator++(int) {
    auto before = *this;
    ++*this;
    return before;
  }
  bool operator==(const PieceIterator& other) const {
    return rest_.size() == other.rest_.size() && at_ == other.at_;
  }

 private:
  void skip_empty() {
    while (!rest_.empty() && rest_.front().empty()) rest_ = rest_.subspan(1);
  }

  std::span<const std::string> rest_;
  std::size_t at_ = 0;
};

}  // namespace

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
  counts_.add(*record.spec, record.state);
  index(record);
  if (!record.served_job.empty()) serving_.insert(id);
  if (!record.model.empty()) serving_models_.insert(id);
  if (record.has_promise) promised_.insert(id);
  is_end(record.state) ? index_end(record) : index_.mark(id);
  if (const auto use = entry.find("use"); use != entry.end()) accounts_.take_job(id, *use);
  if (const auto happened = entry.find("happened"); happened != entry.end()) history_.take_job(id, *happened);
  if (const auto leases = entry.find("leases"); leases != entry.end()) {
    for (const auto& lease : *leases) restore_lease(lease_from(lease, id, 1));
  }
  return true;
}

void Ledger::restore_lease(Lease lease) {
  JobRecord& job = jobs_.at(lease.job);
  lease.tenant = job.spec->tenant;
  lease.queue = job.spec->queue;
  if (lease.role == Role::worker) {
    job.workers += lease.releasing ? 0 : 1;
    if (!lease.releasing && lease.version != 0) ++job.live[lease.version];
    DecayedUse& use = uses_[{lease.tenant, lease.queue}];
    use.slots_now += lease.slots;
    use.memory_now += lease.memory_bytes;
    use.gpus_now += lease.devices.size();
  }
  index_.add_lease(lease);
  index_.mark(lease.job);
  const auto worker = lease.worker;
  leases_.emplace(worker, std::move(lease));
}

/// All but the jobs. False: a part of it can't be read.
bool Ledger::restore_rest(const json& document) {
  if (document.contains("leases")) {  // of a version whose jobs had not their own
    for (const auto& entry : document.at("leases"))
      restore_lease(lease_from(entry, entry.at(1).get<std::string>(), 2));
  }
  if (document.contains("uses")) {
    for (const auto& entry : document.at("uses")) {
      DecayedUse& use = uses_[{entry.at(0), entry.at(1)}];
      entry.at(2).get_to(use.slots);
      entry.at(3).get_to(use.memory_bytes);
      entry.at(4).get_to(use.at_ms);
      if (entry.size() > 5) entry.at(5).get_to(use.gpus);
    }
  }
  document.contains("accounts") ? accounts_.take(document.at("accounts")) : begin_accounts();
  if (document.contains("forgotten_keys")) {
    for (const auto& key : document.at("forgotten_keys")) forget_key(key.get<std::string>());
  }
  if (document.contains("joined")) document.at("joined").get_to(joined_);
  if (document.contains("lost")) document.at("lost").get_to(lost_);
  read(document, "drained", drained_);
  read(document, "quarantined", quarantined_);
  read(document, "cordoned", cordoned_);
  if (document.contains("early_crashes")) {
    for (const auto& entry : document.at("early_crashes"))
      early_crashes_.push_back(
          {entry.at(0), entry.at(1), entry.at(2), entry.size() > 3 && entry.at(3).get<bool>()});
  }
  if (document.contains("sound_runs")) {
    for (const auto& entry : document.at("sound_runs")) sound_runs_.insert({entry.at(0), entry.at(1)});
  }
  if (document.contains("tenants")) {  // none of an earlier version, of which no head could be told
    if (!set_tenants(document.at("tenants").at(0))) return false;
    document.at("tenants").at(1).get_to(tenants_at_start_);
  }
  if (document.contains("history")) history_.take(document.at("history"));
  if (document.contains("models")) registry_ = ModelRegistry::from_json(document.at("models"));
  document.at("next_order").get_to(next_order_);
  document.at("next_worker").get_to(next_worker_);
  starts_ = document.value("starts", std::uint64_t{0});  // earlier versions counted none
  newest_ms_ = document.value("newest", std::int64_t{0});
  return true;
}

/// Of a version that kept none: what has workers now counts from their grants.
void Ledger::begin_accounts() {
  std::int64_t first_ms = 0;
  for (const auto& [worker, lease] : leases_) {
    const bool is_counted = lease.role == Role::worker && lease.since_ms > 0;
    if (is_counted && (first_ms == 0 || lease.since_ms < first_ms)) first_ms = lease.since_ms;
  }
  if (first_ms > 0) accounts_.begin(first_ms);
}

/// Of a version that kept no runs: what runs has run since its gang began, as far as is known.
void Ledger::begin_runs(const std::vector<std::string>& without_runs) {
  for (const std::string& id : without_runs) {
    JobRecord& job = jobs_.at(id);
    const bool runs = job.workers > 0 && !job.members.empty() && job.state != JobState::resizing;
    if (runs && job.spec->kind == JobKind::command) job.runs.begin(job.gang_since_ms);
  }
}

template <class Iterator>
std::optional<Ledger> Ledger::restore(Iterator begin, Iterator end) {
  try {
    Ledger ledger;
    std::vector<std::string> without_runs;
    bool is_readable = true;
    std::string member;
    json texts = json::array();  // in the order of their numbers
    const json::parser_callback_t take_job = [&](int depth, json::parse_event_t event, json& parsed) {
      if (event == json::parse_event_t::key && depth == 1) member = parsed.get<std::string>();
      if (event == json::parse_event_t::array_end && depth == 1 && member == "texts") texts = parsed;
      if (event != json::parse_event_t::object_end || depth != 2 || member != "jobs") return true;
      auto& text = parsed.at("text");
      text.is_number() ? void(text = texts.at(text.get<std::size_t>())) : texts.push_back(text);
      is_readable = is_readable && ledger.restore_job(parsed);
      if (parsed.contains("members") && !parsed.contains("runs")) without_runs.push_back(parsed.at("id"));
      return false;  // it need not be kept
    };
    const json document = json::parse(begin, end, take_job);
    if (!is_readable || document.at("version") > 2 || !document.contains("jobs")) return std::nullopt;
    if (!ledger.restore_rest(document)) return std::nullopt;
    ledger.begin_runs(without_runs);
    return ledger;
  } catch (const std::exception&) {  // json's, or a job file that this version cannot read
    return std::nullopt;
  }
}

std::optional<Ledger> Ledger::restore(std::string_view snapshot) {
  return restore(snapshot.begin(), snapshot.end());
}

std::optional<Ledger> Ledger::restore(std::span<const std::string> pieces) {
  return restore(PieceIterator(pieces), PieceIterator(pieces.last(0)));
}

}  // namespace ds::scheduler
