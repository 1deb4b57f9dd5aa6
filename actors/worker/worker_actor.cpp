#include "actors/worker/worker_actor.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <caf/all.hpp>
#include <chrono>
#include <optional>
#include <thread>

#include "actors/fabric/actor_guard.hpp"
#include "actors/head/assigned_job.hpp"
#include "actors/head/head_line.hpp"
#include "actors/job/gang.hpp"
#include "actors/messages/server.hpp"
#include "actors/messages/shard.hpp"
#include "actors/messages/worker.hpp"
#include "actors/worker/audit_log.hpp"
#include "actors/worker/checkpoint_sender.hpp"
#include "actors/worker/reading_news.hpp"
#include "actors/worker/run.hpp"
#include "actors/worker/server_contacts.hpp"
#include "actors/worker/shard_contacts.hpp"
#include "actors/worker/state_message.hpp"
#include "actors/worker/step_meter.hpp"
#include "actors/worker/trainer.hpp"

namespace ds::worker {
namespace {

using namespace messages;

class Worker : public caf::event_based_actor {
 public:
  Worker(caf::actor_config& config, fabric::Fabric& fabric, collective::ExchangeHub& exchanges,
         head::JobProcess process)
      : event_based_actor(config),
        fabric_(fabric),
        exchanges_(exchanges),
        process_(std::move(process)),
        line_(*this, fabric, process_.head),
        checkpoints_(*this, line_, process_,
                     [this](const TrainingFinished& finished) { on_finished(finished); }),
        reading_(*this, line_, process_.worker, [this] { return trainer_.position().creating; }),
        servers_(*this, fabric),
        shards_(*this, fabric, process_.worker),
        trainer_(make_events(), [this](const scheduler::JobSpec& spec, const train::BatchMaker& maker) {
          return shards_.make_feed(spec, maker);
        }) {}

 private:
  template <class One>
  auto answer_handler() {
    return [this](const RangeAnswer& header, const One& answer) {
      servers_.on_answer(header, parameters::Answer(answer));
    };
  }

 public:
  caf::behavior make_behavior() override {
    fabric::guard_actor(*this, "the worker");
    set_down_handler([this](caf::down_msg& down) {
      if (line_.on_down(down.source, "training goes on")) return;
      servers_.on_down(down.source);
      shards_.on_down(down.source);
    });
    line_.search();
    reading_.start();
    return {
        [this](const head::HeadFound& found) {
          line_.on_found(found);
          say_hello();
        },
        [this](const HelloTaken&) { on_hello_taken(); },
        [this](const AssignJob& job) { on_assign(job); },
        [this](const PauseGang& order) { on_pause(order); },
        [this](const JoinGang& order) { on_join(order); },
        [this](const StartSteps& order) { trainer_.start(order.generation); },
        [this](const UseShards& use) { shards_.on_shards(use); },
        [this](const BatchMade& made) { shards_.on_batch(made); },
        [this](const FetchState& request) { return on_fetch(request); },
        [this](const ExportOrder& order) { on_export(order); },
        [this](const StopWorker&) { process_.leave(); },
        [](const Run& run) { run.action(); },
        [this](const RangeAnswer& header, const RangeRefused& why) {
          servers_.on_answer(header, fail(static_cast<ErrorCode>(why.code), why.message, why.hint));
        },
        answer_handler<parameters::Prepared>(),
        answer_handler<parameters::Pulled>(),
        answer_handler<parameters::Pushed>(),
        answer_handler<parameters::RangeImage>(),
        answer_handler<parameters::Done>(),
    };
  }

 private:
  TrainerEvents make_events() {
    TrainerEvents events;
    events.on_ready = [this](auto, auto) { post(this, [this] { say_hello(); }); };
    events.on_impossible = [this](const Error& why) { post(this, [this, why] { on_impossible(why); }); };
    events.on_failed = [this](const Error& why) { post(this, [this, why] { on_failed(why); }); };
    events.on_paused = [this](auto generation, auto step) {
      post(this, [=, this] { line_.tell_master(GangPaused{process_.worker, generation, step}); });
    };
    events.on_joined = [this](auto generation, auto step) {
      record_outcome(generation, step);
      post(this, [=, this] { line_.tell_master(GangJoined{process_.worker, generation}); });
    };
    events.on_stuck = [this](auto generation, auto step, const Error& why) {
      post(this, [=, this] { on_stuck({process_.worker, generation, step, why.message}); });
    };
    events.on_share = [this](auto generation, const train::TakenShare& share) {
      return record_share(generation, share);
    };
    events.on_step = [this](auto generation, const train::StepResult& result) {
      record_step(generation, result.step);
      post(this, [=, this] { on_step(generation, result); });
    };
    events.on_evaluated = [this](auto generation, const train::EvaluationResult& result) {
      post(this, [=, this] { on_evaluated(generation, result); });
    };
    events.on_checkpoint = [this](auto generation, train::StateImage image, auto metrics, bool last) {
      post(this, [this, generation, image = std::move(image), metrics = std::move(metrics), last] {
        checkpoints_.offer({generation, image, metrics, last});
      });
    };
    return events;
  }

  // ---- the head comes and goes ----------------------------------------------------------------

  void say_hello() {
    const auto at = trainer_.position();
    auto phase = job::WorkerPhase::fresh;
    // Once a newer generation was ordered the trainer is about to stop, whatever it still says.
    const bool trains = at.training && at.generation == newest_;
    if (at.ready) phase = trains ? job::WorkerPhase::training : job::WorkerPhase::ready;
    if (finished_) phase = job::WorkerPhase::finished;
    line_.tell_head(WorkerHello{process_.worker, process_.job, fabric_.address_of(this),
                                static_cast<std::uint8_t>(phase), std::max(at.generation, newest_), at.step,
                                at.total_steps, at.steps_per_epoch, at.fingerprint, at.parameters,
                                at.row_tables});
  }

  /// What the last head may not have heard.
  void on_hello_taken() {
    line_.on_taken();
    if (impossible_) line_.tell_master(*impossible_);
    if (failed_) line_.tell_master(*failed_);
    if (stuck_) line_.tell_master(*stuck_);
    if (finished_) line_.tell_master(*finished_);
    checkpoints_.send_next();
  }

  // ---- orders ---------------------------------------------------------------------------------

  void on_assign(const AssignJob& job) {
    auto spec = head::read_assigned_job(job);
    if (!spec) return on_impossible(spec.error());
    audit_folder_ = scheduler::audit_folder(job.directory, process_.job);
    trainer_.assign(*std::move(spec), job.max_state_bytes);
  }

  void on_impossible(const Error& why) {
    impossible_ = JobImpossible{process_.worker, head::log_end(why)};
    line_.tell_master(*impossible_);
  }

  void on_failed(const Error& why) {
    failed_ = WorkerFailed{process_.worker, head::log_end(why)};
    line_.tell_master(*failed_);
  }

  void on_pause(const PauseGang& order) {
    if (order.generation < newest_) return;
    newest_ = order.generation;
    stuck_.reset();
    trainer_.pause(order.generation);
    const auto at = trainer_.position();
    if (!at.computing) return;
    line_.tell_master(
        GangPausing{process_.worker, order.generation, static_cast<std::uint64_t>(at.longest_piece.count())});
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
            {process_.worker, order.generation, trainer_.position().step, exchange.error().message});
      }
      place.exchange = std::move(*exchange);
    }
    place.servers = servers_.make_link(order, trainer_.position().parameters);
    place.seed = order.seed;
    place.step = order.step;
    rank_ = order.rank;
    meter_ = {};
    spdlog::info("generation {}: rank {} of {}, logical ranks {} to {}, step {}", order.generation,
                 order.rank, order.members.size(), place.ranges[order.rank].first,
                 place.ranges[order.rank].last - 1, order.step);
    const bool has_state =
        place.servers ? !order.seed || order.step == 0 : trainer_.position().step == order.step;
    if (has_state) return trainer_.join(std::move(place));
    fetch_state(order, std::move(place));
  }

  void fetch_state(const JoinGang& order, TrainerPlace place) {
    const auto generation = order.generation;
    const auto step = order.step;
    spdlog::info("generation {}: takes the state of step {} from {}", generation, step,
                 order.source.actor == fabric::kHeadActor ? "the checkpoint" : "another worker");
    const auto give_up = [=, this](const std::string& why) {
      if (generation == newest_) on_stuck({process_.worker, generation, trainer_.position().step, why});
    };
    request(fabric_.resolve(order.source), job::state_deadline(trainer_.position().parameters),
            FetchState{order.job, step})
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
      post(this, [=]() mutable {
        if (image && image->step == request.step) return promise.deliver(to_message(*image));
        promise.deliver(StateReply{0,
                                   {},
                                   {},
                                   {},
                                   image ? "the worker asked is not at that step"
                                         : "the worker asked has none, or no memory for a copy"});
      });
    });
    return promise;
  }

  void on_export(const ExportOrder& order) {
    // Torch works on a thread of its own; the process ends when the head has the file.
    std::thread([this, order] {
      ExportDone exported{process_.worker, {}, {}};
      const auto format = order.format == "torchscript"  ? train::ExportFormat::torchscript
                          : order.format == "state_dict" ? train::ExportFormat::state_dict
                                                         : train::ExportFormat::safetensors;
      auto file = train::export_model(to_image(order.state), format);
      if (file) {
        exported.file = std::move(*file);
      } else {
        exported.error = file.error().message;
      }
      post(this, [this, exported] { line_.tell_head(exported); });
    }).detach();
  }

  // ---- the audit's record, on the trainer's thread ----------------------------------------------

  Result<void> record_share(std::uint64_t generation, const train::TakenShare& share) {
    if (!audit_) {
      auto opened = AuditLog::open(audit_folder_, process_.job, process_.worker, share);
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

  /// A generation goes on from a step: so it is committed, whether or not a member has heard of it.
  void record_outcome(std::uint64_t generation, std::uint64_t step) {
    if (audit_ && audit_->is_undecided(step)) record_step(generation, step);
  }

  // ---- news from the trainer ------------------------------------------------------------------

  void on_stuck(const GangStuck& stuck) {
    spdlog::warn("generation {} stopped at step {}: {}", stuck.generation, stuck.step, stuck.why);
    stuck_ = stuck;
    line_.tell_master(stuck);
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
      report->worker = process_.worker;
      report->generation = generation;
      line_.tell_master(std::move(*report));
    }
  }

  void on_evaluated(std::uint64_t generation, const train::EvaluationResult& result) {
    if (const auto counts = shards_.counts()) {
      spdlog::info("step {}: {} batches came from data shards, {} were made here", result.step,
                   counts->from_shards, counts->made_here);
    }
    if (rank_ != 0) return;
    EvaluationReport report{process_.worker, generation, result.step,
                            result.loss,     {},         result.majority_accuracy};
    for (const auto& [name, value] : result.metrics) report.metrics.emplace(name, value);
    if (result.noise_scale > 0) report.metrics.emplace("gradient_noise_scale", result.noise_scale);
    line_.tell_master(std::move(report));
  }

  void on_finished(const TrainingFinished& finished) {
    finished_ = finished;
    line_.tell_master(finished);
  }

  fabric::Fabric& fabric_;
  collective::ExchangeHub& exchanges_;
  const head::JobProcess process_;
  head::HeadLine line_;
  CheckpointSender checkpoints_;
  ReadingNews reading_;
  ServerContacts servers_;
  ShardContacts shards_;
  std::uint64_t newest_ = 0;
  std::uint32_t rank_ = 0;
  StepMeter meter_;
  std::optional<JobImpossible> impossible_;
  std::optional<WorkerFailed> failed_;
  std::optional<GangStuck> stuck_;
  std::optional<TrainingFinished> finished_;
  std::string audit_folder_;         ///< known before the trainer has a job
  std::unique_ptr<AuditLog> audit_;  ///< the trainer's thread's
  Trainer trainer_;                  ///< last: its thread calls into all of the above
};

}  // namespace

caf::actor spawn_worker(caf::actor_system& system, fabric::Fabric& fabric, collective::ExchangeHub& exchanges,
                        head::JobProcess process) {
  return caf::actor_cast<caf::actor>(
      system.spawn<Worker>(std::ref(fabric), std::ref(exchanges), std::move(process)));
}

}  // namespace ds::worker
