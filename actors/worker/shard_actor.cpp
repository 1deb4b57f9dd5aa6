#include "actors/worker/shard_actor.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <caf/all.hpp>
#include <memory>
#include <thread>
#include <utility>

#include "actors/fabric/end_process.hpp"
#include "actors/head/locator.hpp"
#include "actors/job/gang.hpp"
#include "actors/messages/shard.hpp"
#include "actors/messages/worker.hpp"
#include "actors/shard/workshop.hpp"
#include "actors/worker/batch_message.hpp"
#include "scheduler/spec/job_file.hpp"

namespace ds::worker {

using namespace messages;

/// Local message: something to do on the shard's actor, from another thread.
struct ShardRun {
  std::function<void()> action;
};

}  // namespace ds::worker

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::worker::ShardRun)

namespace ds::worker {
namespace {

class Shard : public caf::event_based_actor {
 public:
  Shard(caf::actor_config& config, fabric::Fabric& fabric, ShardOptions options)
      : event_based_actor(config),
        fabric_(fabric),
        options_(std::move(options)),
        stop_search_(std::make_shared<std::atomic<bool>>(false)) {}

  /// Its threads call this actor, so they end before it does.
  void on_exit() override {
    *stop_search_ = true;
    opener_ = {};
    workshop_.reset();
  }

  caf::behavior make_behavior() override {
    fabric::end_process_on_exception(*this, "the data shard");
    set_down_handler([this](caf::down_msg& down) { on_down(down.source); });
    head::search_head(system(), options_.head, this, stop_search_);
    return {
        [this](const head::HeadFound& found) { on_head_found(found.head); },
        [this](const HelloTaken&) { on_hello_taken(); },
        [this](const AssignJob& job) { on_assign(job); },
        [this](const AskBatches& ask) { on_ask(ask); },
        [this](const StopWorker&) { options_.leave(); },
        [](const ShardRun& run) { run.action(); },
    };
  }

 private:
  /// Runs `action` on this actor; callable from any thread.
  template <class Action>
  void post(Action action) {
    caf::anon_send(caf::actor_cast<caf::actor>(this), ShardRun{std::move(action)});
  }

  // ---- the head comes and goes ----------------------------------------------------------------

  void on_head_found(const fabric::ActorAddress& address) {
    head_ = fabric_.resolve(address);
    monitor(head_);
    say_hello();
  }

  void on_down(const caf::actor_addr& source) {
    if (head_ && source == head_.address()) {
      spdlog::warn("the head is gone; workers are served while it is looked for");
      head_ = nullptr;
      head::search_head(system(), options_.head, this, stop_search_);
      return;
    }
    const auto gone =
        std::ranges::find_if(workers_, [&](const auto& worker) { return worker.second.address() == source; });
    if (gone == workers_.end()) return;
    if (workshop_) workshop_->forget(gone->first);
    workers_.erase(gone);
  }

  void say_hello() {
    if (!head_) return;
    WorkerHello hello;
    hello.worker = options_.worker;
    hello.job = options_.job;
    hello.actor = fabric_.address_of(this);
    hello.phase = static_cast<std::uint8_t>(workshop_ ? job::WorkerPhase::ready : job::WorkerPhase::fresh);
    send(head_, hello);
  }

  void on_hello_taken() {
    const auto master = caf::actor_cast<caf::actor>(current_sender());
    master_ = master;
    if (impossible_) send(master, *impossible_);
  }

  // ---- the data -------------------------------------------------------------------------------

  void on_assign(const AssignJob& job) {
    if (opener_.joinable()) return;  // a new head gave the same job again
    auto parsed = scheduler::parse_job_file(job.text, job.directory);
    if (const auto* errors = std::get_if<std::vector<scheduler::SpecError>>(&parsed)) {
      return on_impossible(
          {ErrorCode::invalid_argument, scheduler::format_spec_error(errors->front(), job.file), {}});
    }
    spec_ = std::move(std::get<scheduler::ParsedJob>(parsed).spec);
    opener_ = std::jthread([this] {
      data::DatasetOptions options;
      options.threads = spec_.resources.cpus;
      auto opened = data::Dataset::open_training(spec_.data, options);
      // A function that CAF copies cannot hold what only moves.
      auto dataset = std::make_shared<decltype(opened)>(std::move(opened));
      post([this, dataset] { on_opened(std::move(*dataset)); });
    });
  }

  void on_opened(Result<std::unique_ptr<data::Dataset>> dataset) {
    if (!dataset) return on_impossible(dataset.error());
    dataset_ = *std::move(dataset);
    maker_ = std::make_unique<train::BatchMaker>(spec_, *dataset_);
    shard::Workshop::Options options;
    options.threads = spec_.resources.cpus;
    workshop_ = std::make_unique<shard::Workshop>(
        *maker_, options, [this](const shard::Order& order, const Result<data::Batch>& batch) {
          BatchMade made = to_message(order.which, batch);
          post([this, worker = order.worker, made = std::move(made)] { deliver(worker, made); });
        });
    spdlog::info("{} samples are ready to be batched", dataset_->size());
    say_hello();
  }

  void on_impossible(const Error& why) {
    impossible_ =
        JobImpossible{options_.worker, why.hint.empty() ? why.message : why.message + " (" + why.hint + ")"};
    spdlog::error("{}", impossible_->why);
    if (master_) send(master_, *impossible_);
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
  const ShardOptions options_;
  std::shared_ptr<std::atomic<bool>> stop_search_;
  caf::actor head_;
  caf::actor master_;
  std::optional<JobImpossible> impossible_;
  std::map<std::uint64_t, caf::actor> workers_;  ///< that have asked and live
  scheduler::JobSpec spec_;
  std::unique_ptr<data::Dataset> dataset_;
  std::unique_ptr<train::BatchMaker> maker_;
  std::unique_ptr<shard::Workshop> workshop_;  ///< its threads use the above
  std::jthread opener_;
};

}  // namespace

caf::actor spawn_shard(caf::actor_system& system, fabric::Fabric& fabric, ShardOptions options) {
  return caf::actor_cast<caf::actor>(system.spawn<Shard>(std::ref(fabric), std::move(options)));
}

}  // namespace ds::worker
