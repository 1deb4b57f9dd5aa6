#include "actors/serving/route_bodies.hpp"

#include <gtest/gtest.h>

#include <array>

namespace ds::serving {
namespace {

ModelMetadata text_model() {
  ModelMetadata model;
  model.name = "m";
  model.versions = {1, 12};
  model.inputs = {{"X", Datatype::bytes, {-1, 1}}};
  model.outputs = {{"Y", Datatype::fp32, {-1, 3}}};
  model.max_batch_size = 4;
  return model;
}

TEST(RouteBodies, OfTheServer) {
  constexpr std::array<std::string_view, 2> kExtensions{"statistics", "parameters"};
  EXPECT_EQ(server_metadata_body("0.1.0", kExtensions),
            R"({"name":"ds","version":"0.1.0","extensions":["statistics","parameters"]})");
  EXPECT_EQ(live_body(true), R"({"live":true})");
  EXPECT_EQ(ready_body(false), R"({"ready":false})");
}

TEST(RouteBodies, OfAModel) {
  EXPECT_EQ(model_metadata_body(text_model()),
            R"({"name":"m","versions":["1","12"],"platform":"pytorch_torchscript",)"
            R"("inputs":[{"name":"X","datatype":"BYTES","shape":[-1,1]}],)"
            R"("outputs":[{"name":"Y","datatype":"FP32","shape":[-1,3]}]})");
  EXPECT_EQ(model_ready_body("m", true), R"({"name":"m","ready":true})");
  ModelMetadata bare;
  EXPECT_EQ(model_metadata_body(bare),
            R"({"name":"","versions":[],"platform":"pytorch_torchscript","inputs":[],"outputs":[]})");
}

TEST(RouteBodies, OfAConfigurationAsTritonsClientsReadIt) {
  ModelConfiguration configuration;
  configuration.has_dynamic_batching = true;
  configuration.preferred_batch_sizes = {4};
  configuration.max_queue_delay_us = 100;
  configuration.replicas = 2;
  EXPECT_EQ(model_config_body(text_model(), configuration),
            R"({"name":"m","platform":"pytorch_torchscript","backend":"pytorch",)"
            R"("version_policy":{"specific":{"versions":[1,12]}},"max_batch_size":4,)"
            R"("input":[{"name":"X","data_type":"TYPE_STRING","dims":[1]}],)"
            R"("output":[{"name":"Y","data_type":"TYPE_FP32","dims":[3]}],)"
            R"("instance_group":[{"name":"m","kind":"KIND_CPU","count":2}],)"
            R"("dynamic_batching":{"preferred_batch_size":[4],"max_queue_delay_microseconds":100}})");
  ModelMetadata padded = text_model();
  padded.padding = Padding{{{4, 8}}, {{0, {1}, -1}}, {{0, {}, {}}}};
  EXPECT_NE(model_config_body(padded, {})
                .find(R"("parameters":{"padding_buckets":{"string_value":"4,8"},)"
                      R"("padding_values":{"string_value":"X=-1"},"padding_cut":{"string_value":"Y"}})"),
            std::string::npos)
      << model_config_body(padded, {});
  padded.padding->buckets.push_back({3, 5});
  EXPECT_NE(model_config_body(padded, {}).find(R"("padding_buckets":{"string_value":"4,8;3,5"})"),
            std::string::npos)
      << model_config_body(padded, {});
  ModelMetadata unbatched = text_model();
  unbatched.max_batch_size = 0;
  const std::string body = model_config_body(unbatched, {});
  EXPECT_NE(body.find(R"("dims":[-1,1])"), std::string::npos);
  EXPECT_EQ(body.find("dynamic_batching"), std::string::npos);
}

TEST(RouteBodies, OfStatistics) {
  NamedStatistics model{"m", 3, {}};
  model.statistics.last_inference_ms = 5;
  model.statistics.inference_count = 7;
  model.statistics.execution_count = 2;
  model.statistics.success = {6, 18446744073709551615U};
  model.statistics.fail = {1, 2};
  model.statistics.batches = {{4, {{1, 2}, {3, 4}, {5, 6}}}};
  EXPECT_EQ(
      statistics_body(std::span(&model, 1)),
      R"({"model_stats":[{"name":"m","version":"3","last_inference":5,"inference_count":7,"execution_count":2,)"
      R"("inference_stats":{"success":{"count":6,"ns":18446744073709551615},"fail":{"count":1,"ns":2},)"
      R"("queue":{"count":0,"ns":0},"compute_input":{"count":0,"ns":0},"compute_infer":{"count":0,"ns":0},)"
      R"("compute_output":{"count":0,"ns":0},"cache_hit":{"count":0,"ns":0},"cache_miss":{"count":0,"ns":0}},)"
      R"("batch_stats":[{"batch_size":4,"compute_input":{"count":1,"ns":2},"compute_infer":{"count":3,"ns":4},)"
      R"("compute_output":{"count":5,"ns":6}}]}]})");
  EXPECT_EQ(statistics_body({}), R"({"model_stats":[]})");
}

TEST(RouteBodies, OfTheRepository) {
  const std::array<IndexEntry, 2> entries{{{"a", 2, true, ""}, {"b", std::nullopt, false, "loading"}}};
  EXPECT_EQ(repository_index_body(entries), R"([{"name":"a","version":"2","state":"READY","reason":""},)"
                                            R"({"name":"b","state":"UNAVAILABLE","reason":"loading"}])");
  EXPECT_EQ(repository_index_body({}), "[]");
}

TEST(RouteBodies, OfAQuestionForTheRepositorySayWhetherOnlyReadyModelsAreWanted) {
  for (const char* all : {"", " \r\n", "{}", R"({"ready": false})", R"({"other": {"ready": true}})"})
    EXPECT_FALSE(wants_only_ready(all).value_or(true)) << all;
  for (const char* ready : {R"({"ready":true})", R"( {"repository": "x", "ready" : true} )"})
    EXPECT_TRUE(wants_only_ready(ready).value_or(false)) << ready;
  for (const char* wrong : {"[]", "true", "{", R"({"ready": "true"})", R"({"ready": true, "ready": true})",
                            R"({"ready": true} x)", R"({"ready": 1})"}) {
    const auto read = wants_only_ready(wrong);
    ASSERT_FALSE(read) << wrong;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument) << wrong;
    EXPECT_FALSE(read.error().message.empty()) << wrong;
  }
}

TEST(RouteBodies, OfErrorsAreValidJsonWhateverTheTextIs) {
  EXPECT_EQ(error_body("no \"m\""), R"({"error":"no \"m\""})");
  EXPECT_EQ(error_body(Error{ErrorCode::internal, "what", "do this"}), R"({"error":"what; do this"})");
  EXPECT_EQ(error_body("\xff"), "{\"error\":\"\xEF\xBF\xBD\"}");
}

TEST(RouteBodies, HaveTheStatusesOfTheProtocol) {
  EXPECT_EQ(http_status(ErrorCode::invalid_argument), 400);
  EXPECT_EQ(http_status(ErrorCode::not_found), 404);
  EXPECT_EQ(http_status(ErrorCode::internal), 500);
  EXPECT_EQ(http_status(ErrorCode::unsupported), 501);
  EXPECT_EQ(http_status(ErrorCode::resource_exhausted), 503);
  EXPECT_EQ(http_status(ErrorCode::deadline_exceeded), 504);
}

}  // namespace
}  // namespace ds::serving
