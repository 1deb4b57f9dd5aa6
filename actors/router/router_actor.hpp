#pragma once

// Private to actors/router: its actor. Only router.cpp includes it.

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <caf/all.hpp>
#include <random>
#include <utility>

#include "actors/fabric/actor_guard.hpp"
#include "actors/fabric/patient_thread.hpp"
#include "actors/fabric/progress_round.hpp"
#include "actors/fabric/prompt_actor.hpp"
#include "actors/gateway/http_server.hpp"
#include "actors/messages/serving.hpp"
#include "actors/replica/tensor_message.hpp"
#include "actors/router/call_book.hpp"
#include "actors/router/endpoint_state.hpp"
#include "actors/router/router.hpp"
#include "actors/serving/refusal_text.hpp"
#include "actors/serving/retry_after.hpp"

namespace ds::router {

using Clock = std::chrono::steady_clock;

inline constexpr std::chrono::milliseconds kReportInterval{200};
/// A replica answers within the budget that it is told; this is for the way. Who waits longer is looked for
/// at each report.
inline constexpr std::chrono::milliseconds kSlack = std::chrono::milliseconds(500) - kReportInterval;
/// Versions of an endpoint, gone ones included, that are counted.
inline constexpr std::size_t kMostCounted = 16;

class RouterActor;

/// Local: something to do on the router's actor.
struct RouterRun {
  std::function<void(RouterActor&)> action;
};

}  // namespace ds::router

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::router::RouterRun)

namespace ds::router {

inline Failure unknown_model(const Ask& ask) {
  const auto version = ask.version ? fmt::format(" version {}", *ask.version) : std::string();
  return {{ErrorCode::not_found,
           fmt::format("Request for unknown model: '{}'{} is not found", ask.model, version),
           {}}};
}

inline Failure client_is_gone() {
  return {{ErrorCode::cancelled, "the client is gone", {}}};
}

inline Failure is_held(const std::string& why) {
  return {{ErrorCode::unavailable, why, {}}, serving::kLeastRetryMs};
}

inline Failure timeout_is_over(const Journey& journey) {
  const auto last = journey.last ? "; before: " + journey.last->error.message : std::string();
  return {{ErrorCode::deadline_exceeded, "the request's timeout is over" + last, {}}};
}

class RouterActor : public caf::event_based_actor, public fabric::PromptActor {
 public:
  RouterActor(caf::actor_config& config, std::shared_ptr<Router::Board> board)
      : event_based_actor(config), board_(std::move(board)), random_(std::random_device{}()) {}

  caf::behavior make_behavior() override {
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
          report();
          ticks_ = false;
          tick();
        },
    };
  }

  void report_to(Router::OnLoad on_load) { on_load_ = std::move(on_load); }

  void set_endpoint(Endpoint endpoint) {
    auto& state = endpoints_[endpoint.job];
    if (state.epoch == 0) state.epoch = ++epochs_;
    state.endpoint = std::move(endpoint);
    if (state.picker.lines().empty()) state.picker.set_lines({serving::VersionLine{}});
    publish(state);
    tick();
  }

  void set_versions(const std::string& job, std::vector<serving::VersionLine> lines) {
    const auto state = endpoints_.find(job);
    if (state == endpoints_.end() || lines.empty()) return;
    state->second.picker.set_lines(std::move(lines));
    state->second.forget_versions();
    publish(state->second);
  }

  void set_wanted(const std::string& job, std::uint32_t replicas) {
    const auto state = endpoints_.find(job);
    if (state == endpoints_.end()) return;
    state->second.wanted = replicas;
    publish(state->second);
  }

  void set_held(const std::string& job, const std::string& why) {
    const auto state = endpoints_.find(job);
    if (state == endpoints_.end()) return;
    state->second.held = why;
    publish(state->second);
    if (why.empty()) return;
    for (const JourneyPtr& journey : state->second.waiting.take_all())
      finish(journey, tl::unexpected(is_held(why)));
  }

  void remove_endpoint(const std::string& job) {
    auto state = endpoints_.extract(job);
    if (state.empty()) return;
    {
      const std::lock_guard lock(board_->mutex);
      board_->endpoints.erase(state.mapped().endpoint.name);
      board_->statistics.erase(state.mapped().endpoint.name);
    }
    for (const JourneyPtr& journey : state.mapped().waiting.take_all())
      journey->ask.done(tl::unexpected(unknown_model(journey->ask)));
  }

  void add_replica(const std::string& job, std::uint64_t worker, const caf::actor& actor,
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
    for (const JourneyPtr& journey : state->second.waiting.take_all()) {
      std::erase(journey->tried, worker);  // it is back
      dispatch(journey);
    }
  }

  void drain_replica(const std::string& job, std::uint64_t worker) {
    if (auto* replica = find(job, worker)) replica->is_draining = true;
    publish_job(job);
  }

  void remove_replica(const std::string& job, std::uint64_t worker) {
    const auto state = endpoints_.find(job);
    if (state == endpoints_.end()) return;
    state->second.replicas.erase(worker);
    state->second.forget_versions();
    publish(state->second);
  }

  void ask(Ask ask) {
    const auto state = std::ranges::find_if(
        endpoints_, [&](const auto& entry) { return entry.second.endpoint.name == ask.model; });
    if (state == endpoints_.end() || (ask.version && !state->second.has_version(*ask.version)))
      return ask.done(tl::unexpected(unknown_model(ask)));
    EndpointState& endpoint = state->second;
    auto journey = std::make_shared<Journey>();
    journey->job = state->first;
    journey->epoch = endpoint.epoch;
    journey->version = ask.version.value_or(0);
    journey->deadline = ask.arrived + timeout_of(ask.request.timeout_us, endpoint.endpoint.timeout);
    for (const auto& input : ask.request.inputs) journey->bytes += input.bytes.size();
    journey->ask = std::move(ask);
    if (journey->ask.link) {
      journey->ask.link->journey = journey;
      journey->is_given_up = journey->ask.link->is_given_up;
    }
    ++endpoint.ongoing;
    ++endpoint.arrivals;
    dispatch(journey);
  }

  void give_up(const AskLink& link) {
    const auto journey = link.journey.lock();
    const auto state = journey ? endpoints_.find(journey->job) : endpoints_.end();
    if (state == endpoints_.end()) return;
    journey->is_given_up = true;
    if (state->second.waiting.remove(journey)) return finish(journey, tl::unexpected(client_is_gone()));
    if (const auto* replica = find(journey->job, journey->at))
      caf::event_based_actor::send(replica->actor, messages::CancelInfer{journey->call});
  }

 private:
  /// Nothing is looked at while nothing is served and nobody waits for an answer.
  void tick() {
    if ((endpoints_.empty() && calls_.empty()) || std::exchange(ticks_, true)) return;
    delayed_send(this, kReportInterval, caf::tick_atom::value);
  }

  ReplicaEntry* find(const std::string& job, std::uint64_t worker) {
    const auto state = endpoints_.find(job);
    if (state == endpoints_.end()) return nullptr;
    const auto replica = state->second.replicas.find(worker);
    return replica == state->second.replicas.end() ? nullptr : &replica->second;
  }

  // ---- what others see ------------------------------------------------------------------------

  void publish_job(const std::string& job) {
    const auto state = endpoints_.find(job);
    if (state != endpoints_.end()) publish(state->second);
  }

  void publish(const EndpointState& state) {
    auto view = state.view();
    const std::lock_guard lock(board_->mutex);
    auto& statistics = board_->statistics[view.name];
    for (const auto& [version, shown] : view.versions) statistics.try_emplace(version);
    // What was counted of versions that are gone stays, within a bound: counters must not go back.
    for (auto old = statistics.begin(); statistics.size() > kMostCounted && old != statistics.end();)
      old = view.versions.contains(old->first) ? std::next(old) : statistics.erase(old);
    board_->endpoints[view.name] = std::move(view);
  }

  void report() {
    const auto now = Clock::now();
    for (auto& [job, state] : endpoints_) {
      give_up_late(state, now);
      report(job, state, now);
    }
  }

  void report(const std::string& job, EndpointState& state, Clock::time_point now) {
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

  void give_up_late(EndpointState& state, Clock::time_point now) {
    const auto is_gone = [&state](const Journey& journey) {
      return journey.ask.version && !state.has_version(*journey.ask.version);
    };
    const auto late = state.waiting.take_if(
        [&](const Journey& journey) { return journey.deadline <= now || is_gone(journey); });
    for (const JourneyPtr& journey : late) {
      if (is_gone(*journey)) {
        finish(journey, tl::unexpected(unknown_model(journey->ask)));
        continue;
      }
      finish(journey,
             tl::unexpected(Failure{
                 {ErrorCode::deadline_exceeded, "no replica was ready within the request's timeout", {}}}));
    }
  }

  // ---- one request ----------------------------------------------------------------------------

  void finish(const JourneyPtr& journey, tl::expected<Answer, Failure> outcome) {
    const auto now = Clock::now();
    const auto took = now - journey->ask.arrived;
    const auto state = endpoints_.find(journey->job);
    if (state != endpoints_.end() && state->second.epoch == journey->epoch) {
      --state->second.ongoing;
      if (journey->ask.only_metadata || journey->ask.only_ready) {
        // No inference: it woke a replica, and that is all.
      } else if (outcome) {
        ++state->second.answered;
        state->second.note_latency(now, std::chrono::duration<double, std::milli>(took).count());
      } else {
        const std::lock_guard lock(board_->mutex);
        const auto version = journey->version == 0 ? state->second.first_version() : journey->version;
        board_->statistics[state->second.endpoint.name][version].model.record_failure(
            static_cast<std::uint64_t>(std::chrono::nanoseconds(took).count()),
            serving::cause_of(outcome.error().error.code));
      }
    }
    journey->ask.done(std::move(outcome));
  }

  /// Puts the inputs in the model's order. False: the request doesn't fit, which it has been told.
  bool check(const JourneyPtr& journey, std::uint64_t version, const serving::ModelMetadata& model) {
    if (journey->checked_version == version) return true;
    journey->checked_version = version;
    const auto rows = serving::check_inputs(model, journey->ask.request);
    if (!rows) {
      finish(journey, tl::unexpected(Failure{rows.error()}));
      return false;
    }
    journey->rows = static_cast<std::uint32_t>(*rows);
    auto& inputs = journey->ask.request.inputs;
    if (std::ranges::equal(inputs, model.inputs, {}, &serving::Tensor::name, &serving::TensorSpec::name))
      return true;
    std::vector<serving::Tensor> ordered;
    for (const auto& spec : model.inputs)
      ordered.push_back(std::move(*std::ranges::find(inputs, spec.name, &serving::Tensor::name)));
    inputs = std::move(ordered);
    return true;
  }

  void dispatch(const JourneyPtr& journey) {
    const auto found = endpoints_.find(journey->job);
    if (found == endpoints_.end()) return journey->ask.done(tl::unexpected(unknown_model(journey->ask)));
    if (journey->is_given_up) return finish(journey, tl::unexpected(client_is_gone()));
    EndpointState& state = found->second;
    const auto pick = journey->tries < Router::kMostTries ? state.pick(*journey, random_()) : std::nullopt;
    const auto version = pick ? pick->version : journey->ask.version.value_or(state.first_version());
    const auto* model = state.metadata_of(version);
    if (model != nullptr && (journey->ask.only_metadata || (journey->ask.only_ready && pick)))
      return finish(journey, Answer{version, 0, {}, {}, {}});
    if (model != nullptr && !journey->ask.only_ready && !check(journey, version, *model)) return;
    const auto left = journey->deadline - Clock::now();
    if (left <= Clock::duration::zero()) return finish(journey, tl::unexpected(timeout_is_over(*journey)));
    if (pick && model != nullptr) return send(journey, state, *pick, left);
    // One that has died, or leaves, is replaced; one that is full, or too slow, says what any would say.
    const bool may_wait = !journey->last || (journey->last->error.code == ErrorCode::unavailable &&
                                             journey->tries < Router::kMostTries);
    if (!may_wait) return finish(journey, tl::unexpected(*journey->last));
    wait(journey, state);
  }

  /// For a replica.
  void wait(const JourneyPtr& journey, EndpointState& state) {
    if (!state.held.empty()) return finish(journey, tl::unexpected(is_held(state.held)));
    serving::BatchingOptions bounds = state.endpoint.batching;
    bounds.max_depth = state.endpoint.max_waiting;
    bounds.max_bytes = state.endpoint.max_waiting_bytes;
    const auto refuse = [&](const JourneyPtr& refused, serving::Refusal why) {
      const auto text = serving::refusal_text(
          why, {refused->rows, refused->bytes, state.waiting.size(), state.waiting.bytes()}, bounds);
      const bool never_fits = why == serving::Refusal::too_large;
      finish(
          refused,
          tl::unexpected(
              never_fits
                  ? Failure{{ErrorCode::invalid_argument, text, {}}}
                  : Failure{{ErrorCode::resource_exhausted, "while no replica is ready, " + text, {}},
                            serving::retry_after_ms(state.waiting.size(), state.answer_rate(Clock::now()))}));
    };
    // As a replica says it.
    if (journey->bytes > bounds.max_bytes) return refuse(journey, serving::Refusal::too_large);
    const auto entry = state.waiting.add(journey, {bounds.max_depth, bounds.max_bytes});
    for (const auto& displaced : entry.displaced) refuse(displaced.journey, displaced.why);
    if (entry.refused) return refuse(journey, *entry.refused);
    // The first that comes to a model which sleeps wakes it now, not at the next report.
    if (state.wanted == 0 && state.waiting.size() == 1) report(journey->job, state, Clock::now());
  }

  void send(const JourneyPtr& journey, EndpointState& state, EndpointState::Picked pick,
            Clock::duration left) {
    const auto worker = pick.worker;
    journey->version = pick.version;
    auto& replica = state.replicas.at(worker);
    ++replica.outstanding;
    const auto& asked = journey->ask.request;
    journey->call = ++asked_;
    journey->at = worker;
    messages::InferCall call{
        journey->call,
        journey->rows,
        asked.priority,
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(left).count()),
        journey->ask.tenant,
        replica::to_message(asked.inputs),
        journey->suspicion.is_suspect()};
    journey->suspicion.on_sent();
    // Not with a timeout of CAF's: each would wake its clock's thread, and stay there until it is over.
    calls_.add({journey, worker, replica.actor, journey->deadline + kSlack});
    outgoing_[replica.actor].push_back(std::move(call));
  }

  /// Those of a message's requests that go to one replica go there together.
  void send_calls() {
    for (auto& [actor, calls] : std::exchange(outgoing_, {})) {
      for (auto& message : replica::to_messages(std::move(calls)))
        caf::event_based_actor::send(actor, std::move(message));
    }
  }

  void give_up_calls(Clock::time_point now) {
    for (const Call& late : calls_.take_if([now](const Call& call) { return call.until <= now; })) {
      if (auto* entry = find(late.journey->job, late.worker)) --entry->outstanding;
      finish(late.journey, tl::unexpected(timeout_is_over(*late.journey)));
    }
  }

  /// A replica is gone, or its connection.
  void on_down(const caf::actor_addr& gone) {
    for (auto& [job, state] : endpoints_) {
      for (auto& [worker, replica] : state.replicas) {
        // It may have said hello again since, by another connection.
        if (replica.actor.address() != gone) continue;
        replica.is_lost = true;
        publish(state);
      }
    }
    for (const Call& call : calls_.take_if([&gone](const Call& one) { return one.asked.address() == gone; }))
      on_lost(call);
  }

  void on_lost(const Call& call) {
    const auto& [journey, worker, asked, until] = call;
    if (auto* entry = find(journey->job, worker)) --entry->outstanding;
    if (!journey->suspicion.on_death()) return refuse_killer(journey);
    ++journey->tries;
    journey->tried.push_back(worker);
    journey->last = Failure{{ErrorCode::unavailable, "the replica that had the request is gone", {}},
                            serving::kLeastRetryMs};
    dispatch(journey);
  }

  messages::InferBegun on_begun(std::uint64_t number) {
    const auto* call = calls_.find(number);
    if (call == nullptr || call->journey->is_given_up) return {false};
    call->journey->suspicion.on_begun();
    return {true};
  }

  void refuse_killer(const JourneyPtr& journey) {
    std::string inputs;
    for (const auto& input : journey->ask.request.inputs)
      inputs +=
          fmt::format("{}{} {}", inputs.empty() ? "" : ", ", input.name, serving::format_shape(input.shape));
    spdlog::warn("job {}: two replicas died of a request ({}), which is given up", journey->job, inputs);
    finish(journey,
           tl::unexpected(Failure{
               {ErrorCode::internal,
                "two replicas died while they had this request, the second while it ran nothing else: it is "
                "not tried again",
                {}}}));
  }

  /// Takes its tensors.
  void on_answer(const Call& call, messages::InferAnswer& answer) {
    const auto& [journey, worker, asked, until] = call;
    if (auto* entry = find(journey->job, worker)) --entry->outstanding;
    if (answer.failure == 0) {
      if (answer.is_first) record_batch(journey->job, journey->version, answer);
      Answer given{journey->version,
                   journey->rows,
                   replica::to_tensors(std::move(answer.outputs)),
                   classes_of(*journey),
                   {}};
      given.times[serving::Stage::parse] = journey->ask.parse_ns;
      given.times[serving::Stage::queue] = answer.queue_ns;
      given.times[serving::Stage::compute] = answer.compute_ns;
      return finish(journey, std::move(given));
    }
    const Failure failure{{static_cast<ErrorCode>(answer.failure - 1), answer.message, {}},
                          answer.retry_after_ms};
    if (!answer.elsewhere) return finish(journey, tl::unexpected(failure));
    ++journey->tries;
    journey->tried.push_back(worker);
    journey->last = failure;
    dispatch(journey);
  }

  std::shared_ptr<const std::vector<std::string>> classes_of(const Journey& journey) const {
    const auto state = endpoints_.find(journey.job);
    const auto* model = state == endpoints_.end() ? nullptr : state->second.metadata_of(journey.version);
    return model == nullptr ? nullptr : model->classes;
  }

  void record_batch(const std::string& job, std::uint64_t version, const messages::InferAnswer& answer) {
    const auto state = endpoints_.find(job);
    if (state == endpoints_.end() || answer.released >= serving::kReleases) return;
    const std::lock_guard lock(board_->mutex);
    auto& statistics = board_->statistics[state->second.endpoint.name][version];
    statistics.model.record_batch(answer.batch_rows, answer.compute_ns);
    ++statistics.released[answer.released];
    statistics.elements += {answer.real_elements, answer.padding_elements};
  }

  const std::shared_ptr<Router::Board> board_;
  Router::OnLoad on_load_;
  std::mt19937_64 random_;
  bool ticks_ = false;
  std::uint64_t epochs_ = 0;
  std::uint64_t asked_ = random_();  ///< number of the last call; a replica may have the last head's
  CallBook calls_;
  std::map<caf::actor, std::vector<messages::InferCall>> outgoing_;  ///< of the message that is handled
  std::map<std::string, EndpointState> endpoints_;                   ///< by job
};

}  // namespace ds::router
