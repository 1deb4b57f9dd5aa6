// What served models answer: texts, tensors in JSON and in bytes, and what is wrong with a request.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/integration/hostile_client.hpp"
#include "tests/integration/packed.hpp"
#include "tests/integration/served_models.hpp"

namespace ds::tests {
namespace {

class ServeRequests : public ServedModels {
 protected:
  static constexpr const char* kLength = "Inference-Header-Content-Length";

  void expect_refused(const std::string& body, int status, const std::string& text) const {
    const auto answer = post(body);
    EXPECT_EQ(answer.first, status) << body.substr(0, 300) << "\n" << answer.second;
    const auto document = Json::parse(answer.second, nullptr, false);
    ASSERT_TRUE(document.is_object() && document.contains("error")) << answer.second;
    EXPECT_NE(document.at("error").get<std::string>().find(text), std::string::npos) << answer.second;
  }

  /// What a client has asked of `answers` that is still there when it returns.
  fabric::tests::HostileClient asking(const Json& body) const {
    const auto text = body.dump();
    const auto colon = cluster_.address().rfind(':');
    fabric::tests::HostileClient asker(
        cluster_.address().substr(0, colon),
        static_cast<std::uint16_t>(std::stoi(cluster_.address().substr(colon + 1))));
    asker.send(
        "POST /v2/models/answers/infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Content-Length: " +
        std::to_string(text.size()) + "\r\n\r\n" + text);
    return asker;
  }
  /// Sends the bytes as they are: the status, and the error where the answer is one of the protocol's; else
  /// what came.
  std::pair<int, std::string> error_for(const std::string& bytes) const {
    const auto colon = cluster_.address().rfind(':');
    fabric::tests::HostileClient sender(
        cluster_.address().substr(0, colon),
        static_cast<std::uint16_t>(std::stoi(cluster_.address().substr(colon + 1))));
    sender.send(bytes);
    const auto answer = sender.read(1 << 20);  // until it hangs up
    const auto end = answer.find("\r\n\r\n");
    if (!answer.starts_with("HTTP/1.1 ") || end == std::string::npos) return {0, answer};
    const auto status = std::stoi(answer.substr(9, 3));
    const auto body = Json::parse(answer.substr(end + 4), nullptr, false);
    const bool is_json =
        answer.substr(0, end).find("\r\nContent-Type: application/json") != std::string::npos;
    const bool is_error = body.is_object() && body.size() == 1 && body.contains("error") &&
                          body["error"].is_string() && !body["error"].get<std::string>().empty();
    if (!is_json || !is_error) return {status, "not the protocol's: " + answer};
    return {status, body["error"].get<std::string>()};
  }
  /// While no node takes workers a model that sleeps can't wake, and requests for it wait.
  void for_all_nodes(const std::string& verb) const {
    for (const char* node : {"node-1", "node-2"}) ASSERT_EQ(cluster_.submit({verb, node}).code, 0);
  }
  const std::string kSleepsSoon = "replicas: {min: 0, max: 1}\nautoscale: {to_zero_after: 2s}\n";

  bool are_ongoing(int requests) const {
    return wait_until([&] {
      const auto metrics = client().Get("/metrics");
      const auto line = "\nds_infer_ongoing{model=\"answers\"} " + std::to_string(requests) + "\n";
      return metrics && metrics->body.find(line) != std::string::npos;
    });
  }
};

TEST_F(ServeRequests, AreAnsweredWithLabelsByTheProtocol) {
  ASSERT_NO_FATAL_FAILURE(train());
  ASSERT_TRUE(has_replicas(serve(""), 1)) << cluster_.logs();
  auto http = client();
  const auto server = http.Get("/v2");
  ASSERT_TRUE(server);
  EXPECT_EQ(Json::parse(server->body).at("name"), "ds");
  const auto ready = http.Get("/v2/models/answers/ready");
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->status, 200) << ready->body;
  const auto metadata = http.Get("/v2/models/answers");
  ASSERT_TRUE(metadata);
  EXPECT_EQ(Json::parse(metadata->body).at("inputs").at(0).at("datatype"), "BYTES") << metadata->body;
  const auto [status, text] = post(request({"hello there", "good bye"}));
  ASSERT_EQ(status, 200) << text;
  const auto body = Json::parse(text);
  EXPECT_EQ(body.at("id"), "r1");
  EXPECT_EQ(body.at("model_name"), "answers");
  EXPECT_EQ(labels_in(text).size(), 2U) << text;
  auto best = request({"hello there"});
  const std::string scores = Json::parse(metadata->body).at("outputs").at(0).at("name");
  best["outputs"] = Json::array({{{"name", scores}, {"parameters", {{"classification", 2}}}}});
  const auto classes = post(best);
  ASSERT_EQ(classes.first, 200) << classes.second;
  const auto first = Json::parse(classes.second).at("outputs").at(0).at("data").at(0).get<std::string>();
  EXPECT_EQ(first.substr(first.rfind(':') + 1), labels_in(text).front()) << "value:index:label";
  const auto predicted = cluster_.submit({"predict", "answers", "hello there", "good bye"});
  EXPECT_EQ(predicted.code, 0) << predicted.err;
  for (const auto& label : labels_in(text))
    EXPECT_NE(predicted.out.find(label), std::string::npos) << predicted.out;

  const auto stats = http.Get("/v2/models/answers/stats");
  ASSERT_TRUE(stats);
  const auto counted = Json::parse(stats->body).at("model_stats").at(0);
  EXPECT_EQ(counted.at("inference_count"), 5) << stats->body;
  EXPECT_EQ(counted.at("inference_stats").at("success").at("count"), 3) << stats->body;
  const auto metrics = http.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_NE(metrics->body.find("ds_infer_seconds_count{model=\"answers\",version=\"1\"} 3\n"),
            std::string::npos);
}

TEST_F(ServeRequests, OfATorchScriptFileAreTensorsInJsonOrInBytes) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto file = cluster_.path() / "model.pt";
  ASSERT_EQ(cluster_.submit({"export", job_, "--format", "torchscript", "-o", file.string()}).code, 0);
  // It says itself that it takes texts, as the checkpoint does.
  ASSERT_TRUE(has_replicas(cluster_.submit_job(write_serve("answers", "{source: \"file:model.pt\"}", "")), 1))
      << cluster_.logs();
  const auto expected = labels_in(post(request({"hello there"})).second);
  ASSERT_EQ(expected.size(), 1U);
  // Named by the job it takes the numbers of tokens.
  const std::string model =
      "{source: \"file:model.pt\", inputs: [{name: tokens, datatype: INT64, shape: [-1, 6]}], "
      "outputs: [{name: scores}]}";
  ASSERT_TRUE(has_replicas(cluster_.submit_job(write_serve("plain", model, "")), 1)) << cluster_.logs();
  auto http = client();
  Json input{{"name", "tokens"}, {"datatype", "INT64"}, {"shape", {1, 6}}, {"data", {2, 3, 4, 0, 0, 0}}};
  const Json asked{{"inputs", Json::array({input})}};
  const auto in_json = http.Post("/v2/models/plain/infer", asked.dump(), "application/json");
  ASSERT_TRUE(in_json);
  ASSERT_EQ(in_json->status, 200) << in_json->body;
  const auto scores = Json::parse(in_json->body).at("outputs").at(0);
  EXPECT_EQ(scores.at("name"), "scores");
  const auto numbers = scores.at("data").get<std::vector<float>>();

  const std::int64_t tokens[]{2, 3, 4, 0, 0, 0};
  const std::string bytes(reinterpret_cast<const char*>(tokens), sizeof tokens);
  input.erase("data");
  input["parameters"] = {{"binary_data_size", bytes.size()}};
  const Json binary{{"name", "scores"}, {"parameters", {{"binary_data", true}}}};
  const std::string head = Json{{"inputs", Json::array({input})}, {"outputs", Json::array({binary})}}.dump();
  const auto in_bytes = http.Post("/v2/models/plain/infer", {{kLength, std::to_string(head.size())}},
                                  head + bytes, "application/octet-stream");
  ASSERT_TRUE(in_bytes);
  ASSERT_EQ(in_bytes->status, 200) << in_bytes->body;
  const auto length = std::stoul(in_bytes->get_header_value(kLength));
  ASSERT_EQ(in_bytes->body.size(), length + numbers.size() * sizeof(float));
  std::vector<float> same(numbers.size());
  std::memcpy(same.data(), in_bytes->body.data() + length, numbers.size() * sizeof(float));
  EXPECT_EQ(same, numbers);
  const auto raw = http.Post("/v2/models/plain/infer", {{kLength, "0"}}, bytes, "application/octet-stream");
  ASSERT_TRUE(raw);
  EXPECT_EQ(raw->status, 200) << raw->body;
}

TEST_F(ServeRequests, OfAHundredClientsAreAnsweredThoughOneMessageHasNotPiecesForAll) {
  ASSERT_NO_FATAL_FAILURE(run_torch(R"(
class Twice(torch.nn.Module):
    def forward(self, x):
        return x + 0, 2 * x
torch.jit.script(Twice()).save(sys.argv[1] + "/twice.pt")
)"));
  const std::string model =
      "{source: \"file:twice.pt\", inputs: [{name: x, datatype: FP32, shape: [-1, 1]}], "
      "outputs: [{name: same}, {name: twice}]}";
  // It sleeps: all wait until a replica is there, and run in one batch.
  const auto job =
      cluster_.submit_job(write_serve("answers", model,
                                      "replicas: {min: 0, max: 1}\nautoscale: {to_zero_after: 2s}\n"
                                      "batching: {mode: fixed, max_size: 128, max_delay: 300ms}\n"));
  ASSERT_TRUE(has_replicas(job, 0)) << cluster_.logs();
  std::vector<std::thread> clients;
  std::atomic<int> right{0};
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back([&, i] {
      const Json input{{"name", "x"}, {"datatype", "FP32"}, {"shape", {1, 1}}, {"data", {i}}};
      const auto [status, text] = post(Json{{"inputs", Json::array({input})}});
      if (status != 200) return;
      const auto outputs = Json::parse(text).at("outputs");
      if (outputs.at(0).at("data").at(0) == i && outputs.at(1).at("data").at(0) == 2 * i) ++right;
    });
  }
  for (auto& one : clients) one.join();
  EXPECT_EQ(right, 100) << cluster_.logs();
}

TEST_F(ServeRequests, ThatAreWrongHearWhatIsWrong) {
  ASSERT_NO_FATAL_FAILURE(train());
  ASSERT_TRUE(has_replicas(serve("batching: {max_size: 4}\nqueue: {max_bytes: 20Ki}\n"), 1))
      << cluster_.logs();
  auto http = client();
  const auto deleted = http.Delete("/v2/models/answers/infer");
  ASSERT_TRUE(deleted);
  EXPECT_EQ(deleted->status, 405);
  EXPECT_EQ(deleted->get_header_value("Allow"), "POST");
  const auto nowhere = http.Get("/v2/nothing");
  ASSERT_TRUE(nowhere);
  EXPECT_EQ(nowhere->status, 404);
  const auto beside = http.Post("/v2models/answers/infer", request({"x"}).dump(), "application/json");
  ASSERT_TRUE(beside);
  EXPECT_EQ(beside->status, 404) << "no route of the protocol";
  const auto unknown = http.Post("/v2/models/other/infer", request({"x"}).dump(), "application/json");
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->status, 404);
  EXPECT_NE(unknown->body.find("Request for unknown model"), std::string::npos);
  const auto version =
      http.Post("/v2/models/answers/versions/7/infer", request({"x"}).dump(), "application/json");
  ASSERT_TRUE(version);
  EXPECT_EQ(version->status, 404) << version->body;

  expect_refused("{\"inputs\": [", 400, "JSON");
  expect_refused("{}", 400, "inputs");
  expect_refused(std::string(100'000, '['), 400, "");
  auto wrong = request({"x"});
  wrong["inputs"][0]["datatype"] = "FP32";
  expect_refused(wrong.dump(), 400, "");
  wrong = request({"x"});
  wrong["inputs"][0]["shape"] = {2};
  expect_refused(wrong.dump(), 400, "");
  wrong = request({"x"});
  wrong["inputs"][0]["shape"] = {9223372036854775807, 9223372036854775807};
  expect_refused(wrong.dump(), 400, "");
  wrong = request({"x"});
  wrong["inputs"][0]["name"] = "other";
  expect_refused(wrong.dump(), 400, "other");
  wrong = request({"x"});
  wrong["outputs"] = Json::array({{{"name", "nothing"}}});
  expect_refused(wrong.dump(), 400, "nothing");
  expect_refused(request({"1", "2", "3", "4", "5"}).dump(), 400, "batch-size must be <= 4");
  expect_refused(request({std::string(30'000, 'x')}).dump(), 400,
                 "20480 may wait at a time (queue.max_bytes)");
  const auto bomb = http.Post("/v2/models/answers/infer", {{"Content-Encoding", "gzip"}},
                              packed(std::string(80 << 20, ' '), kGzip), "application/json");
  ASSERT_TRUE(bomb);
  EXPECT_EQ(bomb->status, 413) << bomb->body;
  const auto lies = http.Post("/v2/models/answers/infer", {{kLength, "5000"}}, request({"x"}).dump(),
                              "application/octet-stream");
  ASSERT_TRUE(lies);
  EXPECT_EQ(lies->status, 400) << lies->body;
  struct Case {
    const char* what;
    std::string line, rest;
    int status;
    const char* text;
  };
  const std::string infer = "POST /v2/models/answers/infer";
  const auto length = [](const std::string& value) {
    return std::string(kLength) + ": " + value + "\r\nContent-Length: 2\r\n\r\n{}";
  };
  const std::string binary =
      R"({"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":9}}]})"
      "nine bytes";
  const std::vector<Case> cases{
      {"large header", "GET /v2/models/answers", "X: " + std::string(9'000, 'a') + "\r\n\r\n", 431, "8192"},
      {"long line", "GET /v2/" + std::string(20'000, 'a'), "\r\n", 431, "8192"},
      {"length is no number", infer, "Content-Length: ten\r\n\r\n", 400, "HTTP/1.1"},
      {"length too large", infer, "Content-Length: 99999999999\r\n\r\n", 413, "67108864"},
      {"two lengths", infer, "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
       "Transfer-Encoding"},
      {"no route", "GET /v2/nothing", "\r\n", 404, "/v2/nothing"},
      {"no such verb here", "DELETE /v2/models/answers", "\r\n", 405, "GET"},
      {"no model", "GET /v2/models/other", "\r\n", 404, "unknown model"},
      {"JSON's length is no number", infer, length("two"), 400, kLength},
      {"JSON's length is below 0", infer, length("-1"), 400, kLength},
      {"JSON's length twice", infer, kLength + std::string(": 2\r\n") + length("2"), 400, kLength},
      {"JSON's length beyond the body", infer, length("3"), 400, ""},
      {"JSON's length is missing", infer,
       "Content-Length: " + std::to_string(binary.size()) + "\r\n\r\n" + binary, 400, ""},
      {"coding unknown", infer, "Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx", 415, "br"},
      {"index of no JSON", "POST /v2/repository/index", "Content-Length: 1\r\n\r\n[", 400, "object"},
  };
  for (const Case& one : cases) {
    const auto [status, text] =
        error_for(one.line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + one.rest);
    EXPECT_EQ(status, one.status) << one.what << ": " << text;
    EXPECT_FALSE(text.starts_with("not the protocol's")) << one.what << ": " << text;
    EXPECT_NE(text.find(one.text), std::string::npos) << one.what << ": " << text;
  }
  EXPECT_FALSE(label_of("hello there").empty()) << "it answers as before";
}

TEST_F(ServeRequests, OfUnlikeLengthsShareABatchWhereTheJobSaysSoAndTheModelAllowsIt) {
  ASSERT_NO_FATAL_FAILURE(
      run_torch("class Masked(torch.nn.Module):\n"
                "    def forward(self, x):\n"
                "        return x.sum(1, keepdim=True) / torch.ne(x, 0).sum(1, keepdim=True), x * 2\n"
                "class Mean(torch.nn.Module):\n"
                "    def forward(self, x):\n"
                "        return x.to(torch.float).mean(1, keepdim=True)\n"
                "class Turned(torch.nn.Module):\n"
                "    def forward(self, x):\n"
                "        return x.transpose(1, 2) * 2\n"
                "torch.jit.script(Turned()).save(sys.argv[1] + '/turned.pt')\n"
                "torch.jit.script(Masked()).save(sys.argv[1] + '/masked.pt')\n"
                "torch.jit.script(Mean()).save(sys.argv[1] + '/mean.pt')\n"));
  const auto model = [](const std::string& file, const std::string& outputs) {
    return "{source: \"file:" + file +
           "\", inputs: [{name: x, datatype: INT64, shape: [-1, -1]}], outputs: " + outputs + "}";
  };
  // Three rows, or nobody is answered.
  const std::string batching =
      "batching: {mode: fixed, max_size: 3, max_delay: 90s, padding: {buckets: [4, 8]";
  const auto job = cluster_.submit_job(write_serve(
      "answers", model("masked.pt", "[{name: mean}, {name: twice}]"), batching + ", cut: [twice]}}\n"));
  ASSERT_TRUE(has_replicas(job, 1)) << cluster_.status(job) << cluster_.logs();
  const std::vector<std::vector<std::int64_t>> asked{{7}, {1, 2, 6}, {5, 5, 5, 9}};
  std::vector<std::pair<int, std::string>> answers(asked.size());
  const auto body_of = [](const std::vector<std::int64_t>& tokens) {
    Json input{{"name", "x"}, {"datatype", "INT64"}, {"shape", {1, tokens.size()}}, {"data", tokens}};
    return Json{{"inputs", Json::array({std::move(input)})}};
  };
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < asked.size(); ++i)
    clients.emplace_back([&, i] { answers[i] = post(body_of(asked[i])); });
  for (auto& one : clients) one.join();
  for (std::size_t i = 0; i < asked.size(); ++i) {
    ASSERT_EQ(answers[i].first, 200) << answers[i].second << cluster_.logs();
    double sum = 0;
    auto twice = asked[i];
    for (auto& token : twice) sum += static_cast<double>(token), token *= 2;
    const auto outputs = Json::parse(answers[i].second).at("outputs");
    EXPECT_NEAR(outputs.at(0).at("data").at(0).get<double>(), sum / static_cast<double>(twice.size()), 1e-5);
    EXPECT_EQ(outputs.at(1).at("data"), Json(twice)) << answers[i].second;
    EXPECT_EQ(outputs.at(1).at("shape"), (Json{1, twice.size()}));
  }
  const auto metrics = client().Get("/metrics");
  ASSERT_TRUE(metrics);
  for (const std::string line : {"real\"} 8\n", "padding\"} 4\n"}) {
    EXPECT_NE(
        metrics->body.find("ds_infer_input_elements_total{model=\"answers\",version=\"1\",kind=\"" + line),
        std::string::npos)
        << metrics->body;
  }
  const auto config = client().Get("/v2/models/answers/config");
  ASSERT_TRUE(config);
  EXPECT_EQ(Json::parse(config->body).at("parameters").at("padding_buckets").at("string_value"), "4,8");
  EXPECT_EQ(Json::parse(config->body).at("output").at(1).at("dims"), Json::array({-1})) << config->body;
  expect_refused(body_of({1, 2, 3, 4, 5, 6, 7, 8, 9}).dump(), 400, "8 is the longest that the model takes");

  const auto images = cluster_.submit_job(
      write_serve("images",
                  "{source: \"file:turned.pt\", inputs: [{name: x, datatype: FP32, shape: [-1, -1, -1]}], "
                  "outputs: [{name: turned}]}",
                  "batching: {padding: {buckets: [[2, 4], [3]], cut: [turned]}}\n"));
  ASSERT_TRUE(has_replicas(images, 1)) << cluster_.status(images) << cluster_.logs();
  const auto turn = [&](const Json& shape, const Json& data) {
    const Json body{{"inputs", {{{"name", "x"}, {"datatype", "FP32"}, {"shape", shape}, {"data", data}}}}};
    const auto answer = client().Post("/v2/models/images/infer", body.dump(), "application/json");
    return answer ? answer->body : "";
  };
  const auto turned = Json::parse(turn({1, 3, 2}, {1, 2, 3, 4, 5, 6}), nullptr, false);
  ASSERT_TRUE(turned.is_object() && turned.contains("outputs")) << turned;
  EXPECT_EQ(turned.at("outputs").at(0).at("shape"), (Json{1, 2, 3}));
  EXPECT_EQ(turned.at("outputs").at(0).at("data"), (Json{2, 6, 10, 4, 8, 12}));
  const auto wide = turn({1, 1, 4}, {1, 2, 3, 4});
  EXPECT_NE(wide.find("length 4 in dimension 2, and 3 is the longest that the model takes"),
            std::string::npos)
      << wide;

  const auto other =
      cluster_.submit_job(write_serve("mean", model("mean.pt", "[{name: y}]"), batching + "}}\n"));
  ASSERT_TRUE(cluster_.wait_for_state(other, "FAILED")) << cluster_.logs();
  const auto reason = cluster_.status(other).at("reason").get<std::string>();
  EXPECT_NE(reason.find("the model's answers change when its inputs are padded"), std::string::npos)
      << reason;
  EXPECT_NE(reason.find("batching.padding.tolerance is 0.0001"), std::string::npos) << reason;
}

TEST_F(ServeRequests, OfShortTextsAreNoLongerThanTheirBucketAndGetTheSameLabels) {
  ASSERT_NO_FATAL_FAILURE(train());
  ASSERT_TRUE(has_replicas(serve(""), 1)) << cluster_.logs();
  const auto padded = cluster_.submit_job(
      write_serve("padded", checkpoint(),
                  "batching: {mode: fixed, max_size: 2, max_delay: 1ms, padding: {buckets: [2, 4]}}\n"));
  ASSERT_TRUE(has_replicas(padded, 1)) << cluster_.status(padded) << cluster_.logs();
  const std::vector<std::string> texts{"hello there", "bye"};
  auto http = client();
  const auto answer = http.Post("/v2/models/padded/infer", request(texts).dump(), "application/json");
  ASSERT_TRUE(answer);
  EXPECT_EQ(labels_in(answer->body), labels_in(post(request(texts)).second)) << answer->body;
  const auto metrics = http.Get("/metrics");
  ASSERT_TRUE(metrics);
  for (const std::string line : {"real\"} 3\n", "padding\"} 1\n"}) {
    EXPECT_NE(
        metrics->body.find("ds_infer_input_elements_total{model=\"padded\",version=\"1\",kind=\"" + line),
        std::string::npos)
        << metrics->body;
  }
}

TEST_F(ServeRequests, ThatNobodyAnswersEndWithTheirTimeoutAndWaitInABoundedLine) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto job = serve("queue: {timeout: 3s, max_depth: 1}\n" + kSleepsSoon);
  ASSERT_TRUE(has_replicas(job, 0)) << cluster_.logs();
  ASSERT_NO_FATAL_FAILURE(for_all_nodes("drain"));
  // Of two there is room for one; the other hears so at once, and when to come again.
  Askers other(1, [&]() -> std::string {
    const auto [status, body] = post(request({"hello there"}));
    return status == 503 || status == 504 ? "" : std::to_string(status) + " " + body;
  });
  auto http = client();
  bool says_when = false;
  EXPECT_TRUE(wait_until([&] {
    const auto full = http.Post("/v2/models/answers/infer", request({"x"}).dump(), "application/json");
    if (!full || full->status != 503) return false;
    says_when = full->has_header("Retry-After");
    return true;
  }));
  EXPECT_TRUE(says_when);
  other.stop();
  EXPECT_EQ(other.wrong(), 0) << other.first_wrong();
  auto hasty = request({"hello there"});
  hasty["parameters"] = {{"timeout", 200'000}};
  const auto begun = std::chrono::steady_clock::now();
  expect_refused(hasty.dump(), 504, "timeout");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(2))
      << "its own timeout is shorter";
  ASSERT_NO_FATAL_FAILURE(for_all_nodes("undrain"));
  EXPECT_TRUE(wait_until([&] { return !label_of("hello there").empty(); })) << cluster_.logs();
}

TEST_F(ServeRequests, DoNotWaitForAModelThatItsOwnerHasPaused) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto job = serve("queue: {timeout: 100s}\n");
  ASSERT_FALSE(label_of("hello there").empty()) << cluster_.logs();
  ASSERT_EQ(cluster_.submit({"pause", job}).code, 0);
  ASSERT_TRUE(cluster_.wait_for_state(job, "PAUSED"));
  expect_refused(request({"hello there"}).dump(), 503, "ds-submit resume " + job);
  ASSERT_EQ(cluster_.submit({"resume", job}).code, 0);
  EXPECT_FALSE(label_of("hello there").empty()) << cluster_.logs();
}

TEST_F(ServeRequests, MayUnloadAModelAndLoadItAgain) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto job = serve("queue: {timeout: 100s}\n");
  ASSERT_FALSE(label_of("hello there").empty()) << cluster_.logs();
  const auto control = [this](const std::string& model, const std::string& verb) {
    auto http = client();
    const auto answer = http.Post("/v2/repository/models/" + model + "/" + verb, "{}", "application/json");
    return answer ? std::pair(answer->status, answer->body) : std::pair(0, std::string("no answer"));
  };
  const auto unloaded = control("answers", "unload");
  EXPECT_EQ(unloaded.first, 200) << unloaded.second;
  EXPECT_EQ(cluster_.status(job).at("state"), "PAUSED");
  expect_refused(request({"hello there"}).dump(), 503, "ds-submit resume " + job);
  EXPECT_EQ(client().Get("/v2/models/answers/ready")->status, 400);
  const auto loaded = control("answers", "load");
  EXPECT_EQ(loaded.first, 200) << loaded.second << cluster_.logs();
  EXPECT_EQ(client().Get("/v2/models/answers/ready")->status, 200);
  EXPECT_EQ(cluster_.status(job).at("state"), "RUNNING");
  EXPECT_FALSE(label_of("hello there").empty()) << cluster_.logs();
  for (const char* verb : {"load", "unload"}) {
    const auto unknown = control("nobody", verb);
    EXPECT_EQ(unknown.first, 404) << verb << unknown.second;
    EXPECT_NE(unknown.second.find("Request for unknown model: 'nobody'"), std::string::npos)
        << unknown.second;
  }
}

TEST_F(ServeRequests, DoNotWaitForAModelThatHasNeverHadRoom) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto file = cluster_.path() / "all.yaml";
  std::ofstream(file) << "version: 1\nkind: command\nname: all\nworkers: 4\nrun: [\"sleep\", \"1000\"]\n";
  const auto all = cluster_.submit_job(file);
  ASSERT_TRUE(cluster_.wait_for_state(all, "RUNNING")) << cluster_.logs();
  serve("queue: {timeout: 100s}\n");
  std::pair<int, std::string> heard;
  EXPECT_TRUE(wait_until([&] {
    heard = post(request({"hello there"}));
    return heard.first == 503;
  }));
  EXPECT_NE(heard.second.find("none of its replicas has been ready yet: needs 1 "), std::string::npos)
      << heard.second;
  ASSERT_EQ(cluster_.submit({"cancel", all}).code, 0);
  EXPECT_TRUE(wait_until([&] { return !label_of("hello there").empty(); })) << cluster_.logs();
}

TEST_F(ServeRequests, OfClientsThatGoAwayGiveTheirPlacesUp) {
  ASSERT_NO_FATAL_FAILURE(train());
  // Alone in its batch a request waits for longer than this test may take.
  const auto job =
      serve("batching: {mode: fixed, max_size: 2, max_delay: 100s}\nqueue: {timeout: 100s, max_depth: 1}\n" +
            kSleepsSoon);
  {
    const auto asker = asking(request({"hello there"}));
    ASSERT_TRUE(are_ongoing(1)) << cluster_.logs();
    expect_refused(request({"x"}).dump(), 503, "too many requests wait");
  }
  EXPECT_TRUE(are_ongoing(0)) << "the replica keeps its place";
  EXPECT_EQ(post(request({"one", "two"})).first, 200);
  ASSERT_TRUE(has_replicas(job, 0)) << cluster_.logs();
  ASSERT_NO_FATAL_FAILURE(for_all_nodes("drain"));
  {
    const auto asker = asking(request({"hello there"}));
    ASSERT_TRUE(are_ongoing(1)) << cluster_.logs();
  }
  EXPECT_TRUE(are_ongoing(0)) << "the router keeps its place";
}

}  // namespace
}  // namespace ds::tests
