#include "tests/unit/head/simulated_trainer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "actors/job/gang.hpp"

namespace ds::head::test {

using namespace messages;

namespace {

constexpr std::int64_t kStep_ms = 150;
constexpr std::uint64_t kStepsOfACheckpoint = 20;
/// From here on its steps take twice as many samples, where its job's batch may grow.
constexpr std::uint64_t kGrowsAt = 30;

}  // namespace

struct SimulatedTrainer::State {
  AllGangs* gangs = nullptr;
  fabric::Fabric* fabric = nullptr;
  std::uint64_t worker = 0;
  std::string job;
  caf::actor actor, head, master;
  bool is_ready = false, is_stopped = false, grows = false;
  std::uint64_t newest = 0, trains_in = 0, step = 0;
  std::uint64_t began_at = 0, reported = 0;  ///< steps
  std::uint32_t rank = 0;
  std::optional<JoinGang> fetching;
  std::optional<SaveCheckpoint> saving;  ///< until it is saved
  bool is_asked = false;                 ///< the master has been, for that
  std::optional<TrainingFinished> finished;

  template <class Message>
  void tell_master(Message message) {
    if (master) caf::send_as(actor, master, std::move(message));
  }

  void say_hello() const {
    if (!head) return;
    WorkerHello hello;
    hello.worker = worker;
    hello.job = job;
    hello.actor = fabric->address_of(actor);
    const auto phase = finished                             ? job::WorkerPhase::finished
                       : !is_ready                          ? job::WorkerPhase::fresh
                       : trains_in == newest && newest != 0 ? job::WorkerPhase::training
                                                            : job::WorkerPhase::ready;
    hello.phase = static_cast<std::uint8_t>(phase);
    hello.generation = newest;
    hello.step = step;
    if (is_ready) {
      hello.total_steps = kSteps;
      hello.steps_per_epoch = kStepsOfAnEpoch;
      hello.fingerprint = "the same data";
      hello.parameters = 1'000;
    }
    caf::send_as(actor, head, std::move(hello));
  }

  void leave_gang() {
    if (trains_in != 0) (*gangs)[{job, trains_in}].is_over = true;
    trains_in = 0;
  }

  void join(const JoinGang& order) {
    step = order.step;
    auto& gang = (*gangs)[{job, order.generation}];
    gang.members = order.members.size();
    gang.step = order.step;
    rank = order.rank;
    tell_master(GangJoined{worker, order.generation});
  }

  void on_join(const JoinGang& order) {
    if (order.generation < newest || order.rank >= order.members.size()) return;
    newest = order.generation;
    leave_gang();
    fetching.reset();
    if (step == order.step) return join(order);
    fetching = order;
    caf::send_as(actor, fabric->resolve(order.source), FetchState{order.job, order.step});
  }

  void on_state(const StateReply& reply) {
    if (!fetching || fetching->generation != newest) return;
    const auto order = *std::exchange(fetching, std::nullopt);
    if (reply.error.empty() && reply.step == order.step) return join(order);
    tell_master(GangStuck{worker, order.generation, step, "the state could not be had: " + reply.error});
  }

  void on_pause(const PauseGang& order) {
    if (order.generation < newest) return;
    newest = order.generation;
    leave_gang();
    fetching.reset();
    tell_master(GangPaused{worker, order.generation, step});
  }

  void on_saved(const CheckpointSaved& saved) {
    if (!saving || saved.step != saving->state.step) return;
    is_asked = false;
    if (!saved.error.empty()) return;
    const auto generation = saving->generation;
    saving.reset();
    if (saved.step < kSteps) return;
    finished = TrainingFinished{worker, generation, saved.step};
    tell_master(*finished);
  }

  void offer_checkpoint() {
    if (!saving || is_asked || !master) return;
    is_asked = true;
    tell_master(*saving);
  }

  /// What is due at the step where it goes on is done again: the gang before may have died of it.
  void start(std::uint64_t generation) {
    trains_in = generation;
    began_at = step;
    reported = step == 0 ? 0 : step - 1;
    (*gangs)[{job, generation}].started.insert(worker);
  }

  StateReply state() const { return {step, "step " + std::to_string(step), {}, {}, {}}; }

  void report() {
    if (rank != 0 || step == reported) return;
    StepReport report;
    report.worker = worker;
    report.generation = trains_in;
    report.step = step;
    report.epoch = step / kStepsOfAnEpoch;
    report.loss = 0.5;
    report.samples_per_second = 100;
    report.phase_seconds = {{"forward", 0.1}, {"reduce", 0.01}};
    if (grows) report.batch = step < kGrowsAt ? 32 : 64;
    if (step > began_at) tell_master(report);
    if (step / kStepsOfAnEpoch > reported / kStepsOfAnEpoch)
      tell_master(EvaluationReport{worker, trains_in, step, 0.5, {{"accuracy", 0.5}}, 0.25});
    const bool is_due = step / kStepsOfACheckpoint > reported / kStepsOfACheckpoint || step == kSteps;
    if (is_due) {
      saving = SaveCheckpoint{job, worker, trains_in, {{"accuracy", 0.5}}, state()};
      is_asked = false;
    }
    reported = step;
  }
};

SimulatedTrainer::SimulatedTrainer(caf::actor_system& system, fabric::Fabric& fabric, AllGangs& gangs,
                                   std::uint64_t worker, std::string job)
    : system_(system), fabric_(fabric), state_(std::make_shared<State>()) {
  state_->gangs = &gangs;
  state_->fabric = &fabric_;
  state_->worker = worker;
  state_->job = std::move(job);
  state_->actor = system_.spawn(listen, state_);
}

SimulatedTrainer::~SimulatedTrainer() {
  state_->leave_gang();
  caf::anon_send_exit(state_->actor, caf::exit_reason::kill);
  state_->actor = state_->head = state_->master = nullptr;  // the actor holds the state
}

caf::behavior SimulatedTrainer::listen(caf::event_based_actor* self, const std::shared_ptr<State>& state) {
  // One that was cut off hears nothing of what was sent to it before.
  const auto is_deaf = [id = self->id(), state] { return !state->actor || state->actor->id() != id; };
  return {[=](const HelloTaken&) {
            if (is_deaf()) return;
            state->master = caf::actor_cast<caf::actor>(self->current_sender());
            state->is_asked = false;
            if (state->finished) state->tell_master(*state->finished);
            state->offer_checkpoint();
          },
          [=](const AssignJob& assigned) {
            if (is_deaf()) return;
            state->is_ready = true;
            state->grows = assigned.text.find("max_global") != std::string::npos;
            state->say_hello();
          },
          [=](const PauseGang& order) {
            if (!is_deaf()) state->on_pause(order);
          },
          [=](const JoinGang& order) {
            if (!is_deaf()) state->on_join(order);
          },
          [=](const StartSteps& order) {
            if (is_deaf() || order.generation != state->newest || state->fetching) return;
            state->start(order.generation);
          },
          [](const UseShards&) {},
          [=](const StateReply& reply) {
            if (!is_deaf()) state->on_state(reply);
          },
          [=](const CheckpointSaved& saved) {
            if (!is_deaf()) state->on_saved(saved);
          },
          [=](const FetchState& request) {
            auto reply = state->state();
            if (request.step != state->step) reply.error = "it is at another step";
            return reply;
          },
          [=](const StopWorker&) {
            if (!is_deaf()) state->is_stopped = true;
          }};
}

void SimulatedTrainer::find_head(const caf::actor& head) {
  state_->head = head;
  state_->say_hello();
}

void SimulatedTrainer::lose_head() {
  state_->head = state_->master = nullptr;
  state_->is_asked = false;
}

bool SimulatedTrainer::has_head() const {
  return static_cast<bool>(state_->head);
}

void SimulatedTrainer::cut_off() {
  lose_head();
  const auto former = state_->actor;
  state_->actor = system_.spawn(listen, state_);
  caf::anon_send_exit(former, caf::exit_reason::kill);
}

bool SimulatedTrainer::is_stopped() const {
  return state_->is_stopped;
}

void SimulatedTrainer::work(std::int64_t now_ms) {
  state_->offer_checkpoint();
  if (state_->trains_in == 0) return;
  auto& gang = (*state_->gangs)[{state_->job, state_->trains_in}];
  const bool all_are_there = !gang.is_over && gang.started.size() == gang.members;
  if (all_are_there && gang.until_ms != 0) {
    const auto steps = static_cast<std::uint64_t>((now_ms - gang.until_ms) / kStep_ms);
    gang.step = std::min(kSteps, gang.step + steps);
    gang.until_ms += static_cast<std::int64_t>(steps) * kStep_ms;
  } else {
    gang.until_ms = now_ms;
  }
  state_->step = std::max(state_->step, gang.step);
  state_->report();
}

}  // namespace ds::head::test
