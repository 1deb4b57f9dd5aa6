#include "actors/server/server_actor.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <caf/all.hpp>
#include <map>
#include <optional>
#include <utility>

#include "actors/fabric/actor_guard.hpp"
#include "actors/head/assigned_job.hpp"
#include "actors/head/head_line.hpp"
#include "actors/job/gang.hpp"
#include "actors/messages/server.hpp"
#include "actors/messages/worker.hpp"
#include "actors/server/range_store.hpp"

namespace ds::server {
namespace {

using namespace messages;
using namespace parameters;

constexpr auto kFetchDeadline = std::chrono::seconds(120);

class Server : public caf::event_based_actor {
 public:
  Server(caf::actor_config& config, fabric::Fabric& fabric, head::JobProcess process)
      : event_based_actor(config),
        fabric_(fabric),
        process_(std::move(process)),
        line_(*this, fabric, process_.head) {}

 private:
  template <class One>
  auto request_handler() {
    return [this](const RangeCall& call, const One& request) { on_call(call, request); };
  }
  template <class One>
  auto update_handler() {
    return [this](const ReplicaCall& call, const One& update) { on_update(call, update); };
  }

 public:
  caf::behavior make_behavior() override {
    fabric::guard_actor(*this, "the parameter server");
    set_down_handler([this](caf::down_msg& down) {
      if (!line_.on_down(down.source, "the parameters are served on")) on_replica_lost(down.source);
    });
    line_.search();
    return {
        [this](const head::HeadFound& found) {
          line_.on_found(found);
          say_hello();
        },
        [this](const HelloTaken&) { on_hello_taken(); },
        [this](const AssignJob& job) { on_assign(job); },
        [this](const PauseGang& order) { on_pause(order); },
        [this](const JoinServers& order) { on_join(order); },
        [this](const FetchRange& fetch) { return on_fetch(fetch); },
        [this](const StopWorker&) { process_.leave(); },
        [](const UseShards&) {},
        [this](const ReplicaStored& stored) { on_stored(stored); },
        request_handler<PushSum>(),
        request_handler<CommitAndPull>(),
        request_handler<PushUpdate>(),
        request_handler<Pull>(),
        request_handler<Install>(),
        request_handler<KeepWorkerState>(),
        request_handler<ReadRange>(),
        update_handler<StoreSum>(),
        update_handler<Commit>(),
        update_handler<PushUpdate>(),
        update_handler<Install>(),
        update_handler<KeepWorkerState>(),
    };
  }

 private:
  /// Of a range that this server is the primary of, in this generation.
  struct Replicas {
    std::vector<caf::actor> actors;
    std::map<caf::actor_addr, std::uint64_t> stored;
    std::uint64_t all_stored = 0;
  };
  struct Asker {
    fabric::ActorAddress address;
    std::uint64_t ticket = 0;
  };

  // ---- the head comes and goes ----------------------------------------------------------------

  void say_hello() {
    auto phase = job::WorkerPhase::fresh;
    if (store_) phase = serving_ ? job::WorkerPhase::training : job::WorkerPhase::ready;
    WorkerHello hello;
    hello.worker = process_.worker;
    hello.job = process_.job;
    hello.actor = fabric_.address_of(this);
    hello.phase = static_cast<std::uint8_t>(phase);
    hello.generation = newest_;
    line_.tell_head(std::move(hello));
  }

  void on_hello_taken() {
    line_.on_taken();
    if (impossible_) line_.tell_master(*impossible_);
    if (stuck_) line_.tell_master(*stuck_);
  }

  // ---- orders ---------------------------------------------------------------------------------

  void on_assign(const AssignJob& job) {
    if (store_) return say_hello();
    const auto spec = head::read_assigned_job(job);
    if (spec) {
      store_.emplace(*spec);
      return say_hello();
    }
    impossible_ = JobImpossible{process_.worker, head::log_end(spec.error())};
    line_.tell_master(*impossible_);
  }

  void on_pause(const PauseGang& order) {
    if (order.generation < newest_ || !store_) return;
    begin(order.generation);
    store_->end_generation();
    ServerPaused paused{process_.worker, order.generation, store_->held(), {}};
    if (const auto commit = store_->last_commit()) paused.last_commit.push_back(*commit);
    line_.tell_master(std::move(paused));
  }

  /// Whoever waits for an answer belongs to an earlier generation and was told to stop.
  void begin(std::uint64_t generation) {
    newest_ = generation;
    serving_ = false;
    stuck_.reset();
    askers_.clear();
    for (const auto& [range, replicas] : std::exchange(replicas_, {})) {
      for (const auto& actor : replicas.actors) demonitor(actor);
    }
    missing_.clear();
    std::erase_if(fetches_, [generation](auto& waiting) {
      if (waiting.first.generation >= generation) return false;
      waiting.second.deliver(FetchedRange{{}, "the generation ended"});
      return true;
    });
  }

  void on_join(const JoinServers& order) {
    if (order.generation < newest_ || !store_) return;
    begin(order.generation);
    const auto self = fabric_.address_of(this);
    StorePlan plan{order.parameters, order.row_tables, order.fresh, order.step, std::nullopt, {}};
    if (!order.commit.empty()) plan.commit = order.commit.front();
    for (std::uint32_t range = 0; range < order.ranges.size(); ++range) {
      const auto& servers = order.ranges[range].servers;
      StorePlan::Range place;
      place.held = std::ranges::find(servers, self) != servers.end();
      place.replicated = !servers.empty() && servers.front() == self && servers.size() > 1;
      place.copied = range < order.copies.size() && static_cast<bool>(order.copies[range]);
      if (place.replicated) {
        auto& replicas = replicas_[range];
        for (std::size_t i = 1; i < servers.size(); ++i)
          replicas.actors.push_back(fabric_.resolve(servers[i]));
        for (const auto& actor : replicas.actors) {
          replicas.stored[actor.address()] = 0;
          monitor(actor);
        }
      }
      if (place.copied) missing_.emplace(range, order.copies[range]);
      plan.ranges.push_back(place);
    }
    if (const auto joined = store_->join(plan); !joined) return be_stuck(joined.error().message);
    joined_ = order.generation;
    answer_fetches();
    fetch_next();
  }

  /// One after the other: all at once may be more than may wait for a peer.
  void fetch_next() {
    if (missing_.empty()) return serve();
    const auto& [range, from] = *missing_.begin();
    fetch_range(range, from);
  }

  void fetch_range(std::uint32_t range, const fabric::ActorAddress& from) {
    const auto generation = newest_;
    const auto give_up = [=, this](const std::string& why) {
      if (generation == newest_)
        be_stuck(fmt::format("key range {} could not be had from another server: {}", range, why));
    };
    request(fabric_.resolve(from), kFetchDeadline, FetchRange{generation, range})
        .then(
            [=, this](const FetchedRange& fetched) {
              if (generation != newest_) return;
              if (fetched.image.empty()) return give_up(fetched.error);
              const auto restored = store_->find(range)->restore(fetched.image.front());
              if (!restored) return give_up(restored.error().message);
              missing_.erase(range);
              fetch_next();
            },
            [=, this](const caf::error& error) { give_up(system().render(error)); });
  }

  void serve() {
    serving_ = true;
    spdlog::info("generation {}: serves {} key ranges", newest_, store_->size());
    line_.tell_master(GangJoined{process_.worker, newest_});
  }

  void be_stuck(const std::string& why) {
    spdlog::warn("generation {} stopped: {}", newest_, why);
    serving_ = false;
    stuck_ = GangStuck{process_.worker, newest_, 0, why};
    line_.tell_master(*stuck_);
  }

  caf::response_promise on_fetch(const FetchRange& fetch) {
    auto promise = make_response_promise();
    if (fetch.generation < newest_) {
      promise.deliver(FetchedRange{{}, "the generation ended"});
    } else {
      fetches_.emplace_back(fetch, promise);
      answer_fetches();
    }
    return promise;
  }

  void answer_fetches() {
    std::erase_if(fetches_, [this](auto& waiting) {
      auto& [fetch, promise] = waiting;
      if (fetch.generation != newest_ || joined_ != newest_) return false;
      const auto* shard = store_->find(fetch.range);
      FetchedRange fetched;
      if (shard != nullptr && shard->has_state()) {
        fetched.image.push_back(shard->image());
      } else {
        fetched.error = "it is not here";
      }
      promise.deliver(std::move(fetched));
      return true;
    });
  }

  // ---- requests of workers --------------------------------------------------------------------

  void on_call(const RangeCall& call, Request request) {
    if (call.generation != newest_ || joined_ != newest_) return;  // its asker was told to stop, or will be
    auto* shard = store_->find(call.range);
    if (shard == nullptr)
      return answer({call.asker, call.ticket}, fail(ErrorCode::internal, "the key range is not here"));
    const auto ticket = ++last_ticket_;
    askers_[ticket] = {call.asker, call.ticket};
    carry_out(call.range, shard->announce(request));
    carry_out(call.range, shard->on_request(ticket, std::move(request)));
  }

  void carry_out(std::uint32_t range, ShardActions actions) {
    for (auto& action : actions) {
      if (auto* answered = std::get_if<SendAnswer>(&action)) {
        const auto asker = askers_.extract(answered->ticket);
        if (!asker.empty()) answer(asker.mapped(), std::move(answered->answer));
      } else {
        auto& update = std::get<SendToReplicas>(action);
        const ReplicaCall call{newest_, range, update.number};
        for (const auto& replica : replicas_[range].actors)
          std::visit([&](const auto& one) { send(replica, call, one); }, update.update);
      }
    }
  }

  void answer(const Asker& asker, Result<Answer> what) {
    const auto actor = fabric_.resolve(asker.address);
    const RangeAnswer header{newest_, asker.ticket};
    if (what) return std::visit([&](auto& one) { send(actor, header, std::move(one)); }, *what);
    const Error& why = what.error();
    send(actor, header, RangeRefused{static_cast<std::uint8_t>(why.code), why.message, why.hint});
  }

  // ---- replicas -------------------------------------------------------------------------------

  void on_update(const ReplicaCall& call, ReplicaUpdate update) {
    if (call.generation != newest_ || joined_ != newest_) return;
    auto* shard = store_->find(call.range);
    if (shard == nullptr || !shard->on_replica_update(update)) {
      // What is here now can't be trusted; the next generation gives it a new copy.
      store_->drop(call.range);
      return be_stuck(fmt::format("key range {} does not follow its primary", call.range));
    }
    send(caf::actor_cast<caf::actor>(current_sender()),
         ReplicaStored{call.generation, call.range, call.number});
  }

  /// Its process may live: what was on the way is gone, and whoever pushed waits for it.
  void on_replica_lost(const caf::actor_addr& source) {
    const bool is_replica =
        std::ranges::any_of(replicas_, [&](const auto& one) { return one.second.stored.contains(source); });
    if (is_replica && serving_) be_stuck("the connection to a replica was lost");
  }

  void on_stored(const ReplicaStored& stored) {
    if (stored.generation != newest_) return;
    const auto found = replicas_.find(stored.range);
    auto* shard = store_->find(stored.range);
    if (found == replicas_.end() || shard == nullptr) return;
    auto& replicas = found->second;
    const auto replica = replicas.stored.find(caf::actor_cast<caf::actor_addr>(current_sender()));
    if (replica == replicas.stored.end()) return;
    replica->second = std::max(replica->second, stored.number);
    const auto slowest =
        std::ranges::min_element(replicas.stored, {}, [](const auto& one) { return one.second; });
    if (slowest->second <= replicas.all_stored) return;
    replicas.all_stored = slowest->second;
    carry_out(stored.range, shard->on_stored(replicas.all_stored));
  }

  fabric::Fabric& fabric_;
  const head::JobProcess process_;
  head::HeadLine line_;
  std::optional<RangeStore> store_;
  std::uint64_t newest_ = 0;  ///< generation of the newest order
  std::uint64_t joined_ = 0;  ///< generation that the ranges are those of
  bool serving_ = false;
  std::map<std::uint32_t, fabric::ActorAddress> missing_;  ///< ranges to be fetched, and from where
  std::vector<std::pair<FetchRange, caf::response_promise>> fetches_;
  std::map<std::uint32_t, Replicas> replicas_;
  std::map<Ticket, Asker> askers_;
  Ticket last_ticket_ = 0;
  std::optional<JobImpossible> impossible_;
  std::optional<GangStuck> stuck_;
};

}  // namespace

caf::actor spawn_server(caf::actor_system& system, fabric::Fabric& fabric, head::JobProcess process) {
  return caf::actor_cast<caf::actor>(
      system.spawn<Server, caf::detached>(std::ref(fabric), std::move(process)));
}

}  // namespace ds::server
