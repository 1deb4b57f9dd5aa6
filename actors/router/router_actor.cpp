// Endpoints and their replicas: what the head says of them, what others see, and what it hears of their load.
#include "actors/router/router_actor.hpp"

#include <iterator>
#include <mutex>

#include "actors/fabric/actor_guard.hpp"
#include "actors/fabric/patient_thread.hpp"
#include "actors/fabric/progress_round.hpp"
#include "actors/gateway/http_server.hpp"

namespace ds::router {
namespace {

/// Versions of an endpoint, gone ones included, that are counted.
constexpr std::size_t kMostCounted = 16;

}  // namespace

caf::behavior RouterActor::make_behavior() {
  fabric::guard_actor(*this, "the router");
  set_down_handler([this](const caf::down_msg& down) {
    const gateway::AnswersTogether together;
    on_down(down.source);
    send_calls();
  });
  return {
      [this](const RouterRun& run) {
        const gateway::AnswersTogether together;
        run.action(*this);
        send_calls();
      },
      [this](messages::InferAnswers& answers) {
        if (fabric::is_progress_thread()) fabric::note_round(answers.answers.size());
        const gateway::AnswersTogether together;
        for (messages::InferAnswer& answer : answers.answers) {
          if (const auto call = calls_.take(answer.number)) on_answer(*call, answer);
        }
        send_calls();
      },
      [this](const messages::BeginInfer& begun) { return on_begun(begun.number); },
      [this](caf::tick_atom) {
        const gateway::AnswersTogether together;
        give_up_calls(Clock::now());
        for (const auto& [journey, worker, until] : inquest_.take_late(Clock::now()))
          ask_again(journey, worker);
        send_calls();
        report();
        ticks_ = false;
        tick();
      },
  };
}

void RouterActor::set_endpoint(Endpoint endpoint) {
  auto& state = endpoints_[endpoint.job];
  if (state.epoch == 0) state.epoch = ++epochs_;
  state.endpoint = std::move(endpoint);
  if (state.picker.lines().empty()) state.picker.set_lines({serving::VersionLine{}});
  publish(state);
  tick();
}

void RouterActor::set_versions(const std::string& job, std::vector<serving::VersionLine> lines) {
  const auto state = endpoints_.find(job);
  if (state == endpoints_.end() || lines.empty()) return;
  state->second.picker.set_lines(std::move(lines));
  state->second.forget_versions();
  publish(state->second);
}

void RouterActor::set_wanted(const std::string& job, std::uint32_t replicas) {
  const auto state = endpoints_.find(job);
  if (state == endpoints_.end()) return;
  state->second.wanted = replicas;
  publish(state->second);
}

void RouterActor::set_held(const std::string& job, const std::string& why) {
  const auto state = endpoints_.find(job);
  if (state == endpoints_.end()) return;
  state->second.held = why;
  publish(state->second);
  if (why.empty()) return;
  for (const JourneyPtr& journey : state->second.waiting.take_all())
    finish(journey, tl::unexpected(is_held(why)));
}

void RouterActor::remove_endpoint(const std::string& job) {
  auto state = endpoints_.extract(job);
  if (state.empty()) return;
  {
    const std::lock_guard lock(board_->mutex);
    board_->endpoints.erase(state.mapped().endpoint.name);
    board_->statistics.erase(state.mapped().endpoint.name);
  }
  for (const JourneyPtr& journey : state.mapped().waiting.take_all())
    journey->ask.done(tl::unexpected(unknown_model(journey->ask)));
  for (const Inquest::Case& one : inquest_.take_of(job))
    one.journey->ask.done(tl::unexpected(unknown_model(one.journey->ask)));
}

void RouterActor::add_replica(const std::string& job, std::uint64_t worker, const caf::actor& actor,
                              std::uint64_t version, serving::ModelMetadata metadata) {
  const auto state = endpoints_.find(job);
  if (state == endpoints_.end()) return;
  auto& replica = state->second.replicas[worker];
  // That of one which is down already is told once more.
  if (replica.actor != actor || replica.is_lost) monitor(actor);
  replica.actor = actor;
  replica.version = version;
  replica.is_draining = replica.is_lost = false;
  state->second.metadata[version] = std::move(metadata);
  publish(state->second);
  for (const Inquest::Case& one : inquest_.take_of(worker)) ask_again(one.journey, worker);
  for (const JourneyPtr& journey : state->second.waiting.take_all()) {
    std::erase(journey->tried, worker);  // it is back
    dispatch(journey);
  }
}

void RouterActor::drain_replica(const std::string& job, std::uint64_t worker) {
  if (auto* replica = find(job, worker)) replica->is_draining = true;
  publish_job(job);
}

void RouterActor::remove_replica(const std::string& job, std::uint64_t worker, bool has_crashed) {
  for (const JourneyPtr& journey : inquest_.tell(worker, has_crashed))
    has_crashed ? refuse_killer(journey) : ask_again(journey, worker);
  const auto state = endpoints_.find(job);
  if (state == endpoints_.end()) return;
  state->second.replicas.erase(worker);
  state->second.forget_versions();
  publish(state->second);
}

void RouterActor::tick() {
  const bool is_idle = endpoints_.empty() && calls_.empty() && inquest_.empty();
  if (is_idle || std::exchange(ticks_, true)) return;
  delayed_send(this, kReportInterval, caf::tick_atom::value);
}

ReplicaEntry* RouterActor::find(const std::string& job, std::uint64_t worker) {
  const auto state = endpoints_.find(job);
  if (state == endpoints_.end()) return nullptr;
  const auto replica = state->second.replicas.find(worker);
  return replica == state->second.replicas.end() ? nullptr : &replica->second;
}

void RouterActor::publish_job(const std::string& job) {
  const auto state = endpoints_.find(job);
  if (state != endpoints_.end()) publish(state->second);
}

void RouterActor::publish(const EndpointState& state) {
  auto view = state.view();
  const std::lock_guard lock(board_->mutex);
  auto& statistics = board_->statistics[view.name];
  for (const auto& [version, shown] : view.versions) statistics.try_emplace(version);
  // What was counted of versions that are gone stays, within a bound: counters must not go back.
  for (auto old = statistics.begin(); statistics.size() > kMostCounted && old != statistics.end();)
    old = view.versions.contains(old->first) ? std::next(old) : statistics.erase(old);
  board_->endpoints[view.name] = std::move(view);
}

void RouterActor::report() {
  const auto now = Clock::now();
  for (auto& [job, state] : endpoints_) {
    give_up_late(state, now);
    report(job, state, now);
  }
}

void RouterActor::report(const std::string& job, EndpointState& state, Clock::time_point now) {
  scheduler::LoadSample sample;
  sample.ongoing = static_cast<double>(state.ongoing);
  sample.arrivals = std::exchange(state.arrivals, 0);
  sample.answered = std::exchange(state.answered, 0);
  sample.p99_ms = state.p99_ms(now);
  state.answers_per_second = state.answer_rate(now);
  sample.ready = state.ready();
  publish(state);
  if (on_load_) on_load_(job, sample);
}

}  // namespace ds::router
