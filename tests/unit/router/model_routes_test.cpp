// What the protocol's routes say of models, and of requests that find no place.
#include <gtest/gtest.h>

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "actors/fabric/fabric.hpp"
#include "actors/router/inference_api.hpp"
#include "tests/unit/router/comes_true.hpp"

namespace ds::router {
namespace {

using Json = nlohmann::json;
using gateway::HttpResponse;

struct Config : caf::actor_system_config {
  Config() { fabric::configure(*this); }
};

class Silent : public caf::event_based_actor {
 public:
  using event_based_actor::event_based_actor;
  caf::behavior make_behavior() override {
    return {[](int) {}};
  }
};

/// A model that is served, and the routes that tell of it.
class ModelRoutes : public ::testing::Test {
 protected:
  ~ModelRoutes() override {
    router_.remove_endpoint("job");
    EXPECT_TRUE(comes_true([this] { return !router_.find("answers"); }));
    if (replica_) caf::anon_send_exit(replica_, caf::exit_reason::user_shutdown);
  }

  void serve(Endpoint endpoint = {}) {
    endpoint.name = "answers";
    endpoint.job = "job";
    endpoint.max_waiting_bytes = std::max<std::uint64_t>(endpoint.max_waiting_bytes, 1);
    router_.set_endpoint(std::move(endpoint));
    EXPECT_TRUE(comes_true([this] { return router_.find("answers").has_value(); }));
  }
  /// A replica that never answers, of a model that takes up to 4 rows.
  void add_replica() {
    replica_ = caf::actor_cast<caf::actor>(system_.spawn<Silent>());
    serving::ModelMetadata model;
    model.name = "answers";
    model.max_batch_size = 4;
    model.inputs = {{"x", serving::Datatype::fp32, {-1, 2}}};
    model.outputs = {{"y", serving::Datatype::fp32, {-1, 1}}};
    router_.add_replica("job", 1, replica_, 1, model);
    EXPECT_TRUE(comes_true([this] { return router_.find("answers")->ready == 1; }));
  }

  std::shared_future<HttpResponse> begin(const std::string& method, const std::string& target,
                                         const std::string& body = "") {
    const auto promise = std::make_shared<std::promise<HttpResponse>>();
    gateway::HttpRequest request;
    request.method = method;
    request.path = request.target = target;
    request.body = body;
    api_.handle(std::move(request), [promise](HttpResponse response) { promise->set_value(response); });
    return promise->get_future();
  }
  HttpResponse ask(const std::string& method, const std::string& target, const std::string& body = "") {
    const auto answer = begin(method, target, body);
    if (answer.wait_for(std::chrono::seconds(60)) != std::future_status::ready)
      return {0, "no answer", "text/plain", {}};
    return answer.get();
  }
  Json index(const std::string& body = "") {
    const auto answer = ask("POST", "/v2/repository/index", body);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return Json::parse(answer.body, nullptr, false);
  }
  static std::string request_of(int rows) {
    const Json input{{"name", "x"},
                     {"datatype", "FP32"},
                     {"shape", {rows, 2}},
                     {"data", std::vector<int>(static_cast<std::size_t>(rows) * 2)}};
    return Json{{"inputs", Json::array({input})}}.dump();
  }
  static std::string error_of(const HttpResponse& response) {
    const auto document = Json::parse(response.body, nullptr, false);
    return document.is_object() && document.contains("error") && document["error"].is_string()
               ? document["error"].get<std::string>()
               : "no error: " + response.body;
  }

  Config config_;
  caf::actor_system system_{config_};
  Router router_{system_};
  InferenceApi api_{router_, "1", {{}, 0}, {}};
  caf::actor replica_;
};

TEST_F(ModelRoutes, ShowAModelThatSleepsAsOneThatCanBeUsed) {
  serve();
  const Json sleeps{{"name", "answers"},
                    {"version", "1"},
                    {"state", "READY"},
                    {"reason", "it sleeps: the next request starts a replica"}};
  EXPECT_EQ(index(), Json::array({sleeps}));
  EXPECT_EQ(index(R"({"ready": true})"), Json::array({sleeps}));
  EXPECT_EQ(ask("GET", "/v2/models/answers/versions/1/ready").status, 200);

  router_.set_wanted("job", 1);
  ASSERT_TRUE(comes_true([this] { return router_.find("answers")->wanted == 1; }));
  const auto starts = index(R"({"ready": false})");
  ASSERT_EQ(starts.size(), 1U);
  EXPECT_EQ(starts[0]["state"], "UNAVAILABLE");
  EXPECT_EQ(starts[0]["reason"], "no replica is ready yet");
  EXPECT_EQ(index(R"({"ready": true})"), Json::array());
  EXPECT_EQ(ask("GET", "/v2/models/answers/ready").status, 400);

  add_replica();
  const auto ready = index(R"({"ready": true})");
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_EQ(ready[0]["state"], "READY");
  EXPECT_EQ(ready[0]["reason"], "");
}

TEST_F(ModelRoutes, ShowAModelThatIsHeldWithTheReason) {
  serve();
  router_.set_held("job", "the model is paused");
  ASSERT_TRUE(comes_true([this] { return !router_.find("answers")->held.empty(); }));
  const auto held = index();
  ASSERT_EQ(held.size(), 1U);
  EXPECT_EQ(held[0]["state"], "UNAVAILABLE");
  EXPECT_EQ(held[0]["reason"], "the model is paused");
  EXPECT_EQ(ask("GET", "/v2/models/answers/ready").status, 400);
}

TEST_F(ModelRoutes, RefuseAQuestionForTheRepositoryThatIsNone) {
  serve();
  for (const auto* body : {"[]", "{", R"({"ready": "yes"})"}) {
    const auto refused = ask("POST", "/v2/repository/index", body);
    EXPECT_EQ(refused.status, 400) << body;
    EXPECT_EQ(error_of(refused).find("no error"), std::string::npos) << refused.body;
  }
  const auto large = ask("POST", "/v2/repository/index", std::string(100'000, ' '));
  EXPECT_EQ(large.status, 413) << large.body;
  EXPECT_NE(error_of(large).find("65536"), std::string::npos) << large.body;
}

TEST_F(ModelRoutes, ShowHowReplicasBatch) {
  Endpoint endpoint;
  const auto config_with = [&](serving::BatchingOptions::Mode mode, std::uint32_t most) {
    endpoint.batching.mode = mode;
    endpoint.batching.max_size = most;
    endpoint.batching.max_delay_us = 7'000;
    serve(endpoint);
    EXPECT_TRUE(comes_true([&] {
      const auto shown = router_.find("answers")->batching;
      return shown.mode == mode && shown.max_size == most;
    }));
    const auto answer = ask("GET", "/v2/models/answers/config");
    EXPECT_EQ(answer.status, 200) << answer.body;
    return Json::parse(answer.body, nullptr, false);
  };
  serve(endpoint);
  add_replica();
  using enum serving::BatchingOptions::Mode;
  const auto fixed_sizes = config_with(fixed, 4);
  EXPECT_EQ(fixed_sizes["dynamic_batching"],
            (Json{{"preferred_batch_size", {4}}, {"max_queue_delay_microseconds", 7'000}}));
  EXPECT_EQ(fixed_sizes["max_batch_size"], 4);
  EXPECT_EQ(fixed_sizes["input"], Json::array({{{"name", "x"}, {"data_type", "TYPE_FP32"}, {"dims", {2}}}}));
  EXPECT_EQ(fixed_sizes["output"], Json::array({{{"name", "y"}, {"data_type", "TYPE_FP32"}, {"dims", {1}}}}));
  EXPECT_EQ(fixed_sizes["instance_group"][0]["kind"], "KIND_CPU");

  const auto alone = config_with(off, 4);
  EXPECT_FALSE(alone.contains("dynamic_batching")) << alone;
  EXPECT_EQ(alone["max_batch_size"], 4) << "a request may have so many rows";
  EXPECT_FALSE(config_with(fixed, 1).contains("dynamic_batching")) << "nothing shares a batch of one";

  endpoint.is_on_gpu = true;
  const auto by_measure = config_with(adaptive, 4);
  EXPECT_EQ(by_measure["dynamic_batching"],
            (Json{{"preferred_batch_size", Json::array()}, {"max_queue_delay_microseconds", 0}}));
  EXPECT_EQ(by_measure["instance_group"][0]["kind"], "KIND_GPU");
}

TEST_F(ModelRoutes, SayWhichBoundIsInTheWayOfARequestThatWouldWait) {
  Endpoint endpoint;
  endpoint.max_waiting = 2;
  endpoint.max_waiting_bytes = 40;
  serve(endpoint);
  router_.set_wanted("job", 1);
  const auto target = "/v2/models/answers/infer";
  const auto never = ask("POST", target, request_of(6));  // 8 bytes a row
  EXPECT_EQ(never.status, 400) << never.body;
  EXPECT_EQ(error_of(never),
            "the request has 48 bytes, and 40 may wait at a time (queue.max_bytes): send fewer rows");
  const auto first = begin("POST", target, request_of(4));
  const auto bytes = ask("POST", target, request_of(2));
  EXPECT_EQ(bytes.status, 503) << bytes.body;
  EXPECT_EQ(error_of(bytes),
            "while no replica is ready, too many bytes of requests wait: 32, and this one has 16, where "
            "queue.max_bytes is 40 for all together");
  const auto second = begin("POST", target, request_of(1));
  const auto third = ask("POST", target, request_of(1));
  EXPECT_EQ(third.status, 503) << third.body;
  EXPECT_EQ(error_of(third),
            "while no replica is ready, too many requests wait: 2, where queue.max_depth is 2");
}

}  // namespace
}  // namespace ds::router
