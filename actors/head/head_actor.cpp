#include "actors/head/head_actor.hpp"

#include <fmt/format.h>

#include <chrono>

#include "actors/fabric/actor_guard.hpp"

namespace ds::head {
namespace {

/// How long a new head waits for the nodes of the old one before their leases end.
constexpr auto kGrace = std::chrono::seconds(15);
/// And at least, so that those come back of which nothing is known.
constexpr auto kShortGrace = std::chrono::seconds(2);
constexpr auto kScheduleInterval = std::chrono::seconds(1);
constexpr std::uint64_t kCompactBytes = 16 << 20;

}  // namespace

Head::Head(caf::actor_config& config, HeadParts parts, scheduler::Ledger ledger)
    : event_based_actor(config),
      parts_(std::move(parts)),
      ledger_(std::move(ledger)),
      planner_(parts_.tenants) {}

std::int64_t Head::now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

caf::behavior Head::make_behavior() {
  fabric::guard_actor(*this, "the head");
  set_down_handler([this](caf::down_msg& down) {
    for (const auto& [name, node] : nodes_) {
      if (node.agent.address() == down.source) return on_node_down(std::string(name));
    }
  });
  parts_.fabric->publish(fabric::kHeadActor, this);
  parts_.router->report_to([self = caf::actor_cast<caf::actor>(this)](const std::string& job,
                                                                      const scheduler::LoadSample& sample) {
    caf::anon_send(self, Run{[job, sample](Head& head) { head.on_load(job, sample); }});
  });
  take_jobs_back();
  in_grace_ = !ledger_.leases().empty();
  if (in_grace_) delayed_send(this, kGrace, Run{[](Head& head) { head.on_grace_over(); }});
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
        compact_if_due();
        delayed_send(this, kScheduleInterval, caf::tick_atom::value);
      },
      [this](const messages::NodeHello& hello) { on_node_hello(hello); },
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
  for (const auto& one : events) {
    // What is applied is what a later head will read: text that is not UTF-8 changes on the way.
    auto text = scheduler::to_text(one);
    const auto as_read = scheduler::event_from(text);
    if (as_read && ledger_.apply(*as_read)) {
      texts.push_back(std::move(text));
    } else {
      spdlog::debug("left out, because the ledger knows better: {}", text);
    }
  }
  if (!texts.empty()) {
    const auto number = ++appended_;
    parts_.journal->append(
        std::move(texts), [self = caf::actor_cast<caf::actor>(this), number](Result<void> written) {
          const auto error = written ? std::nullopt : std::optional(written.error());
          caf::anon_send(self, Run{[number, error](Head& head) { head.on_durable(number, error); }});
        });
  }
  if (effect) when_durable(std::move(effect));
}

void Head::when_durable(std::function<void()> effect) {
  // What is not durable yet must not be seen by anybody: a crash would take it back.
  if (durable_ == appended_) return effect();
  effects_.emplace_back(appended_, std::move(effect));
}

void Head::on_durable(std::uint64_t number, const std::optional<Error>& error) {
  if (error) return parts_.die(*error);
  durable_ = number;
  while (!effects_.empty() && effects_.front().first <= durable_) {
    auto effect = std::move(effects_.front().second);
    effects_.pop_front();
    effect();
  }
}

void Head::compact_if_due() {
  if (is_compacting_ || parts_.journal->bytes_since_snapshot() < kCompactBytes) return;
  is_compacting_ = true;
  const auto self = caf::actor_cast<caf::actor>(this);
  parts_.journal->compact(ledger_.snapshot(), [self](Result<void> written) {
    const auto error = written ? std::nullopt : std::optional(written.error());
    caf::anon_send(self, Run{[error](Head& head) {
                     head.is_compacting_ = false;
                     if (!error) return;
                     // Too much waits, or the disk is too full for a snapshot: events may still have room.
                     if (error->code != ErrorCode::resource_exhausted) return head.parts_.die(*error);
                     spdlog::warn("the state journal is not compacted for now: {}", error->message);
                   }});
  });
}

Result<caf::actor> spawn_head(caf::actor_system& system, const HeadParts& parts) {
  auto recovered = parts.journal->take_recovered();
  scheduler::Ledger ledger;
  if (recovered.snapshot) {
    auto restored = scheduler::Ledger::restore(*recovered.snapshot);
    if (!restored) {
      return fail(ErrorCode::data_loss, "the state journal's snapshot cannot be read by this version",
                  "start the version of ds-head that wrote it");
    }
    ledger = std::move(*restored);
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
  return caf::actor_cast<caf::actor>(system.spawn<Head>(parts, std::move(ledger)));
}

}  // namespace ds::head
