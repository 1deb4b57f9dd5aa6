#include "actors/job/master.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <caf/all.hpp>
#include <chrono>
#include <map>
#include <utility>

#include "actors/fabric/actor_guard.hpp"
#include "actors/job/server_commits.hpp"
#include "actors/messages/server.hpp"

namespace ds::job {

struct Tick {};
struct SaveOutcome {
  std::function<void()> deliver;
};

}  // namespace ds::job

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::job::Tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::job::SaveOutcome)

namespace ds::job {
namespace {

using namespace messages;

constexpr auto kTick = std::chrono::milliseconds(1000);
/// For a data shard that reads nothing and does not get ready, as for workers.
constexpr auto kShardReadyLimit = std::chrono::minutes(5);

class Master : public caf::event_based_actor {
 public:
  Master(caf::actor_config& config, fabric::Fabric& fabric, MasterOptions options)
      : event_based_actor(config), fabric_(fabric), options_(std::move(options)), gang_(options_.gang) {
    gang_.set_checkpoint(options_.checkpoint_step);
  }

  /// These hold the head, which holds its masters.
  void on_exit() override {
    options_.tell_head = nullptr;
    options_.save = nullptr;
  }

  caf::behavior make_behavior() override {
    fabric::guard_actor(*this, "the master of job " + options_.job);
    set_down_handler([this](caf::down_msg& down) { on_down(down.source); });
    delayed_send(this, kTick, Tick{});
    return {
        [this](const LeasesChanged& changed) {
          gang_.set_min_workers(changed.min_workers);
          gang_.set_goes_on(changed.goes_on);
          on_leases(changed.leases);
        },
        [this](const GenerationDurable& durable) { carry_out(gang_.on_recorded(durable.generation, now())); },
        [this](const CheckpointDamaged& damaged) { gang_.reset_checkpoint(damaged.step); },
        [this](const EndJob&) { end(); },
        [this](const WorkerHello& hello) { on_hello(hello); },
        [this](const GangPaused& paused) {
          carry_out(gang_.on_paused(paused.worker, paused.generation, paused.step, now()));
        },
        [this](const DataRead& read) {
          const auto shard = shards_.find(read.worker);
          if (shard != shards_.end()) {
            shard->second.since = now();
          } else {
            gang_.on_read(read.worker, read.amount, now());
          }
        },
        [this](const GangPausing& pausing) {
          gang_.on_pausing(pausing.worker, pausing.generation, Gang::Time(pausing.longest_ms));
        },
        [this](const ServerPaused& paused) {
          commits_.on_paused(paused.worker, paused.last_commit);
          carry_out(gang_.on_paused(paused.worker, paused.generation, 0, now(), paused.held));
        },
        [this](const GangJoined& joined) {
          carry_out(gang_.on_joined(joined.worker, joined.generation, now()));
        },
        [this](const GangStuck& stuck) {
          spdlog::info("job {}: worker {} stopped at step {}: {}", options_.job, stuck.worker, stuck.step,
                       stuck.why);
          carry_out(gang_.on_stuck(stuck.worker, stuck.generation, stuck.step, stuck.why, now()));
        },
        [this](const TrainingFinished& finished) {
          carry_out(gang_.on_finished(finished.worker, finished.generation, finished.step));
        },
        [this](const messages::JobImpossible& impossible) { on_impossible(impossible); },
        [this](const WorkerFailed& failed) {
          if (!is_failed_shard(failed.worker, failed.why))
            carry_out(gang_.on_failed(failed.worker, failed.why, now()));
        },
        [this](const StepReport& report) {
          if (report.generation != gang_.generation()) return;
          options_.tell_head(report);
          carry_out(gang_.on_step(report.generation, report.step, now()));
        },
        [this](const EvaluationReport& report) {
          if (report.generation == gang_.generation()) options_.tell_head(report);
        },
        [this](const SaveCheckpoint& checkpoint) { return on_save(checkpoint); },
        [](const SaveOutcome& outcome) { outcome.deliver(); },
        [this](Tick) {
          give_up_late_shards();
          carry_out(gang_.on_tick(now()));
          delayed_send(this, kTick, Tick{});
        },
    };
  }

 private:
  struct Contact {
    fabric::ActorAddress address;
    caf::actor actor;
    bool is_shard = false;  ///< also when its lease has ended and its process lives on for a moment
  };

  struct Shard {
    bool ready = false;
    Gang::Time since{0};  ///< it was leased, or this master heard of it, or it read on
  };

  Gang::Time now() { return std::chrono::duration_cast<Gang::Time>(clock().now().time_since_epoch()); }

  /// Data shards are no part of the gang: workers get on without them.
  void on_leases(const std::vector<GangLease>& leases) {
    std::vector<GangLease> gang;
    std::map<std::uint64_t, Shard> shards;
    for (const auto& lease : leases) {
      if (lease.role != scheduler::Role::shard) {
        gang.push_back(lease);
      } else if (!lease.releasing) {
        const auto known = shards_.find(lease.worker);
        shards.emplace(lease.worker, known != shards_.end() ? known->second : Shard{false, now()});
      }
    }
    shards_ = std::move(shards);
    tell_shards();
    carry_out(gang_.set_leases(gang, now()));
  }

  void on_shard_hello(const WorkerHello& hello) {
    if (static_cast<WorkerPhase>(hello.phase) == WorkerPhase::fresh) return act(AssignWorker{hello.worker});
    shards_[hello.worker].ready = true;
    tell_shards();
  }

  UseShards ready_shards() const {
    UseShards use;
    for (const auto& [worker, shard] : shards_) {
      const auto contact = contacts_.find(worker);
      if (shard.ready && contact != contacts_.end()) use.shards.push_back(contact->second.address);
    }
    return use;
  }

  /// One that hangs before it is ready is of no use.
  void give_up_late_shards() {
    for (auto& [worker, shard] : shards_) {
      if (shard.ready || now() - shard.since < kShardReadyLimit) continue;
      shard.since = now();
      options_.tell_head(KillWorker{
          worker,
          fmt::format("the data shard did not get ready, and read nothing more of its data for {} s",
                      std::chrono::seconds(kShardReadyLimit).count()),
          true});
    }
  }

  /// Its node may lack what the workers' nodes have; what is wrong with the data itself they find too.
  bool is_failed_shard(std::uint64_t worker, const std::string& why) {
    if (!shards_.contains(worker)) return false;
    spdlog::warn("job {}: data shard {} can't help: {}", options_.job, worker, why);
    options_.tell_head(KillWorker{worker, why, true});
    return true;
  }

  /// What is impossible for a worker that comes to others who train may be its node's fault.
  void on_impossible(const messages::JobImpossible& impossible) {
    if (is_failed_shard(impossible.worker, impossible.why)) return;
    if (gang_.can_do_without(impossible.worker))
      return carry_out(gang_.on_failed(impossible.worker, impossible.why, now()));
    options_.tell_head(JobImpossible{impossible.worker, impossible.why});
  }

  void tell_shards() {
    const auto use = ready_shards();
    if (use == told_shards_) return;
    told_shards_ = use;
    for (const auto& [worker, contact] : contacts_) {
      if (!contact.is_shard) send(contact.actor, use);
    }
  }

  void on_hello(const WorkerHello& hello) {
    auto actor = fabric_.resolve(hello.actor);
    const auto known = contacts_.find(hello.worker);
    if (known == contacts_.end() || known->second.actor != actor) monitor(actor);
    contacts_[hello.worker] = {hello.actor, actor, shards_.contains(hello.worker)};
    send(actor, HelloTaken{hello.worker});
    if (shards_.contains(hello.worker)) return on_shard_hello(hello);
    if (!shards_.empty()) send(actor, ready_shards());
    if (!hello.fingerprint.empty() && !agrees(hello)) return;  // it has never been heard of by the gang
    if (hello.parameters > 0) {
      parameters_ = hello.parameters;
      gang_.set_state_bytes(hello.parameters * kMostBytesOfAParameter);
      row_tables_ = hello.row_tables;
    }
    if (hello.total_steps > 0) options_.tell_head(JobSizeKnown{hello.total_steps, hello.steps_per_epoch});
    const WorkerStatus status{static_cast<WorkerPhase>(hello.phase), hello.generation, hello.step};
    carry_out(gang_.on_hello(hello.worker, status, now()));
  }

  /// All workers must read the same data into the same model; a file that changed in between would go
  /// unnoticed else. Those that have trained are right, before a new head too, whoever speaks first.
  bool agrees(const WorkerHello& hello) {
    const bool has_trained = static_cast<WorkerPhase>(hello.phase) == WorkerPhase::training || hello.step > 0;
    fingerprints_[hello.worker] = hello.fingerprint;
    if (fingerprint_.empty() || (has_trained && !fingerprint_has_trained_)) {
      fingerprint_ = hello.fingerprint;
      fingerprint_has_trained_ = has_trained;
      const auto known = fingerprints_;
      for (const auto& [worker, fingerprint] : known) {
        if (fingerprint != fingerprint_) refuse_data_of(worker);
      }
    }
    if (hello.fingerprint == fingerprint_) return true;
    refuse_data_of(hello.worker);
    return false;
  }

  void refuse_data_of(std::uint64_t worker) {
    fingerprints_.erase(worker);
    on_impossible({worker, "worker " + std::to_string(worker) +
                               " reads other training data, or another model, than the job's first worker "
                               "did: a file changed meanwhile, or is another one on its node"});
  }

  void on_down(const caf::actor_addr& source) {
    for (auto contact = contacts_.begin(); contact != contacts_.end(); ++contact) {
      if (contact->second.actor.address() != source) continue;
      const auto worker = contact->first;
      contacts_.erase(contact);
      commits_.on_lost(worker);
      fingerprints_.erase(worker);
      spdlog::info("job {}: worker {} was lost", options_.job, worker);
      if (shards_.erase(worker) == 1) {
        tell_shards();
        return options_.tell_head(KillWorker{worker, "its connection was lost"});
      }
      carry_out(gang_.on_lost(worker, now()));
      return;
    }
  }

  caf::response_promise on_save(const SaveCheckpoint& checkpoint) {
    auto promise = make_response_promise();
    save(checkpoint, [this, promise, step = checkpoint.state.step](const std::string& error) mutable {
      if (error.empty()) gang_.set_checkpoint(step);
      promise.deliver(CheckpointSaved{options_.job, step, error});
    });
    return promise;
  }

  /// `when_saved` runs on this actor, though the outcome comes on the store's thread.
  void save(const SaveCheckpoint& checkpoint, std::function<void(std::string)> when_saved) {
    options_.save(checkpoint, [self = caf::actor_cast<caf::actor>(this),
                               when_saved = std::move(when_saved)](std::string error) {
      caf::anon_send(self, SaveOutcome{[when_saved, error = std::move(error)] { when_saved(error); }});
    });
  }

  void end() {
    for (const auto& [worker, contact] : contacts_) send(contact.actor, messages::StopWorker{worker});
    quit();
  }

  void carry_out(const GangActions& actions) {
    for (const auto& action : actions) std::visit([this](const auto& one) { act(one); }, action);
  }

  template <class Message>
  void tell(std::uint64_t worker, Message message) {
    const auto contact = contacts_.find(worker);
    if (contact != contacts_.end()) send(contact->second.actor, std::move(message));
  }

  void act(const AssignWorker& action) {
    tell(action.worker,
         AssignJob{options_.job, options_.file, options_.directory, options_.text, options_.max_state_bytes});
  }
  void act(const PauseWorker& action) { tell(action.worker, PauseGang{action.generation}); }
  /// Asks the worker for its state and saves it as a checkpoint, beside which nothing of the job goes on.
  void act(const SaveState& action) {
    const auto give_up = [this, action](const std::string& why) {
      spdlog::warn("job {}: step {} is not saved before its workers leave: {}", options_.job, action.step,
                   why);
      carry_out(gang_.on_not_saved(action.worker, action.generation, now()));
    };
    const auto contact = contacts_.find(action.worker);
    if (contact == contacts_.end()) return give_up("the worker that has it was lost");
    request(contact->second.actor, state_deadline(parameters_), FetchState{options_.job, action.step})
        .then(
            [this, action, give_up](const StateReply& state) {
              if (!state.error.empty() || state.step != action.step) return give_up(state.error);
              const auto when_saved = [this, action, give_up](const std::string& error) {
                if (!error.empty()) return give_up(error);
                spdlog::info("job {}: step {} is saved; its workers leave", options_.job, action.step);
                gang_.set_checkpoint(action.step);
                carry_out(gang_.on_saved(action.generation, now()));
              };
              save({options_.job, action.worker, action.generation, {}, state}, when_saved);
            },
            [this, give_up](const caf::error& error) { give_up(system().render(error)); });
  }

  void act(const StartWorker& action) { tell(action.worker, StartSteps{action.generation}); }
  void act(const StopWorker& action) { tell(action.worker, messages::StopWorker{action.worker}); }
  void act(const RecordGeneration& action) { options_.tell_head(action); }
  void act(const ShowPhase& action) { options_.tell_head(action); }
  void act(const FinishJob& action) { options_.tell_head(action); }
  void act(const FailJob& action) { options_.tell_head(JobImpossible{0, action.why}); }
  void act(const KillWorker& action) { options_.tell_head(action); }

  void act(const JoinWorker& action) {
    JoinGang order;
    order.job = options_.job;
    order.generation = action.generation;
    order.rank = action.rank;
    order.step = action.step;
    order.source = options_.checkpoints;
    for (std::size_t i = 0; i < action.members.size(); ++i) {
      const auto contact = contacts_.find(action.members[i]);
      if (contact == contacts_.end()) return;  // lost just now; its down message begins the next generation
      order.members.push_back(
          {action.members[i], contact->second.address, action.ranges[i].first, action.ranges[i].last});
    }
    const auto source = contacts_.find(action.source);
    if (source != contacts_.end()) order.source = source->second.address;
    order.seed = action.seed;
    if (!append_addresses(action.primaries, order.primaries)) return;
    tell(action.worker, std::move(order));
  }

  /// False when one was lost just now; its down message begins the next generation.
  bool append_addresses(const std::vector<std::uint64_t>& workers,
                        std::vector<fabric::ActorAddress>& addresses) {
    for (const auto worker : workers) {
      const auto contact = contacts_.find(worker);
      if (contact == contacts_.end()) return false;
      addresses.push_back(contact->second.address);
    }
    return true;
  }

  void act(const JoinServer& action) {
    const ServerPlan& plan = action.plan;
    JoinServers order{
        options_.job, action.generation, parameters_, row_tables_, plan.fresh, plan.step, {}, {}, {}};
    // Whoever made the plan's step knows how; its message came before the plan.
    if (!plan.fresh) order.commit = commits_.that_made(plan.step);
    for (const auto& holders : plan.holders) {
      if (!append_addresses(holders, order.ranges.emplace_back().servers)) return;
    }
    order.copies.resize(plan.holders.size());
    for (const auto& copy : plan.copies) {
      const auto source = contacts_.find(copy.from);
      if (source == contacts_.end()) return;
      if (copy.to == action.worker) order.copies[copy.range] = source->second.address;
    }
    tell(action.worker, std::move(order));
  }

  fabric::Fabric& fabric_;
  MasterOptions options_;
  Gang gang_;
  std::map<std::uint64_t, Contact> contacts_;
  ServerCommits commits_;
  // What workers know of the model, for parameter servers.
  std::uint64_t parameters_ = 0;
  std::vector<parameters::RowTable> row_tables_;
  std::map<std::uint64_t, Shard> shards_;
  UseShards told_shards_;    ///< last
  std::string fingerprint_;  ///< of the job's data and model, as its workers have them
  bool fingerprint_has_trained_ = false;
  std::map<std::uint64_t, std::string> fingerprints_;  ///< of the workers that are here
};

}  // namespace

caf::actor spawn_master(caf::actor_system& system, fabric::Fabric& fabric, MasterOptions options) {
  return caf::actor_cast<caf::actor>(system.spawn<Master>(std::ref(fabric), std::move(options)));
}

}  // namespace ds::job
