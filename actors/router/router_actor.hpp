#pragma once

// Private to actors/router: its actor.

#include <fmt/format.h>

#include <caf/all.hpp>
#include <random>
#include <utility>

#include "actors/fabric/prompt_actor.hpp"
#include "actors/messages/serving.hpp"
#include "actors/router/call_book.hpp"
#include "actors/router/endpoint_state.hpp"
#include "actors/router/inquest.hpp"
#include "actors/router/router.hpp"
#include "actors/serving/retry_after.hpp"

namespace ds::router {

using Clock = std::chrono::steady_clock;

/// How often load is told, and who has waited too long is looked for.
inline constexpr std::chrono::milliseconds kReportInterval{200};

class RouterActor;

/// Local: something to do on the router's actor.
struct RouterRun {
  std::function<void(RouterActor&)> action;
};

}  // namespace ds::router

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::router::RouterRun)

namespace ds::router {

inline Failure unknown_model(const Ask& ask) {
  const auto version = ask.version ? fmt::format(" version {}", *ask.version) : std::string();
  return {{ErrorCode::not_found,
           fmt::format("Request for unknown model: '{}'{} is not found", ask.model, version),
           {}}};
}

inline Failure is_held(const std::string& why) {
  return {{ErrorCode::unavailable, why, {}}, serving::kLeastRetryMs};
}

/// What `Router` asks of it is said there.
class RouterActor : public caf::event_based_actor, public fabric::PromptActor {
 public:
  RouterActor(caf::actor_config& config, std::shared_ptr<Router::Board> board)
      : event_based_actor(config), board_(std::move(board)), random_(std::random_device{}()) {}
  caf::behavior make_behavior() override;

  void report_to(Router::OnLoad on_load) { on_load_ = std::move(on_load); }
  void set_endpoint(Endpoint endpoint);
  void set_versions(const std::string& job, std::vector<serving::VersionLine> lines);
  void set_wanted(const std::string& job, std::uint32_t replicas);
  void set_held(const std::string& job, const std::string& why);
  void remove_endpoint(const std::string& job);
  void add_replica(const std::string& job, std::uint64_t worker, const caf::actor& actor,
                   std::uint64_t version, serving::ModelMetadata metadata);
  void drain_replica(const std::string& job, std::uint64_t worker);
  void remove_replica(const std::string& job, std::uint64_t worker, bool has_crashed);
  void ask(Ask ask);
  void give_up(const AskLink& link);

 private:
  /// Nothing is looked at while nothing is served and nobody waits for an answer.
  void tick();
  ReplicaEntry* find(const std::string& job, std::uint64_t worker);

  // ---- what others see (router_actor.cpp) ----
  void publish_job(const std::string& job);
  void publish(const EndpointState& state);
  void report();
  void report(const std::string& job, EndpointState& state, Clock::time_point now);

  // ---- one request (router_requests.cpp) ----
  void give_up_late(EndpointState& state, Clock::time_point now);
  void finish(const JourneyPtr& journey, tl::expected<Answer, Failure> outcome);
  /// Puts the inputs in the model's order. False: the request doesn't fit, which it has been told.
  bool check(const JourneyPtr& journey, std::uint64_t version, const serving::ModelMetadata& model);
  void dispatch(const JourneyPtr& journey);
  /// For a replica.
  void wait(const JourneyPtr& journey, EndpointState& state);
  void send(const JourneyPtr& journey, EndpointState& state, EndpointState::Picked pick,
            Clock::duration left);
  /// Those of a message's requests that go to one replica go there together.
  void send_calls();
  void give_up_calls(Clock::time_point now);
  /// A replica is gone, or its connection.
  void on_down(const caf::actor_addr& gone);
  void on_lost(const Call& call);
  /// Its replica is gone.
  void ask_again(const JourneyPtr& journey, std::uint64_t worker);
  messages::InferBegun on_begun(std::uint64_t number);
  void refuse_killer(const JourneyPtr& journey);
  /// Takes its tensors.
  void on_answer(const Call& call, messages::InferAnswer& answer);
  std::shared_ptr<const std::vector<std::string>> classes_of(const Journey& journey) const;
  void record_batch(const std::string& job, std::uint64_t version, const messages::InferAnswer& answer);

  const std::shared_ptr<Router::Board> board_;
  Router::OnLoad on_load_;
  std::mt19937_64 random_;
  bool ticks_ = false;
  std::uint64_t epochs_ = 0;
  std::uint64_t asked_ = random_();  ///< number of the last call; a replica may have the last head's
  CallBook calls_;
  Inquest inquest_;
  std::map<caf::actor, std::vector<messages::InferCall>> outgoing_;  ///< of the message that is handled
  std::map<std::string, EndpointState> endpoints_;                   ///< by job
};

}  // namespace ds::router
