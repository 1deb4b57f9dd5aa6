#include "actors/worker/shard_actor.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <caf/all.hpp>
#include <memory>
#include <thread>
#include <utility>

#include "actors/fabric/actor_guard.hpp"
#include "actors/head/assigned_job.hpp"
#include "actors/head/head_line.hpp"
#include "actors/job/gang.hpp"
#include "actors/messages/shard.hpp"
#include "actors/messages/worker.hpp"
#include "actors/shard/workshop.hpp"
#include "actors/worker/batch_message.hpp"
#include "actors/worker/reading_news.hpp"
#include "actors/worker/run.hpp"

namespace ds::worker {
namespace {

using namespace messages;

class Shard : public caf::event_based_actor {
 public:
  Shard(caf::actor_config& config, fabric::Fabric& fabric, head::JobProcess process)
      : event_based_actor(config),
        fabric_(fabric),
        process_(std::move(process)),
        line_(*this, fabric, process_.head),
        reading_(*this, line_, process_.worker,
                 [this] { return opener_.joinable() && !workshop_ && !impossible_; }) {}

  /// Its threads call this actor, so they end before it does.
  void on_exit() override {
    opener_ = {};
    workshop_.reset();
  }

  caf::behavior make_behavior() override {
    fabric::guard_actor(*this, "the data shard");
    set_down_handler([this](caf::down_msg& down) { on_down(down.source); });
    line_.search();
    reading_.start();
    return {
        [this](const head::HeadFound& found) {
          line_.on_found(found);
          say_hello();
        },
        [this](const HelloTaken&) { on_hello_taken(); },
        [this](const AssignJob& job) { on_assign(job); },
        [this](const AskBatches& ask) { on_ask(ask); },
        [this](const StopWorker&) { process_.leave(); },
        [](const Run& run) { run.action(); },
    };
  }

 private:
  // ---- the head comes and goes ----------------------------------------------------------------

  void on_down(const caf::actor_addr& source) {
    if (line_.on_down(source, "workers are served")) return;
    const auto gone =
        std::ranges::find_if(workers_, [&](const auto& worker) { return worker.second.address() == source; });
    if (gone == workers_.end()) return;
    if (workshop_) workshop_->forget(gone->first);
    workers_.erase(gone);
  }

  void say_hello() {
    WorkerHello hello;
    hello.worker = process_.worker;
    hello.job = process_.job;
    hello.actor = fabric_.address_of(this);
    hello.phase = static_cast<std::uint8_t>(workshop_ ? job::WorkerPhase::ready : job::WorkerPhase::fresh);
    line_.tell_head(std::move(hello));
  }

  void on_hello_taken() {
    line_.on_taken();
    if (impossible_) line_.tell_master(*impossible_);
  }

  // ---- the data -------------------------------------------------------------------------------

  void on_assign(const AssignJob& job) {
    if (opener_.joinable()) return;  // a new head gave the same job again
    auto spec = head::read_assigned_job(job);
    if (!spec) return on_impossible(spec.error());
    spec_ = *std::move(spec);
    opener_ = std::jthread([this] {
      data::DatasetOptions options;
      options.threads = spec_.resources.threads();
      auto opened = data::Dataset::open_training(spec_.data, options);
      // A function that CAF copies cannot hold what only moves.
      auto dataset = std::make_shared<decltype(opened)>(std::move(opened));
      post(this, [this, dataset] { on_opened(std::move(*dataset)); });
    });
  }

  void on_opened(Result<std::unique_ptr<data::Dataset>> dataset) {
    if (!dataset) return on_impossible(dataset.error());
    dataset_ = *std::move(dataset);
    maker_ = std::make_unique<train::BatchMaker>(spec_, *dataset_);
    shard::Workshop::Options options;
    options.threads = spec_.resources.threads();
    workshop_ = std::make_unique<shard::Workshop>(
        *maker_, options, [this](const shard::Order& order, const Result<data::Batch>& batch) {
          BatchMade made = to_message(order.which, batch);
          post(this, [this, worker = order.worker, made = std::move(made)] { deliver(worker, made); });
        });
    spdlog::info("{} samples are ready to be batched", dataset_->size());
    say_hello();
  }

  void on_impossible(const Error& why) {
    impossible_ = JobImpossible{process_.worker, head::log_end(why)};
    line_.tell_master(*impossible_);
  }

  // ---- batches --------------------------------------------------------------------------------

  void on_ask(const AskBatches& ask) {
    const auto worker = caf::actor_cast<caf::actor>(current_sender());
    if (!workshop_ || !worker) return;
    caf::actor& known = workers_[ask.worker];
    if (known != worker) monitor(worker);
    known = worker;
    if (ask.forget) workshop_->forget(ask.worker);
    if (ask.fingerprint != dataset_->fingerprint())
      return refuse(worker,
                    "it reads other training data than the worker: a file is another one on its node");
    std::vector<train::MicroBatch> wanted;
    for (const BatchName& name : ask.wanted) wanted.push_back(to_micro_batch(name));
    if (!workshop_->order(ask.worker, wanted))
      refuse(worker, "it was asked for too many batches, or for one that the job has not");
  }

  void refuse(const caf::actor& worker, std::string why) {
    BatchMade made;
    made.error = std::move(why);
    send(worker, std::move(made));
  }

  void deliver(std::uint64_t worker, const BatchMade& made) {
    const auto known = workers_.find(worker);
    if (known != workers_.end()) send(known->second, made);
  }

  fabric::Fabric& fabric_;
  const head::JobProcess process_;
  head::HeadLine line_;
  ReadingNews reading_;
  std::optional<JobImpossible> impossible_;
  std::map<std::uint64_t, caf::actor> workers_;  ///< that have asked and live
  scheduler::JobSpec spec_;
  std::unique_ptr<data::Dataset> dataset_;
  std::unique_ptr<train::BatchMaker> maker_;
  std::unique_ptr<shard::Workshop> workshop_;  ///< its threads use the above
  std::jthread opener_;
};

}  // namespace

caf::actor spawn_shard(caf::actor_system& system, fabric::Fabric& fabric, head::JobProcess process) {
  return caf::actor_cast<caf::actor>(system.spawn<Shard>(std::ref(fabric), std::move(process)));
}

}  // namespace ds::worker
