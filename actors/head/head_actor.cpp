#include "actors/head/head_actor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>

#include "actors/fabric/actor_guard.hpp"
#include "actors/head/awaited_nodes.hpp"
#include "actors/head/head_start.hpp"

namespace ds::head {
namespace {

constexpr auto kScheduleInterval = std::chrono::seconds(1);

}  // namespace

Head::Head(caf::actor_config& config, HeadParts parts, scheduler::Ledger ledger, std::uint64_t snapshot_bytes)
    : event_based_actor(config),
      parts_(std::move(parts)),
      ledger_(std::move(ledger)),
      planner_(ledger_.tenants()),
      compaction_(parts_.compact_bytes, parts_.snapshot_piece_bytes, snapshot_bytes) {}

caf::behavior Head::make_behavior() {
  fabric::guard_actor(*this, "the head");
  set_down_handler([this](caf::down_msg& down) {
    const auto name = agents_.find(down.source);
    if (name != agents_.end()) return on_node_down(std::string(name->second));
    on_replica_down(down.source);
  });
  began_ = clock().now();
  renewer_ = spawn_renewer(*this, renewable_);
  parts_.fabric->publish(fabric::kHeadActor, this);
  parts_.router->report_to([self = caf::actor_cast<caf::actor>(this)](const std::string& job,
                                                                      const scheduler::LoadSample& sample) {
    caf::anon_send(self, Run{[job, sample](Head& head) { head.on_load(job, sample); }});
  });
  note_start();
  take_tenants_of_start();
  take_jobs_back();
  if (parts_.checkpoints != nullptr) drop_needless_files();  // a former head may have left some
  in_grace_ = !ledger_.leases().empty();
  if (in_grace_) delayed_send(this, kGrace, Run{[](Head& head) { head.on_grace_over(); }});
  if (!ledger_.joined().empty())
    delayed_send(this, kGrace, Run{[](Head& head) { head.tell_missing_nodes(); }});
  delayed_send(this, kShortGrace, Run{[](Head& head) {
                 head.is_settled_ = true;
                 head.end_grace_if_all_are_back();
               }});
  schedule_soon();
  delayed_send(this, kScheduleInterval, caf::tick_atom::value);
  return {
      [this](const Run& run) { run.action(*this); },
      [this](caf::tick_atom) {
        schedule();
        watch_replicas();
        watch_guarantees();
        forget_old_jobs();
        compact_if_due();
        tell_if_full();
        delayed_send(this, kScheduleInterval, caf::tick_atom::value);
      },
      [this](const messages::NodeHello& hello) { on_node_hello(hello); },
      [this](const messages::NodeLeaving& leaving) { on_node_leaving(leaving.name); },
      [this](const messages::WorkerStarted& started) { on_worker_started(started); },
      [this](const messages::WorkerExited& exited) { on_worker_exited(exited); },
      [this](const messages::LogLines& lines) { on_log(lines); },
      [this](const messages::WorkerHello& hello) { on_worker_hello(hello); },
      [this](const messages::FetchState& request) { return on_fetch(request); },
      [this](const messages::ExportDone& exported) { on_export_done(exported); },
      [this](const messages::ReplicaHello& hello) { on_replica_hello(hello); },
      [this](const messages::ReplicaFailed& failed) { on_replica_failed(failed); },
  };
}

/// Whoever reads what happened sees for how long nobody decided anything.
void Head::note_start() {
  commit({event("head", describe_start(ledger_, now_ms()), scheduler::HeadStarted{parts_.version})});
}

/// Goes on with what a former head began: it may have died between any two records.
void Head::take_jobs_back() {
  std::vector<std::string> active;
  for (const auto& [id, job] : ledger_.jobs()) {
    if (!scheduler::is_end(job.state)) active.push_back(id);
  }
  for (const auto& id : active) {
    if (ledger_.find(id)->cancel_requested) {
      end_job(id, scheduler::JobState::cancelled, "user", "cancelled by its owner");
    } else if (ledger_.leases_of(id).empty()) {
      if (is_serve(id)) ensure_serving(id);  // requests may come before replicas
      tell_leases(id);
    } else {
      ensure_master(id, true);
    }
  }
}

scheduler::Event Head::event(std::string by, std::string why, scheduler::Event::Body body) const {
  return {now_ms(), std::move(by), std::move(why), std::move(body)};
}

void Head::commit(std::vector<scheduler::Event> events, std::function<void()> effect) {
  std::vector<std::string> texts;
  std::vector<std::uint64_t> granted;
  for (const auto& one : events) {
    // What is applied is what a later head will read: text that is not UTF-8 changes on the way.
    auto written = scheduler::write_event(one);
    const auto as_read = written.is_exact ? std::nullopt : scheduler::event_from(written.text);
    compaction_.before(as_read ? *as_read : one);
    if ((written.is_exact || as_read) && ledger_.apply(as_read ? *as_read : one)) {
      texts.push_back(std::move(written.text));
      if (const auto* lease = std::get_if<scheduler::LeaseGranted>(&one.body))
        granted.push_back(lease->worker);
    } else {
      spdlog::debug("left out, because the ledger knows better: {}", written.text);
    }
  }
  if (const auto wrong = find_wrong_grant(granted)) {
    return parts_.die({ErrorCode::internal, "a plan gives away what is not there: " + *wrong,
                       "please report this; nothing of that plan was written or told anybody"});
  }
  if (!texts.empty()) {
    parts_.journal->append(std::move(texts), [self = caf::actor_cast<caf::actor>(this), mark = mark_,
                                              number = ++appended_](Result<void> written) {
      if (!written) {
        mark->has_failed = true;
        return caf::anon_send(self,
                              Run{[error = written.error()](Head& head) { head.die_of_journal(error); }});
      }
      if (mark->has_failed) return;  // what follows a record that is missing counts for nothing
      mark->durable = number;
      if (mark->is_told.exchange(true)) return;  // many commits share a sync: the head looks once
      caf::anon_send(self, Run{[](Head& head) { head.on_durable(); }});
    });
  }
  if (effect) when_durable(std::move(effect));
}

std::optional<std::string> Head::find_wrong_grant(std::span<const std::uint64_t> granted) const {
  if (granted.empty()) return std::nullopt;
  const auto find_node = [this](const std::string& name) -> std::optional<scheduler::NodeHolding> {
    const auto node = nodes_.find(name);
    if (node == nodes_.end()) return std::nullopt;
    return scheduler::NodeHolding{node->second.entry.slots, node->second.entry.memory_bytes};
  };
  return scheduler::find_wrong_grant(ledger_, granted, find_node, ledger_.tenants());
}

void Head::when_durable(std::function<void()> effect) {
  // What is not durable yet must not be seen by anybody: a crash would take it back.
  if (durable_ == appended_) return effect();
  effects_.emplace_back(appended_, std::move(effect));
}

void Head::die_of_journal(Error error) const {
  error.message = "the state journal cannot be written: " + error.message;
  parts_.die(error);
}

void Head::on_durable() {
  mark_->is_told = false;  // first: what becomes durable from now on is told again
  durable_ = mark_->durable;
  while (!effects_.empty() && effects_.front().first <= durable_) {
    auto effect = std::move(effects_.front().second);
    effects_.pop_front();
    effect();
  }
}

void Head::compact_if_due() {
  const auto bytes = parts_.journal->bytes_since_snapshot();
  if (compaction_.is_due(bytes)) write_piece(compaction_.begin(ledger_, bytes));
}

void Head::write_piece(storage::StateJournal::SnapshotPiece piece) {
  const auto on_written = [](Head& head, const Result<void>& written) {
    if (written) {
      if (auto next = head.compaction_.next()) head.write_piece(*std::move(next));
      return;
    }
    head.compaction_.give_up(head.parts_.journal->bytes_since_snapshot());
    // Too much waits, or the disk is too full for a snapshot: events may still have room.
    if (written.error().code != ErrorCode::resource_exhausted) return head.die_of_journal(written.error());
    spdlog::warn("the state journal is not compacted for now: {}", written.error().message);
  };
  parts_.journal->compact(
      std::move(piece), [self = caf::actor_cast<caf::actor>(this), on_written](Result<void> written) {
        caf::anon_send(self, Run{[on_written, written](Head& head) { on_written(head, written); }});
      });
}

/// Whoever reads the log while nothing moves.
void Head::tell_if_full() {
  const auto room = parts_.journal->check_progress();
  if (!room && !is_full_)
    spdlog::error("nothing is decided or accepted until there is room again: {}. {}", room.error().message,
                  room.error().hint);
  if (room && is_full_) spdlog::info("there is room on the disk again");
  is_full_ = !room;
}

Result<caf::actor> spawn_head(caf::actor_system& system, const HeadParts& parts) {
  auto recovered = parts.journal->take_recovered();
  scheduler::Ledger ledger;
  std::uint64_t snapshot_bytes = 0;
  for (const auto& piece : recovered.snapshot) snapshot_bytes += piece.size();
  if (!recovered.snapshot.empty()) {
    auto restored = scheduler::Ledger::restore(recovered.snapshot);
    if (!restored) {
      return fail(ErrorCode::data_loss, "the state journal's snapshot cannot be read by this version",
                  "start the version of ds-head that wrote it");
    }
    ledger = std::move(*restored);
    recovered.snapshot = {};
  }
  for (std::size_t i = 0; i < recovered.events.size(); ++i) {
    const auto event = scheduler::event_from(recovered.events[i]);
    if (!event || !ledger.apply(*event)) {
      return fail(
          ErrorCode::data_loss,
          fmt::format("event {} of the state journal cannot be applied: {}", i + 1, recovered.events[i]),
          "start the version of ds-head that wrote it");
    }
  }
  spdlog::info("the journal holds {} jobs and {} leases", ledger.jobs().size(), ledger.leases().size());
  return caf::actor_cast<caf::actor>(system.spawn<Head>(parts, std::move(ledger), snapshot_bytes));
}

void wait_until_begun(const caf::actor& head) {
  std::promise<void> begun;
  caf::anon_send(head, Run{[&begun](Head&) { begun.set_value(); }});
  begun.get_future().wait();
}

}  // namespace ds::head
