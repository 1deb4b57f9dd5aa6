#include "tests/unit/head/simulated_replica.hpp"

#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/messages/worker.hpp"
#include "scheduler/spec/job_file.hpp"
#include "storage/files/file_digest.hpp"

namespace ds::head::test {

using namespace messages;

namespace {

constexpr std::int64_t kLoad_ms = 400;

}  // namespace

struct SimulatedReplica::State {
  fabric::Fabric* fabric = nullptr;
  std::uint64_t worker = 0;
  std::string job;
  caf::actor actor, head;
  std::optional<AssignReplica> order;
  bool has_state = false;  ///< the checkpoint has come, or none is needed
  std::int64_t loaded_ms = 0;
  std::string digest;
  bool is_ready = false, is_stopped = false;
  std::optional<ReplicaFailed> failed;
  std::vector<std::pair<caf::actor, InferAnswers>> answers;

  template <class Message>
  void tell_head(Message message) {
    if (head) caf::send_as(actor, head, std::move(message));
  }

  void say_hello() {
    ReplicaHello hello;
    hello.worker = worker;
    hello.job = job;
    hello.actor = fabric->address_of(actor);
    hello.ready = is_ready;
    if (is_ready) {
      hello.max_batch_size = 1;
      hello.inputs = {{"x", 0, {-1}}};
      hello.outputs = {{"y", 0, {-1}}};
      hello.digest = digest;
    }
    tell_head(std::move(hello));
    if (failed) tell_head(*failed);
  }

  void fail(const std::string& why, bool only_here, bool is_other_file) {
    failed = ReplicaFailed{worker, why, only_here, is_other_file};
    tell_head(*failed);
  }

  void on_assign(const AssignReplica& given) {
    if (order) return;  // a new head gave the same job again
    order = given;
    has_state = given.checkpoint_job.empty();
    if (!has_state) caf::send_as(actor, head, FetchState{given.checkpoint_job, given.checkpoint_step});
  }

  void on_state(const StateReply& reply) {
    if (!order || is_ready || failed) return;
    if (!reply.error.empty()) return fail(reply.error, true, false);
    has_state = true;
  }

  /// Which file its job names, as it is now.
  void read_file() {
    const auto parsed = scheduler::parse_job_file(order->text, order->directory);
    const auto& path = std::get<scheduler::ParsedJob>(parsed).spec.serve->source.path;
    digest = storage::digest_of_file(path, 1 << 20).value_or("");
    if (!order->digest.empty() && digest != order->digest) return fail("it is another file", true, true);
    std::ifstream file(path);
    std::string content;
    file >> content;
    if (content == kBadFile) fail("the file is no model", false, false);
  }

  void load(std::int64_t now_ms) {
    if (!order || !has_state || is_ready || failed) return;
    if (loaded_ms == 0) loaded_ms = now_ms + kLoad_ms;
    if (now_ms < loaded_ms) return;
    if (order->checkpoint_job.empty()) read_file();
    if (order->checkpoint_step == kBadStep) fail("the model can't be loaded", false, false);
    if (failed) return;
    is_ready = true;
    say_hello();
  }

  void on_calls(const InferCalls& calls, const caf::actor& router) {
    InferAnswers given;
    for (const auto& call : calls.calls) {
      InferAnswer answer;
      answer.number = call.number;
      answer.outputs = {{"y", 0, {1}, {}}};
      given.answers.push_back(std::move(answer));
    }
    answers.emplace_back(router, std::move(given));
  }
};

SimulatedReplica::SimulatedReplica(caf::actor_system& system, fabric::Fabric& fabric, std::uint64_t worker,
                                   std::string job)
    : system_(system), state_(std::make_shared<State>()) {
  state_->fabric = &fabric;
  state_->worker = worker;
  state_->job = std::move(job);
  state_->actor = system_.spawn(listen, state_);
}

SimulatedReplica::~SimulatedReplica() {
  caf::anon_send_exit(state_->actor, caf::exit_reason::kill);
  state_->actor = state_->head = nullptr;  // the actor holds the state
  state_->answers.clear();
}

caf::behavior SimulatedReplica::listen(caf::event_based_actor* self, const std::shared_ptr<State>& state) {
  // One that was cut off hears nothing of what was sent to it before.
  const auto is_deaf = [id = self->id(), state] { return !state->actor || state->actor->id() != id; };
  return {[=](const AssignReplica& order) {
            if (!is_deaf() && state->head) state->on_assign(order);
          },
          [=](const StateReply& reply) {
            if (!is_deaf()) state->on_state(reply);
          },
          [=](const InferCalls& calls) {
            if (!is_deaf()) state->on_calls(calls, caf::actor_cast<caf::actor>(self->current_sender()));
          },
          [](const CancelInfer&) {},
          [=](const StopWorker&) {
            if (!is_deaf()) state->is_stopped = true;
          }};
}

void SimulatedReplica::find_head(const caf::actor& head) {
  state_->head = head;
  state_->say_hello();
}

void SimulatedReplica::lose_head() {
  state_->head = nullptr;
  state_->answers.clear();
  if (!state_->has_state) state_->order.reset();  // the next head gives it again
}

bool SimulatedReplica::has_head() const {
  return static_cast<bool>(state_->head);
}

void SimulatedReplica::cut_off() {
  lose_head();
  const auto former = state_->actor;
  state_->actor = system_.spawn(listen, state_);
  caf::anon_send_exit(former, caf::exit_reason::kill);
}

bool SimulatedReplica::is_stopped() const {
  return state_->is_stopped;
}

void SimulatedReplica::work(std::int64_t now_ms) {
  state_->load(now_ms);
  for (auto& [router, answers] : std::exchange(state_->answers, {}))
    if (router) caf::send_as(state_->actor, router, std::move(answers));
}

}  // namespace ds::head::test
