#include "actors/replica/replica_actor.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <caf/all.hpp>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/fabric/actor_guard.hpp"
#include "actors/fabric/borrowed_thread.hpp"
#include "actors/fabric/patient_thread.hpp"
#include "actors/fabric/progress_round.hpp"
#include "actors/fabric/prompt_actor.hpp"
#include "actors/head/assigned_job.hpp"
#include "actors/head/served_batching.hpp"
#include "actors/messages/serving.hpp"
#include "actors/replica/model_runner.hpp"
#include "actors/replica/model_thread.hpp"
#include "actors/replica/tensor_message.hpp"
#include "actors/serving/batch_queue.hpp"
#include "actors/serving/refusal_text.hpp"
#include "actors/worker/run.hpp"
#include "actors/worker/state_message.hpp"

namespace ds::replica {
namespace {

using namespace messages;
using serving::BatchQueue;
using Clock = std::chrono::steady_clock;

/// For a checkpoint to come from the head.
constexpr auto kFetchLimit = std::chrono::minutes(5);
constexpr std::int64_t kLeastTimer_us = 50;
constexpr auto kBeginLimit = std::chrono::seconds(2);
constexpr auto kBusyTick = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kLeastPatience{10'000};

/// Nobody waits for a batch that takes longer, and the model takes nothing else meanwhile.
std::chrono::milliseconds longest_batch(const scheduler::ServeSpec& serve) {
  return std::max(kLeastPatience, 2 * std::chrono::milliseconds(serve.queue.timeout_ms));
}

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
}

/// Local: something that waits may be due.
struct Wake {};

}  // namespace
}  // namespace ds::replica

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::replica::Wake)

namespace ds::replica {
namespace {

class Replica : public caf::event_based_actor, public fabric::PromptActor {
 public:
  Replica(caf::actor_config& config, fabric::Fabric& fabric, head::JobProcess process)
      : event_based_actor(config),
        fabric_(fabric),
        process_(std::move(process)),
        line_(*this, fabric, process_.head),
        here_(std::make_shared<fabric::BorrowedThread>(system())) {}

  /// The model's thread calls this actor, so it ends first.
  void on_exit() override { thread_.reset(); }

  caf::behavior make_behavior() override {
    fabric::guard_actor(*this, "the replica");
    set_down_handler([this](caf::down_msg& down) { line_.on_down(down.source, "requests are answered"); });
    line_.search();
    return {
        [this](const head::HeadFound& found) {
          line_.on_found(found);
          say_hello();
          if (failed_) line_.tell_head(*failed_);
        },
        [this](const AssignReplica& order) { on_assign(order); },
        [this](InferCalls& calls) { on_calls(calls, caf::actor_cast<caf::actor>(current_sender())); },
        [this](const CancelInfer& order) { on_cancel(order.number); },
        [this](const StopWorker&) { begin_drain(); },
        [this](const Wake&) {
          timer_us_ = 0;
          settle();
        },
        [](const worker::Run& run) { run.action(); },
    };
  }

 private:
  struct Pending {
    caf::actor router;         ///< whose it is
    std::uint64_t number = 0;  ///< of its call
    std::uint32_t rows = 1;
    bool alone = false;  ///< the router wants to hear before it runs
    std::vector<ServedTensor> inputs;
  };
  struct Work {
    serving::Batch batch;
    std::vector<Pending> pending;
    std::vector<infer::ServedModel::Tensors> requests;
  };

  // ---- the head comes and goes ----------------------------------------------------------------

  void say_hello() {
    ReplicaHello hello{
        process_.worker, process_.job, fabric_.address_of(this), model_ != nullptr, 0, {}, {}, {}, {}, {}};
    if (model_ != nullptr) {
      const serving::ModelMetadata& model = model_->metadata();
      hello.max_batch_size = model.max_batch_size;
      hello.inputs = to_message(model.inputs);
      hello.outputs = to_message(padding() ? cut_specs(*padding(), model.outputs) : model.outputs);
      if (model.classes) hello.classes = *model.classes;
      hello.quantization = model_->quantization();
      hello.padding = to_message(model_->padding());
      hello.digest = file_.found;
    }
    line_.tell_head(std::move(hello));
  }

  // ---- the model ------------------------------------------------------------------------------

  void on_assign(const AssignReplica& order) {
    if (thread_) return;  // a new head gave the same job again
    auto spec = head::read_assigned_job({order.job, order.file, order.directory, order.text, 0});
    if (!spec) return on_failed(spec.error());
    spec_ = *std::move(spec);
    file_.wanted = order.digest;
    quantization_ = {order.training_directory, order.training_text, order.quantization};
    thread_ = std::make_unique<ModelThread>();
    origin_ = order.origin.empty() ? spec_.serve->source.text : order.origin;
    if (order.checkpoint_job.empty()) return load(nullptr);
    request(line_.head(), kFetchLimit, FetchState{order.checkpoint_job, order.checkpoint_step})
        .then(
            [this, is_archive = order.is_archive](const StateReply& reply) {
              if (!reply.error.empty()) return on_failed({ErrorCode::data_loss, reply.error, {}});
              auto given = std::make_shared<GivenModel>();
              given->origin = origin_;
              if (!is_archive) {
                given->state = worker::to_image(reply);
              } else if (!reply.tensors.empty()) {
                given->archive = reply.tensors.front();
              }
              load(std::move(given));
            },
            [this](const caf::error& error) {
              thread_.reset();
              if (error == caf::sec::request_receiver_down) return;  // the next head gives the job again
              on_failed({ErrorCode::unavailable, "the checkpoint could not be had from the head", {}});
            });
  }

  void load(std::shared_ptr<const GivenModel> given) {
    thread_->post([this, given = std::move(given), start = Clock::now()] {
      auto loaded = load_model(spec_, given.get(), quantization_, &file_);
      std::vector<Observation> seen;
      if (loaded) seen = warm_up(**loaded);
      if (loaded && (*loaded)->has_lost_device())
        loaded = fail(ErrorCode::unavailable, origin_ + ": the GPU was lost while the model ran on zeros");
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
      // A function that CAF copies cannot hold what only moves.
      auto model = std::make_shared<decltype(loaded)>(std::move(loaded));
      worker::post(this, [this, model, seen, took] { on_loaded(std::move(*model), seen, took); });
    });
  }

  void on_loaded(Result<std::unique_ptr<infer::ServedModel>> model, const std::vector<Observation>& seen,
                 std::chrono::milliseconds took) {
    if (!model) return on_failed(model.error());
    model_ = *std::move(model);
    queue_.emplace(head::batching_of(*spec_.serve));
    for (const Observation& one : seen) queue_->observe(one.rows, one.took_us, now_us());
    watch_batches();
    spdlog::info("the model {} is ready after {} ms", origin_, took.count());
    if (draining_) return leave_if_idle();
    say_hello();
  }

  /// Null: only requests of equal shapes share a batch.
  const serving::Padding* padding() const { return model_->padding() ? &*model_->padding() : nullptr; }

  void on_failed(const Error& why) {
    const bool is_everywhere = why.code == ErrorCode::invalid_argument || why.code == ErrorCode::unsupported;
    const bool is_other_file = why.code == ErrorCode::conflict;
    failed_ = ReplicaFailed{process_.worker, head::log_end(why), !is_everywhere, is_other_file};
    line_.tell_head(*failed_);
  }

  // ---- requests -------------------------------------------------------------------------------

  void on_calls(InferCalls& calls, const caf::actor& router) {
    if (!router) return;  // it is gone
    if (fabric::is_progress_thread()) fabric::note_round(calls.calls.size());
    for (InferCall& call : calls.calls) on_call(call, router);
    settle();
    send_answers();
  }

  /// Takes its tensors.
  void on_call(InferCall& call, const caf::actor& router) {
    if (!queue_ || draining_) {
      return answer({router, call.number, call.rows, call.alone, {}},
                    refusal(ErrorCode::unavailable, "the replica is about to stop, or to begin", true));
    }
    const auto now = now_us();
    serving::Ticket ticket;
    ticket.id = ++tickets_;
    ticket.rows = call.rows;
    ticket.bytes = bytes_of(call.inputs);
    ticket.priority = call.priority == 0 ? serving::kDefaultPriority : call.priority;
    ticket.deadline_us = now + static_cast<std::int64_t>(call.budget_us);
    ticket.shape_key = shape_key(call.inputs, padding());
    ticket.tenant = std::move(call.tenant);
    ticket.alone = call.alone;
    const auto id = ticket.id;
    Pending pending{router, call.number, call.rows, call.alone, std::move(call.inputs)};
    // Those that come together may run together, but nobody is refused while what is before it could have
    // begun.
    const auto& options = queue_->options();
    if (queue_->depth() >= options.max_depth || queue_->bytes() + ticket.bytes > options.max_bytes)
      begin_batches(now);
    if (const auto refused = queue_->admit(std::move(ticket), now)) {
      answer(pending, refusal_of(*refused, pending, now));
    } else {
      pending_.emplace(id, std::move(pending));
    }
  }

  void answer(const Pending& pending, InferAnswer given) {
    given.number = pending.number;
    answers_[pending.router].push_back(std::move(given));
  }

  void send_answers() {
    for (auto& [router, answers] : std::exchange(answers_, {})) {
      for (auto& message : to_messages(std::move(answers))) send(router, std::move(message));
    }
  }

  /// Those that run are not pending any more.
  void on_cancel(std::uint64_t number) {
    const auto found =
        std::ranges::find_if(pending_, [&](const auto& entry) { return entry.second.number == number; });
    if (found == pending_.end()) return;
    queue_->cancel(found->first);
    answer(found->second, refusal(ErrorCode::cancelled, "the client is gone", false));
    pending_.erase(found);
    settle();
  }

  static InferAnswer refusal(ErrorCode code, std::string message, bool elsewhere) {
    InferAnswer answer;
    answer.failure = static_cast<std::uint8_t>(1 + static_cast<int>(code));
    answer.message = std::move(message);
    answer.elsewhere = elsewhere;
    return answer;
  }

  static std::uint64_t bytes_of(const std::vector<ServedTensor>& inputs) {
    std::uint64_t bytes = 0;
    for (const ServedTensor& input : inputs) bytes += input.bytes.size();
    return bytes;
  }

  InferAnswer refusal_of(serving::Refusal why, const Pending& refused, std::int64_t now) const {
    using serving::Refusal;
    const serving::RefusedTicket ticket{refused.rows, bytes_of(refused.inputs), queue_->depth(),
                                        queue_->bytes()};
    auto text = serving::refusal_text(why, ticket, queue_->options());
    switch (why) {
      case Refusal::deadline:
        return refusal(ErrorCode::deadline_exceeded, "it can't be answered within its timeout", true);
      case Refusal::too_large:
        return refusal(ErrorCode::invalid_argument, std::move(text), false);
      case Refusal::draining:
        return refusal(ErrorCode::unavailable, "the replica is about to stop", true);
      case Refusal::queue_full:
      case Refusal::too_many_bytes:
        break;
    }
    auto answer = refusal(ErrorCode::resource_exhausted, std::move(text), true);
    answer.retry_after_ms = static_cast<std::uint32_t>(queue_->retry_after_us(now) / 1000 + 1);
    return answer;
  }

  /// Begins what may begin, and tells those that won't, with what else is to be answered.
  void settle() {
    if (!queue_) return;
    const auto now = now_us();
    begin_batches(now);
    for (const auto& expired : queue_->take_expired(now)) {
      const auto found = pending_.find(expired.id);
      if (found == pending_.end()) continue;
      answer(found->second, refusal_of(expired.why, found->second, now));
      pending_.erase(found);
    }
    const auto wake = queue_->wake_us(now);
    if (wake && (timer_us_ == 0 || *wake < timer_us_)) {
      timer_us_ = *wake;
      delayed_send(this, std::chrono::microseconds(std::max(kLeastTimer_us, *wake - now)), Wake{});
    }
    send_answers();
    leave_if_idle();
  }

  /// Another process gets the GPU back to work. A request that ran alone is at fault and is not asked again:
  /// it would cost another replica its GPU. Who waits is asked again elsewhere, or alone, by the router.
  void on_lost_device(const Work& work, const BatchOutcome& outcome) {
    const auto failed = std::ranges::find_if(outcome.answers, [](const auto& one) { return !one; });
    const std::string why = failed == outcome.answers.end() ? "" : failed->error().message;
    if (work.pending.size() > 1) end_without_device(why);
    answer(work.pending.front(),
           refusal(ErrorCode::internal, "the GPU was lost while this request ran alone: " + why, false));
    send_answers();
    delayed_send(this, kLeaveDelay, worker::Run{[why] { end_without_device(why); }});
  }

  [[noreturn]] static void end_without_device(const std::string& why) {
    spdlog::critical("the GPU can't be used any more, so this replica ends: {}", why);
    spdlog::shutdown();
    std::_Exit(1);
  }

  /// A model may never come back from an input. Its thread can't be ended alone.
  void watch_batches() {
    const auto limit = longest_batch(*spec_.serve);
    if (busy_since_us_ != 0 && std::chrono::microseconds(now_us() - busy_since_us_) > limit) {
      spdlog::critical("a batch runs for more than {} s: this replica ends", limit.count() / 1000);
      spdlog::shutdown();
      std::_Exit(1);
    }
    delayed_send(this, kBusyTick, worker::Run{[this] { watch_batches(); }});
  }

  void begin_batches(std::int64_t now) {
    while (auto batch = queue_->next(now)) begin(*std::move(batch));
  }

  void begin(serving::Batch batch) {
    auto work = std::make_shared<Work>();
    work->requests.reserve(batch.ids.size());
    work->pending.reserve(batch.ids.size());
    for (const auto id : batch.ids) {
      auto found = pending_.extract(id);
      work->requests.push_back(to_tensors(std::move(found.mapped().inputs)));
      work->pending.push_back(std::move(found.mapped()));
    }
    work->batch = std::move(batch);
    if (batches_++ == 0) busy_since_us_ = now_us();
    work->pending.front().alone ? ask_first(work) : run(work);
  }

  /// The router hears that this request runs before it does, since this process may die of it.
  void ask_first(const std::shared_ptr<Work>& work) {
    const Pending& one = work->pending.front();
    const auto leave_it = [this, work](ErrorCode code, const char* why) {
      answer(work->pending.front(), refusal(code, why, true));
      on_ran(*work, 0);
    };
    request(one.router, kBeginLimit, BeginInfer{one.number})
        .then(
            [this, work, leave_it](const InferBegun& begun) {
              if (begun.is_wanted) return run(work);
              leave_it(ErrorCode::cancelled, "nobody waits for it");
            },
            [leave_it](const caf::error&) {
              leave_it(ErrorCode::unavailable, "the router did not hear that it would run");
            });
  }

  void run(const std::shared_ptr<Work>& work) {
    thread_->post([this, work, here = here_, self = caf::actor_cast<caf::actor>(this)] {
      if (model_->has_lost_device()) return;  // the process ends, and the router asks others
      fabric::note_round(work->requests.size());
      auto outcome = std::make_shared<BatchOutcome>(run_batch(*model_, work->requests));
      const bool is_lost = model_->has_lost_device();
      auto on_done = [this, work, outcome, is_lost] {
        if (is_lost) return on_lost_device(*work, *outcome);
        for (std::size_t i = 0; i < work->pending.size(); ++i)
          answer(work->pending[i], answer_of(work->batch, i, *outcome));
        on_ran(*work, outcome->was_split ? 0 : outcome->took_us);
      };
      // On this thread where the actor is idle: the answers then go out, and the next batch begins, without
      // waking another.
      here->send(self, caf::make_message(worker::Run{std::move(on_done)}));
    });
  }

  /// 0: it teaches nothing of how long batches take.
  void on_ran(const Work& work, std::int64_t took_us) {
    busy_since_us_ = --batches_ == 0 ? 0 : now_us();  // the next begins
    queue_->on_done(work.batch, took_us, now_us());
    settle();
  }

  /// Takes its tensors.
  static InferAnswer answer_of(const serving::Batch& batch, std::size_t place, BatchOutcome& outcome) {
    auto& outputs = outcome.answers[place];
    if (!outputs) return refusal(outputs.error().code, outputs.error().message, false);
    InferAnswer answer;
    answer.outputs = to_message(*std::move(outputs));
    answer.batch_wait_ns = static_cast<std::uint64_t>(batch.waited_us[place]) * 1000;
    answer.compute_ns = static_cast<std::uint64_t>(outcome.took_us) * 1000;
    answer.batch_rows = batch.rows;
    answer.released = static_cast<std::uint8_t>(batch.reason);
    answer.is_first = place == 0;
    if (answer.is_first) {
      answer.real_elements = outcome.elements.real;
      answer.padding_elements = outcome.elements.padding;
    }
    return answer;
  }

  // ---- the end --------------------------------------------------------------------------------

  void begin_drain() {
    if (draining_) return;
    draining_ = true;
    if (!queue_) return process_.leave();
    queue_->drain();
    spdlog::info("no new requests are taken; {} are under way", pending_.size());
    delayed_send(this, std::chrono::milliseconds(spec_.serve->drain_ms),
                 worker::Run{[this] { process_.leave(); }});
    settle();
  }

  /// Answers travel behind this call: the process ends when they are on their way.
  void leave_if_idle() {
    if (!draining_ || leaving_ || (queue_ && !queue_->is_empty())) return;
    leaving_ = true;
    delayed_send(this, kLeaveDelay, worker::Run{[this] { process_.leave(); }});
  }

  static constexpr std::chrono::milliseconds kLeaveDelay{100};

  fabric::Fabric& fabric_;
  const head::JobProcess process_;
  head::HeadLine line_;
  std::optional<ReplicaFailed> failed_;
  scheduler::JobSpec spec_;
  QuantizationContext quantization_;
  FileIdentity file_;                ///< of the model's thread while that loads
  std::string origin_;               ///< of the model
  std::optional<BatchQueue> queue_;  ///< once the model is there
  std::map<std::uint64_t, Pending> pending_;
  std::map<caf::actor, std::vector<InferAnswer>> answers_;  ///< that are to be sent
  std::uint64_t tickets_ = 0;
  std::size_t batches_ = 0;         ///< with the model's thread
  std::int64_t busy_since_us_ = 0;  ///< the first of them; 0: there is none
  std::int64_t timer_us_ = 0;       ///< when the next `Wake` comes; 0: none is under way
  bool draining_ = false, leaving_ = false;
  std::unique_ptr<infer::ServedModel> model_;  ///< used on the thread, its metadata anywhere
  std::unique_ptr<ModelThread> thread_;
  const std::shared_ptr<fabric::BorrowedThread> here_;  ///< the model's, as far as it runs this actor
};

}  // namespace

caf::actor spawn_replica(caf::actor_system& system, fabric::Fabric& fabric, head::JobProcess process) {
  return caf::actor_cast<caf::actor>(system.spawn<Replica>(std::ref(fabric), std::move(process)));
}

}  // namespace ds::replica
