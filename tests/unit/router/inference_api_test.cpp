#include "actors/router/inference_api.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/all.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>

#include "actors/fabric/fabric.hpp"
#include "tests/unit/router/comes_true.hpp"

namespace ds::router {
namespace {

struct Config : caf::actor_system_config {
  Config() { fabric::configure(*this); }
};

constexpr const char* kBody = R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[3]}]})";

/// An endpoint without replicas: what it takes waits.
class ApiOfTenants : public ::testing::Test {
 protected:
  /// A request on its way, and its answer once there is one.
  struct Asked {
    std::shared_ptr<gateway::ClientWatch> client = std::make_shared<gateway::ClientWatch>();
    std::mutex mutex;
    int status = 0;
    std::string body;
    int now() {
      const std::lock_guard lock(mutex);
      return status;
    }
  };

  ApiOfTenants() {
    router_.set_endpoint({"answers", "job", 100, 1 << 20, std::chrono::seconds(60)});
    EXPECT_TRUE(comes_true([this] { return router_.find("answers").has_value(); }));
  }

  /// An actor that serves nothing, and that nobody knows, ends.
  ~ApiOfTenants() override {
    router_.remove_endpoint("job");
    EXPECT_TRUE(comes_true([this] { return !router_.find("answers"); }));
  }

  std::shared_ptr<Asked> ask(const std::string& tenant) {
    return post("/v2/models/answers/infer", kBody, tenant);
  }
  std::shared_ptr<Asked> post(const std::string& path, const std::string& body,
                              const std::string& tenant = "") {
    const auto asked = std::make_shared<Asked>();
    gateway::HttpRequest request;
    request.method = "POST";
    request.path = request.target = path;
    if (!tenant.empty()) request.headers.emplace("ds-tenant", tenant);
    request.body = body;
    request.client = asked->client;
    api_.handle(std::move(request), [asked](gateway::HttpResponse response) {
      const std::lock_guard lock(asked->mutex);
      asked->status = response.status;
      asked->body = std::move(response.body);
    });
    return asked;
  }

  Config config_;
  caf::actor_system system_{config_};
  Router router_{system_};
  /// What the head was asked for, and what it is to say.
  std::vector<std::pair<std::string, serving::ModelControl>> controlled_;
  Result<void> control_outcome_;
  InferenceApi api_{router_,
                    "1",
                    {{"calm", "flood"}, 2},
                    [this](const std::string& model, serving::ModelControl what, const auto& then) {
                      controlled_.emplace_back(model, what);
                      then(control_outcome_);
                    }};
};

TEST_F(ApiOfTenants, GivesNoneMoreThanItsPartOfWhatIsUnderWay) {
  const auto first = ask("flood"), second = ask("flood"), third = ask("flood");
  EXPECT_TRUE(comes_true([&] { return third->now() != 0; }));
  EXPECT_EQ(third->status, 503);
  EXPECT_NE(third->body.find("tenant flood has 2 requests under way"), std::string::npos) << third->body;
  const auto calm = ask("calm"), nobody = ask("");
  // Who goes away gives its place up.
  first->client->set_gone();
  EXPECT_TRUE(comes_true([&] { return first->now() != 0; }));
  first->client.reset();
  std::shared_ptr<Asked> again;
  EXPECT_TRUE(comes_true([&] {
    again = ask("flood");
    return again->now() == 0;
  }));
  for (const auto& waiting : {second, calm, nobody, again}) EXPECT_EQ(waiting->now(), 0) << waiting->body;
}

TEST_F(ApiOfTenants, LetsNobodyWaitWhileNoReplicaIsOnItsWay) {
  const auto waits = ask("calm");
  router_.set_held("job", "the model is paused");
  EXPECT_TRUE(comes_true([&] { return waits->now() != 0; }));
  const auto comes = ask("calm");
  EXPECT_TRUE(comes_true([&] { return comes->now() != 0; }));
  for (const auto& refused : {waits, comes}) {
    EXPECT_EQ(refused->status, 503);
    EXPECT_NE(refused->body.find("the model is paused"), std::string::npos) << refused->body;
  }
  gateway::HttpRequest metadata;
  metadata.method = "GET";
  metadata.path = metadata.target = "/v2/models/answers";
  const auto asked = std::make_shared<std::atomic<int>>(0);
  api_.handle(std::move(metadata),
              [asked](const gateway::HttpResponse& response) { *asked = response.status; });
  EXPECT_TRUE(comes_true([&] { return *asked != 0; }));
  EXPECT_EQ(*asked, 503);
  router_.set_held("job", "");
  const auto later = ask("flood");
  router_.set_held("job", "paused again");
  EXPECT_TRUE(comes_true([&] { return later->now() != 0; }));
  EXPECT_NE(later->body.find("paused again"), std::string::npos) << "it waited: " << later->body;
}

TEST_F(ApiOfTenants, LoadsAModelOnceItTakesRequestsAndUnloadsItAtOnce) {
  const auto unloaded =
      post("/v2/repository/models/answers/unload", R"({"parameters":{"unload_dependents":false}})");
  EXPECT_EQ(unloaded->now(), 200) << unloaded->body;
  EXPECT_EQ(unloaded->body, "");
  const auto loaded = post("/v2/repository/models/answers/load", "{}");
  router_.set_wanted("job", 1);
  EXPECT_TRUE(comes_true([this] { return router_.find("answers")->ongoing == 1; }))
      << "it waits for a replica";
  EXPECT_EQ(loaded->now(), 0) << loaded->body;
  const caf::scoped_actor replica(system_);  // which no request goes to
  router_.add_replica("job", 1, caf::actor_cast<caf::actor>(replica), 1, {});
  EXPECT_TRUE(comes_true([&] { return loaded->now() != 0; }));
  EXPECT_EQ(loaded->now(), 200) << loaded->body;
  EXPECT_EQ(loaded->body, "");
  EXPECT_EQ(controlled_,
            (std::vector<std::pair<std::string, serving::ModelControl>>{
                {"answers", serving::ModelControl::unload}, {"answers", serving::ModelControl::load}}));
}

TEST_F(ApiOfTenants, SaysWhyAModelIsNotLoaded) {
  const auto settings = post("/v2/repository/models/answers/load", R"({"parameters":{"config":"{}"}})");
  EXPECT_EQ(settings->now(), 501) << settings->body;
  EXPECT_NE(settings->body.find("without the parameter config"), std::string::npos) << settings->body;
  EXPECT_EQ(post("/v2/repository/models/answers/load", "[]")->now(), 400);
  EXPECT_TRUE(controlled_.empty());
  control_outcome_ = fail(ErrorCode::not_found, "Request for unknown model: 'other' is not found");
  for (const char* verb : {"load", "unload"}) {
    const auto unknown = post(std::string("/v2/repository/models/other/") + verb, "");
    EXPECT_EQ(unknown->now(), 404) << unknown->body;
  }
  control_outcome_ = {};
  router_.set_held("job", "it waits for room");
  const auto held = post("/v2/repository/models/answers/load", "");
  EXPECT_TRUE(comes_true([&] { return held->now() != 0; }));
  EXPECT_EQ(held->now(), 503);
  EXPECT_NE(held->body.find("it waits for room"), std::string::npos) << held->body;
}

TEST_F(ApiOfTenants, CallsAPausedModelNotReadyThoughItSleeps) {
  const auto ready = [this] {
    gateway::HttpRequest request;
    request.method = "GET";
    request.path = request.target = "/v2/models/answers/ready";
    int status = 0;
    api_.handle(std::move(request), [&](const gateway::HttpResponse& response) { status = response.status; });
    return status;
  };
  EXPECT_EQ(ready(), 200) << "a request would wake it";
  router_.set_held("job", "it is paused");
  EXPECT_TRUE(comes_true([&] { return ready() == 400; }));
}

TEST_F(ApiOfTenants, KnowsThoseOfAnotherFileAndWhatIsUnderWayGoesOn) {
  const auto first = ask("flood"), second = ask("flood");
  api_.set_tenants({"flood", "new"});
  const auto third = ask("flood"), fresh = ask("new"), gone = ask("calm");
  EXPECT_TRUE(comes_true([&] { return third->now() != 0; }));
  EXPECT_NE(third->body.find("tenant flood has 2 requests under way"), std::string::npos) << third->body;
  EXPECT_EQ(gone->now(), 400) << gone->body;
  for (const auto& waiting : {first, second, fresh}) EXPECT_EQ(waiting->now(), 0) << waiting->body;
  api_.set_tenants({});
  const auto anybody = ask("calm");
  EXPECT_EQ(anybody->now(), 0) << "nobody is told apart, and nothing is counted: " << anybody->body;
}

TEST_F(ApiOfTenants, LeavesTheGatewaysThreadsAsTheyWereOnceNobodyAsks) {
  if (sched_getscheduler(0) != SCHED_OTHER) GTEST_SKIP() << "whoever started this chose another policy";
  InferenceApi for_all(router_, "1", {{}, 0}, {});
  gateway::HttpServerOptions options;
  options.threads = 1;
  const auto handle = [&](const gateway::HttpRequest& request, const gateway::Respond& respond) {
    for (int i = 0; request.path == "/flood" && i < 1000; ++i) {
      gateway::HttpRequest one;
      one.method = "POST";
      one.path = one.target = "/v2/models/answers/infer";
      one.body = kBody;
      for_all.handle(std::move(one), [](const gateway::HttpResponse&) {});
    }
    respond(gateway::HttpResponse{200, std::to_string(sched_getscheduler(0)), "text/plain", {}});
  };
  const auto server = gateway::HttpServer::start(options, handle);
  ASSERT_TRUE(server) << server.error().message;
  const auto policy_after = [&](const std::string& path) {
    const auto place = "127.0.0.1:" + std::to_string((*server)->port());
    const auto answer = gateway::http_get(place, path, std::chrono::seconds(60));
    return answer ? answer->body : answer.error().message;
  };
  EXPECT_EQ(policy_after("/flood"), std::to_string(SCHED_BATCH));
  EXPECT_TRUE(comes_true([&] { return policy_after("/") == std::to_string(SCHED_OTHER); }));
  router_.remove_endpoint("job");
  EXPECT_TRUE(comes_true([this] { return !router_.find("answers"); })) << "nothing of it is under way";
}

TEST_F(ApiOfTenants, KnowsNoTenantsButThoseOfTheCluster) {
  const auto invented = ask("invented"), listed = ask("calm, flood");
  EXPECT_EQ(invented->now(), 400) << invented->body;
  EXPECT_EQ(listed->now(), 400) << listed->body;
  InferenceApi for_all(router_, "1", {{}, 0}, {});
  gateway::HttpRequest request;
  request.method = "GET";
  request.path = request.target = "/v2/health/live";
  request.headers.emplace("ds-tenant", "invented");
  int status = 0;
  for_all.handle(std::move(request),
                 [&](const gateway::HttpResponse& response) { status = response.status; });
  EXPECT_EQ(status, 200) << "without tenants there is nobody to be told apart";
}

}  // namespace
}  // namespace ds::router
