// Served models whose layers compute with whole numbers of 8 bits: compared with fp32 before they answer.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "tests/integration/served_models.hpp"

namespace ds::tests {
namespace {

class Int8Jobs : public ServedModels {
 protected:
  /// A model with linear layers that are worth it, on the data of the other.
  void train_transformer() {
    const auto file = write_job(cluster_.path() / "data", "texts", 2, 1, 1);
    std::ifstream in(file);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    const std::string before = "{zoo: text_classifier, width: 64, dropout: 0.1}";
    const auto at = text.find(before);
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, before.size(), "{zoo: transformer, layers: 1, width: 64, heads: 2}");
    std::ofstream(file) << text;
    job_ = cluster_.submit_job(file);
    ASSERT_TRUE(cluster_.wait_for_state(job_, "SUCCEEDED")) << cluster_.logs();
  }

  /// The scores of a text by a model.
  std::vector<double> scores_of(const std::string& model, const std::string& text) const {
    auto http = client();
    const auto answer =
        http.Post("/v2/models/" + model + "/infer", request({text}).dump(), "application/json");
    const auto body = answer ? Json::parse(answer->body, nullptr, false) : Json();
    if (!body.is_object() || !body.contains("outputs")) return {};
    return body.at("outputs").at(0).at("data").get<std::vector<double>>();
  }
};

TEST_F(Int8Jobs, AnswerNearlyAsFloatAndShowWhatWasComparedBefore) {
  ASSERT_NO_FATAL_FAILURE(train_transformer());
  const auto job = serve("quantize: int8\n");
  const auto plain = cluster_.submit_job(write_serve("plain", checkpoint(), ""));
  ASSERT_TRUE(has_replicas(job, 1)) << cluster_.logs();
  ASSERT_TRUE(has_replicas(plain, 1)) << cluster_.logs();
  const auto rounded = cluster_.submit_job(write_serve("rounded", checkpoint(), "precision: bf16\n"));
  ASSERT_TRUE(has_replicas(rounded, 1)) << cluster_.status(rounded) << cluster_.logs();

  const auto status = cluster_.status(job);
  ASSERT_TRUE(status.contains("quantization")) << status.dump();
  const auto report = status.at("quantization");
  EXPECT_EQ(report.at("compared_on"), "200 rows of test.csv") << "what the training was validated on";
  EXPECT_GE(report.at("linear_layers").get<int>(), 3) << report;
  EXPECT_LT(report.at("bytes_after").get<int>(), report.at("bytes_before").get<int>()) << report;
  EXPECT_GT(report.at("batch_ms_after").get<double>(), 0) << report;
  EXPECT_NEAR(report.at("accuracy_after").get<double>(), report.at("accuracy_before").get<double>(), 0.01);
  const auto text = report.at("text").get<std::string>();
  const auto metadata = client().Get("/v2/models/answers");
  ASSERT_TRUE(metadata);
  EXPECT_EQ(Json::parse(metadata->body).at("parameters").at("quantization"), text);
  EXPECT_FALSE(cluster_.status(plain).contains("quantization"));

  for (const char* asked : {"weather3 noise1 noise2", "money7 money8 noise5 noise9", "hello there"}) {
    const auto exact = scores_of("plain", asked);
    ASSERT_EQ(exact.size(), 4U);
    for (const char* model : {"answers", "rounded"}) {
      const auto near = scores_of(model, asked);
      ASSERT_EQ(near.size(), 4U);
      EXPECT_NE(exact, near) << model << " is the float model";
      for (std::size_t i = 0; i < exact.size(); ++i)
        EXPECT_NEAR(near[i], exact[i], 0.1 + 0.05 * std::fabs(exact[i])) << model;
    }
  }
}

TEST_F(Int8Jobs, AreRefusedWhenTheyLoseTooMuchOrHaveNothingToQuantize) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto reason = [&](const std::string& name, const std::string& model, const std::string& more) {
    const auto job = cluster_.submit_job(write_serve(name, model, more));
    EXPECT_TRUE(cluster_.wait_for_state(job, "FAILED")) << name << cluster_.logs();
    return cluster_.status(job).at("reason").get<std::string>();
  };
  const auto small = reason("small", checkpoint(), "quantize: int8\n");
  EXPECT_NE(small.find("no layer that this could be done to"), std::string::npos) << small;

  ASSERT_NO_FATAL_FAILURE(
      run_torch("torch.manual_seed(1)\n"
                "torch.jit.script(torch.nn.Linear(64, 64)).save(sys.argv[1] + '/model.pt')\n"));
  const auto strict =
      reason("strict", "{source: \"file:model.pt\", inputs: [{name: x, datatype: FP32, shape: [-1, 64]}]}",
             "quantize: {to: int8, max_error: 0.0001}\n");
  EXPECT_NE(strict.find("256 rows of random inputs"), std::string::npos) << strict;
  EXPECT_NE(strict.find("quantize.max_error is 0.0001"), std::string::npos) << strict;
}

}  // namespace
}  // namespace ds::tests
