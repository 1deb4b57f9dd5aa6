// Requests on their way: to a replica, to another, and back.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "actors/replica/tensor_message.hpp"
#include "actors/router/router_actor.hpp"
#include "actors/serving/refusal_text.hpp"

namespace ds::router {
namespace {

/// A replica answers within the budget that it is told; this is for the way. Who waits longer is looked for
/// at each report.
constexpr std::chrono::milliseconds kSlack = std::chrono::milliseconds(500) - kReportInterval;

Failure client_is_gone() {
  return {{ErrorCode::cancelled, "the client is gone", {}}};
}

Failure timeout_is_over(const Journey& journey) {
  const auto last = journey.last ? "; before: " + journey.last->error.message : std::string();
  return {{ErrorCode::deadline_exceeded, "the request's timeout is over" + last, {}}};
}

}  // namespace

void RouterActor::ask(Ask ask) {
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

void RouterActor::give_up(const AskLink& link) {
  const auto journey = link.journey.lock();
  const auto state = journey ? endpoints_.find(journey->job) : endpoints_.end();
  if (state == endpoints_.end()) return;
  journey->is_given_up = true;
  if (state->second.waiting.remove(journey) || inquest_.remove(journey))
    return finish(journey, tl::unexpected(client_is_gone()));
  if (const auto* replica = find(journey->job, journey->at))
    caf::event_based_actor::send(replica->actor, messages::CancelInfer{journey->call});
}

void RouterActor::give_up_late(EndpointState& state, Clock::time_point now) {
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

void RouterActor::finish(const JourneyPtr& journey, tl::expected<Answer, Failure> outcome) {
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

bool RouterActor::check(const JourneyPtr& journey, std::uint64_t version,
                        const serving::ModelMetadata& model) {
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

void RouterActor::dispatch(const JourneyPtr& journey) {
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

void RouterActor::wait(const JourneyPtr& journey, EndpointState& state) {
  if (!state.held.empty()) return finish(journey, tl::unexpected(is_held(state.held)));
  serving::BatchingOptions bounds = state.endpoint.batching;
  bounds.max_depth = state.endpoint.max_waiting;
  bounds.max_bytes = state.endpoint.max_waiting_bytes;
  const auto refuse = [&](const JourneyPtr& refused, serving::Refusal why) {
    const auto text = serving::refusal_text(
        why, {refused->rows, refused->bytes, state.waiting.size(), state.waiting.bytes()}, bounds);
    const bool never_fits = why == serving::Refusal::too_large;
    finish(refused,
           tl::unexpected(
               never_fits ? Failure{{ErrorCode::invalid_argument, text, {}}}
                          : Failure{{ErrorCode::resource_exhausted, "while no replica is ready, " + text, {}},
                                    serving::retry_after_ms(state.waiting.size(),
                                                            state.answer_rate(Clock::now()))}));
  };
  // As a replica says it.
  if (journey->bytes > bounds.max_bytes) return refuse(journey, serving::Refusal::too_large);
  if (!journey->waits_since) journey->waits_since = Clock::now();
  const auto entry = state.waiting.add(journey, {bounds.max_depth, bounds.max_bytes});
  for (const auto& displaced : entry.displaced) refuse(displaced.journey, displaced.why);
  if (entry.refused) return refuse(journey, *entry.refused);
  // The first that comes to a model which sleeps wakes it now, not at the next report.
  if (state.wanted == 0 && state.waiting.size() == 1) report(journey->job, state, Clock::now());
}

void RouterActor::send(const JourneyPtr& journey, EndpointState& state, EndpointState::Picked pick,
                       Clock::duration left) {
  const auto worker = pick.worker;
  if (const auto since = std::exchange(journey->waits_since, std::nullopt))
    journey->waited_ns += static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - *since).count());
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

void RouterActor::send_calls() {
  for (auto& [actor, calls] : std::exchange(outgoing_, {})) {
    for (auto& message : replica::to_messages(std::move(calls)))
      caf::event_based_actor::send(actor, std::move(message));
  }
}

void RouterActor::give_up_calls(Clock::time_point now) {
  for (const Call& late : calls_.take_if([now](const Call& call) { return call.until <= now; })) {
    if (auto* entry = find(late.journey->job, late.worker)) --entry->outstanding;
    finish(late.journey, tl::unexpected(timeout_is_over(*late.journey)));
  }
}

void RouterActor::on_down(const caf::actor_addr& gone) {
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

void RouterActor::on_lost(const Call& call) {
  const auto& [journey, worker, asked, until] = call;
  if (auto* entry = find(journey->job, worker)) --entry->outstanding;
  if (!journey->suspicion.on_death()) {
    const auto has_crashed = inquest_.ask(journey, worker, Clock::now());
    if (!has_crashed) return;
    if (*has_crashed) return refuse_killer(journey);
  }
  ask_again(journey, worker);
}

void RouterActor::ask_again(const JourneyPtr& journey, std::uint64_t worker) {
  ++journey->tries;
  journey->tried.push_back(worker);
  journey->last = Failure{{ErrorCode::unavailable, "the replica that had the request is gone", {}},
                          serving::kLeastRetryMs};
  dispatch(journey);
}

messages::InferBegun RouterActor::on_begun(std::uint64_t number) {
  const auto* call = calls_.find(number);
  if (call == nullptr || call->journey->is_given_up) return {false};
  call->journey->suspicion.on_begun();
  return {true};
}

void RouterActor::refuse_killer(const JourneyPtr& journey) {
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

void RouterActor::on_answer(const Call& call, messages::InferAnswer& answer) {
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
    given.times[serving::Stage::queue] = journey->waited_ns;
    given.times[serving::Stage::batch_wait] = answer.batch_wait_ns;
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

std::shared_ptr<const std::vector<std::string>> RouterActor::classes_of(const Journey& journey) const {
  const auto state = endpoints_.find(journey.job);
  const auto* model = state == endpoints_.end() ? nullptr : state->second.metadata_of(journey.version);
  return model == nullptr ? nullptr : model->classes;
}

void RouterActor::record_batch(const std::string& job, std::uint64_t version,
                               const messages::InferAnswer& answer) {
  const auto state = endpoints_.find(job);
  if (state == endpoints_.end() || answer.released >= serving::kReleases) return;
  const std::lock_guard lock(board_->mutex);
  auto& statistics = board_->statistics[state->second.endpoint.name][version];
  statistics.model.record_batch(answer.batch_rows, answer.compute_ns);
  ++statistics.released[answer.released];
  statistics.elements += {answer.real_elements, answer.padding_elements};
}

}  // namespace ds::router
