#include "actors/worker/worker_actor.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <caf/all.hpp>
#include <chrono>
#include <optional>
#include <thread>

#include "actors/fabric/end_process.hpp"
#include "actors/head/locator.hpp"
#include "actors/job/gang.hpp"
#include "actors/messages/server.hpp"
#include "actors/messages/shard.hpp"
#include "actors/messages/worker.hpp"
#include "actors/shard/shard_feed.hpp"
#include "actors/worker/audit_log.hpp"
#include "actors/worker/batch_message.hpp"
#include "actors/worker/server_link.hpp"
#include "actors/worker/step_meter.hpp"
#include "actors/worker/trainer.hpp"
#include "scheduler/spec/job_file.hpp"

namespace ds::worker {

using namespace messages;

/// Local message: something to do on the actor, from another thread.
struct Run {
  std::function<void()> action;
};

}  // namespace ds::worker

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::worker::Run)

namespace ds::worker {
namespace {

constexpr auto kStateDeadline = std::chrono::seconds(120);
constexpr auto kSaveDeadline = std::chrono::seconds(300);
constexpr auto kSaveRetry = std::chrono::seconds(2);

StateReply to_reply(const train::StateImage& image) {
  StateReply reply{image.step, image.description, {}, {}, {}};
  for (const auto& [name, tensor] : image.tensors) {
    reply.names.push_back(name);
    reply.tensors.push_back(tensor);
  }
  return reply;
}

train::StateImage to_image(const StateReply& reply) {
  train::StateImage image{reply.step, reply.description, {}};
  for (std::size_t i = 0; i < reply.names.size() && i < reply.tensors.size(); ++i) {
    image.tensors.emplace_back(reply.names[i], reply.tensors[i]);
  }
  return image;
}

/// A checkpoint on its way to the head. One is under way, at most one waits: the newest.
struct PendingCheckpoint {
  std::uint64_t generation = 0;
  train::StateImage image;
  std::map<std::string, double> metrics;
  bool last = false;
};

class Worker : public caf::event_based_actor {
 public:
  Worker(caf::actor_config& config, fabric::Fabric& fabric, collective::ExchangeHub& exchanges,
         WorkerOptions options)
      : event_based_actor(config),
        fabric_(fabric),
        exchanges_(exchanges),
        options_(std::move(options)),
        never_stop_(std::make_shared<std::atomic<bool>>(false)),
        trainer_(make_events(), [this](const scheduler::JobSpec& spec, const train::BatchMaker& maker) {
          return make_feed(spec, maker);
        }) {}

 private:
  template <class One>
  auto answer_handler() {
    return [this](const RangeAnswer& header, const One& answer) {
      on_answer(header, parameters::Answer(answer));
    };
  }

 public:
  caf::behavior make_behavior() override {
    fabric::end_process_on_exception(*this, "the worker");
    set_down_handler([this](caf::down_msg& down) {
      if (head_ && down.source == head_.address()) return on_head_lost();
      on_server_lost(down.source);
      on_shard_lost(down.source);
    });
    head::search_head(system(), options_.head, this, never_stop_);
    return {
        [this](const head::HeadFound& found) { on_head_found(found.head); },
        [this](const HelloTaken&) { on_hello_taken(); },
        [this](const AssignJob& job) { on_assign(job); },
        [this](const PauseGang& order) { on_pause(order); },
        [this](const JoinGang& order) { on_join(order); },
        [this](const StartSteps& order) { trainer_.start(order.generation); },
        [this](const UseShards& use) { on_shards(use); },
        [this](const BatchMade& made) { on_batch(made); },
        [this](const FetchState& request) { return on_fetch(request); },
        [this](const ExportOrder& order) { on_export(order); },
        [this](const StopWorker&) { options_.leave(); },
        [](const Run& run) { run.action(); },
        [this](const RangeAnswer& header, const RangeRefused& why) {
          on_answer(header, fail(static_cast<ErrorCode>(why.code), why.message, why.hint));
        },
        answer_handler<parameters::Prepared>(),
        answer_handler<parameters::Pulled>(),
        answer_handler<parameters::Pushed>(),
        answer_handler<parameters::RangeImage>(),
        answer_handler<parameters::Done>(),
    };
  }

 private:
  /// Runs `action` on this actor; callable from any thread.
  template <class Action>
  void post(Action action) {
    caf::anon_send(caf::actor_cast<caf::actor>(this), Run{std::move(action)});
  }

  TrainerEvents make_events() {
    TrainerEvents events;
    events.on_ready = [this](auto, auto) { post([this] { say_hello(); }); };
    events.on_impossible = [this](const Error& why) { post([this, why] { on_impossible(why); }); };
    events.on_paused = [this](auto generation, auto step) {
      post([=, this] { tell_master(GangPaused{options_.worker, generation, step}); });
    };
    events.on_joined = [this](auto generation) {
      post([=, this] { tell_master(GangJoined{options_.worker, generation}); });
    };
    events.on_stuck = [this](auto generation, auto step, const Error& why) {
      post([=, this] { on_stuck({options_.worker, generation, step, why.message}); });
    };
    events.on_share = [this](auto generation, const train::TakenShare& share) {
      return record_share(generation, share);
    };
    events.on_step = [this](auto generation, const train::StepResult& result) {
      record_step(generation, result.step);
      post([=, this] { on_step(generation, result); });
    };
    events.on_evaluated = [this](auto generation, const train::EvaluationResult& result) {
      post([=, this] { on_evaluated(generation, result); });
    };
    events.on_checkpoint = [this](auto generation, train::StateImage image, auto metrics, bool last) {
      post([this, generation, image = std::move(image), metrics = std::move(metrics), last] {
        waiting_ = PendingCheckpoint{generation, image, metrics, last};
        save_next();
      });
    };
    return events;
  }

  /// Of a parameter server.
  void on_answer(const RangeAnswer& header, Result<parameters::Answer> answer) {
    if (servers_ && header.generation == newest_) servers_->on_answer(header.ticket, std::move(answer));
  }

  template <class Message>
  void tell_master(Message message) {
    if (master_) send(master_, std::move(message));
  }

  // ---- the head comes and goes ----------------------------------------------------------------

  void on_head_found(const fabric::ActorAddress& address) {
    head_ = fabric_.resolve(address);
    monitor(head_);
    say_hello();
  }

  void on_head_lost() {
    spdlog::warn("the head is gone; training goes on while it is looked for");
    head_ = nullptr;
    master_ = nullptr;
    head::search_head(system(), options_.head, this, never_stop_);
  }

  void say_hello() {
    if (!head_) return;
    const auto at = trainer_.position();
    auto phase = job::WorkerPhase::fresh;
    // Once a newer generation was ordered the trainer is about to stop, whatever it still says.
    const bool trains = at.training && at.generation == newest_;
    if (at.ready) phase = trains ? job::WorkerPhase::training : job::WorkerPhase::ready;
    if (finished_) phase = job::WorkerPhase::finished;
    send(head_,
         WorkerHello{options_.worker, options_.job, fabric_.address_of(this),
                     static_cast<std::uint8_t>(phase), std::max(at.generation, newest_), at.step,
                     at.total_steps, at.steps_per_epoch, at.fingerprint, at.parameters, at.row_tables});
  }

  /// What the last head may not have heard.
  void on_hello_taken() {
    master_ = caf::actor_cast<caf::actor>(current_sender());
    if (impossible_) tell_master(*impossible_);
    if (stuck_) tell_master(*stuck_);
    if (finished_) tell_master(*finished_);
    save_next();
  }

  // ---- orders ---------------------------------------------------------------------------------

  void on_assign(const AssignJob& job) {
    auto parsed = scheduler::parse_job_file(job.text, job.directory);
    if (auto* file = std::get_if<scheduler::ParsedJob>(&parsed)) {
      audit_folder_ = scheduler::audit_folder(job.directory, options_.job);
      return trainer_.assign(std::move(file->spec));
    }
    const auto& first = std::get<std::vector<scheduler::SpecError>>(parsed).front();
    on_impossible({ErrorCode::invalid_argument, scheduler::format_spec_error(first, job.file), {}});
  }

  void on_impossible(const Error& why) {
    impossible_ =
        JobImpossible{options_.worker, why.hint.empty() ? why.message : why.message + " (" + why.hint + ")"};
    spdlog::error("{}", impossible_->why);
    tell_master(*impossible_);
  }

  void on_pause(const PauseGang& order) {
    if (order.generation < newest_) return;
    newest_ = order.generation;
    stuck_.reset();
    trainer_.pause(order.generation);
  }

  void on_join(const JoinGang& order) {
    if (order.generation < newest_ || order.rank >= order.members.size()) return;
    newest_ = order.generation;
    TrainerPlace place;
    place.generation = order.generation;
    place.rank = order.rank;
    std::vector<fabric::ProcessAddress> processes;
    for (const auto& member : order.members) {
      place.ranges.push_back({member.first, member.last});
      processes.push_back(member.actor.process);
    }
    if (processes.size() > 1) {
      auto exchange = exchanges_.make(order.job, order.generation, order.rank, std::move(processes));
      if (!exchange) {
        return on_stuck(
            {options_.worker, order.generation, trainer_.position().step, exchange.error().message});
      }
      place.exchange = std::move(*exchange);
    }
    servers_ = order.primaries.empty() ? nullptr : make_link(order);
    place.servers = servers_;
    place.seed = order.seed;
    place.step = order.step;
    rank_ = order.rank;
    meter_ = {};
    spdlog::info("generation {}: rank {} of {}, logical ranks {} to {}, step {}", order.generation,
                 order.rank, order.members.size(), place.ranges[order.rank].first,
                 place.ranges[order.rank].last - 1, order.step);
    const bool has_state = servers_ ? !order.seed || order.step == 0 : trainer_.position().step == order.step;
    if (has_state) return trainer_.join(std::move(place));
    fetch_state(order, std::move(place));
  }

  std::shared_ptr<ServerLink> make_link(const JoinGang& order) {
    for (const auto& primary : std::exchange(primaries_, {})) demonitor(primary);
    std::vector<std::uint64_t> processes;
    for (const auto& address : order.primaries) {
      primaries_.push_back(fabric_.resolve(address));
      monitor(primaries_.back());
      processes.push_back(address.process.id);
    }
    auto cut = parameters::cut_into_ranges(trainer_.position().parameters,
                                           static_cast<std::uint32_t>(primaries_.size()));
    return std::make_shared<ServerLink>(
        std::move(cut), std::move(processes),
        [primaries = primaries_, generation = order.generation, self = fabric_.address_of(this)](
            std::uint32_t range, std::uint64_t ticket, parameters::Request request) {
          const RangeCall call{generation, range, ticket, self};
          std::visit([&](auto& one) { caf::anon_send(primaries[range], call, std::move(one)); }, request);
        });
  }

  /// Its process may live: what was on the way between the two is gone, and nobody else needs to notice.
  void on_server_lost(const caf::actor_addr& source) {
    const bool is_primary =
        std::ranges::any_of(primaries_, [&](const auto& primary) { return primary.address() == source; });
    if (is_primary && servers_)
      servers_->abort({ErrorCode::unavailable, "the connection to a parameter server was lost", {}});
  }

  void fetch_state(const JoinGang& order, TrainerPlace place) {
    const auto generation = order.generation;
    const auto step = order.step;
    const auto give_up = [=, this](const std::string& why) {
      if (generation == newest_) on_stuck({options_.worker, generation, trainer_.position().step, why});
    };
    request(fabric_.resolve(order.source), kStateDeadline, FetchState{order.job, step})
        .then(
            [=, this](const StateReply& reply) mutable {
              if (generation != newest_) return;
              if (!reply.error.empty() || reply.step != step) {
                return give_up(fmt::format("the state of step {} could not be had: {}", step, reply.error));
              }
              place.state = to_image(reply);
              trainer_.join(std::move(place));
            },
            [=, this](const caf::error& error) {
              give_up(fmt::format("the state of step {} could not be had: {}", step, system().render(error)));
            });
  }

  caf::response_promise on_fetch(const FetchState& request) {
    auto promise = make_response_promise();
    trainer_.read_state([=, this](const std::optional<train::StateImage>& image) mutable {
      post([=]() mutable {
        if (image && image->step == request.step) return promise.deliver(to_reply(*image));
        promise.deliver(StateReply{0, {}, {}, {}, "this worker is not at that step"});
      });
    });
    return promise;
  }

  void on_export(const ExportOrder& order) {
    // Torch works on a thread of its own; the process ends when the head has the file.
    std::thread([this, order] {
      ExportDone exported{options_.worker, {}, {}};
      const auto format = order.format == "torchscript"  ? train::ExportFormat::torchscript
                          : order.format == "state_dict" ? train::ExportFormat::state_dict
                                                         : train::ExportFormat::safetensors;
      auto file = train::export_model(to_image(order.state), format);
      if (file) {
        exported.file = std::move(*file);
      } else {
        exported.error = file.error().message;
      }
      post([this, exported] {
        if (head_) send(head_, exported);
      });
    }).detach();
  }

  // ---- the audit's record, on the trainer's thread ----------------------------------------------

  Result<void> record_share(std::uint64_t generation, const train::TakenShare& share) {
    if (!audit_) {
      auto opened = AuditLog::open(audit_folder_, options_.job, options_.worker, share);
      if (!opened) return tl::unexpected(opened.error());
      audit_ = *std::move(opened);
    }
    return audit_->took(generation, share);
  }

  /// A disk that is full fails the next step, when its shares are recorded.
  void record_step(std::uint64_t generation, std::uint64_t step) {
    if (!audit_) return;
    if (const auto written = audit_->done(generation, step); !written)
      spdlog::error("{}", written.error().message);
  }

  // ---- data shards ----------------------------------------------------------------------------

  std::unique_ptr<train::BatchSource> make_feed(const scheduler::JobSpec& spec,
                                                const train::BatchMaker& maker) {
    // Only of our own models it is known that they write to nothing that they are given.
    const bool ours = spec.model.torchscript.empty() && spec.model.plugin.empty();
    const auto memory = ours ? shard::ShardFeed::Memory::mapped : shard::ShardFeed::Memory::copied;
    const auto tell = [this, fingerprint = maker.dataset().fingerprint()](const shard::FetchPlan::Ask& ask) {
      AskBatches message{options_.worker, fingerprint, ask.forget, {}};
      for (const train::MicroBatch& which : ask.wanted) message.wanted.push_back(to_name(which));
      post([this, shard = ask.shard, message = std::move(message)] {
        if (const auto known = shards_.find(shard); known != shards_.end()) send(known->second, message);
      });
    };
    return std::make_unique<shard::ShardFeed>(maker, line_, tell, memory);
  }

  void on_shards(const UseShards& use) {
    std::map<std::uint64_t, caf::actor> shards;
    std::vector<std::uint64_t> numbers;
    for (const auto& address : use.shards) {
      const std::uint64_t number = address.process.id;
      const auto known = shards_.find(number);
      shards[number] = known == shards_.end() ? fabric_.resolve(address) : known->second;
      if (known == shards_.end()) monitor(shards[number]);
      numbers.push_back(number);
    }
    shards_ = std::move(shards);
    line_.set_shards(std::move(numbers));
  }

  /// Of the shard that it came from, whatever it says of itself.
  void on_batch(const BatchMade& made) {
    const auto source = caf::actor_cast<caf::actor_addr>(current_sender());
    const auto from =
        std::ranges::find_if(shards_, [&](const auto& shard) { return shard.second.address() == source; });
    if (from != shards_.end()) line_.bring(from->first, to_micro_batch(made.name), to_batch(made));
  }

  void on_shard_lost(const caf::actor_addr& source) {
    const auto lost =
        std::ranges::find_if(shards_, [&](const auto& shard) { return shard.second.address() == source; });
    if (lost == shards_.end()) return;
    line_.lose(lost->first);
    shards_.erase(lost);
  }

  // ---- news from the trainer ------------------------------------------------------------------

  void on_stuck(const GangStuck& stuck) {
    spdlog::warn("generation {} stopped at step {}: {}", stuck.generation, stuck.step, stuck.why);
    stuck_ = stuck;
    tell_master(stuck);
  }

  void on_step(std::uint64_t generation, const train::StepResult& result) {
    if (!result.bad_record.empty())
      spdlog::warn("step {}: left out a bad record: {}", result.step, result.bad_record);
    if (rank_ != 0) return;
    if (!result.updated)
      spdlog::warn("step {}: a gradient was not finite{}: it changed nothing ({} such steps so far)",
                   result.step,
                   result.loss_scale != 1 ? fmt::format(" with a loss scale of {}", result.loss_scale) : "",
                   result.skipped_steps);
    meter_.add(result);
    const bool epoch_ends = result.step % trainer_.position().steps_per_epoch == 0;
    if (auto report = meter_.take(epoch_ends)) {
      report->worker = options_.worker;
      report->generation = generation;
      tell_master(std::move(*report));
    }
  }

  void on_evaluated(std::uint64_t generation, const train::EvaluationResult& result) {
    if (const auto counts = line_.counts()) {
      spdlog::info("step {}: {} batches came from data shards, {} were made here", result.step,
                   counts->from_shards, counts->made_here);
    }
    if (rank_ != 0) return;
    EvaluationReport report{options_.worker, generation, result.step,
                            result.loss,     {},         result.majority_accuracy};
    for (const auto& [name, value] : result.metrics) report.metrics.emplace(name, value);
    tell_master(std::move(report));
  }

  void save_next() {
    if (!master_ || saving_ || !waiting_) return;
    saving_ = std::move(waiting_);
    waiting_.reset();
    SaveCheckpoint message{options_.job, options_.worker, saving_->generation, {}, to_reply(saving_->image)};
    for (const auto& [name, value] : saving_->metrics) message.metrics.emplace(name, value);
    request(master_, kSaveDeadline, std::move(message))
        .then([this](const CheckpointSaved& saved) { on_saved(saved.error); },
              [this](const caf::error& error) { on_saved(system().render(error)); });
  }

  void on_saved(const std::string& error) {
    auto saved = std::move(*saving_);
    saving_.reset();
    if (error.empty()) {
      if (saved.last) {
        finished_ = TrainingFinished{options_.worker, saved.generation, saved.image.step};
        tell_master(*finished_);
      }
      return save_next();
    }
    spdlog::warn("the checkpoint of step {} was not saved: {}", saved.image.step, error);
    // A newer one replaces it; else it is tried again, with the next head if this one is gone.
    if (!waiting_) waiting_ = std::move(saved);
    if (master_) delayed_send(this, kSaveRetry, Run{[this] { save_next(); }});
  }

  fabric::Fabric& fabric_;
  collective::ExchangeHub& exchanges_;
  WorkerOptions options_;
  std::shared_ptr<std::atomic<bool>> never_stop_;
  caf::actor head_;
  caf::actor master_;
  std::uint64_t newest_ = 0;
  std::uint32_t rank_ = 0;
  std::shared_ptr<ServerLink> servers_;  ///< of the newest generation, if it has any
  std::vector<caf::actor> primaries_;    ///< whom it talks to, by range
  StepMeter meter_;
  std::optional<PendingCheckpoint> saving_;
  std::optional<PendingCheckpoint> waiting_;
  std::optional<JobImpossible> impossible_;
  std::optional<GangStuck> stuck_;
  std::optional<TrainingFinished> finished_;
  std::string audit_folder_;                    ///< known before the trainer has a job
  std::unique_ptr<AuditLog> audit_;             ///< the trainer's thread's
  std::map<std::uint64_t, caf::actor> shards_;  ///< by process
  shard::ShardLine line_;
  Trainer trainer_;  ///< last: its thread calls into all of the above
};

}  // namespace

caf::actor spawn_worker(caf::actor_system& system, fabric::Fabric& fabric, collective::ExchangeHub& exchanges,
                        WorkerOptions options) {
  return caf::actor_cast<caf::actor>(
      system.spawn<Worker>(std::ref(fabric), std::ref(exchanges), std::move(options)));
}

}  // namespace ds::worker
