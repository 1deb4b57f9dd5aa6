#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {
namespace {

JobSpec read(const std::string& text) {
  auto parsed = parse_job_file(text, "/jobs");
  if (auto* errors = std::get_if<std::vector<SpecError>>(&parsed)) {
    ADD_FAILURE() << format_spec_error(errors->front(), "job.yaml");
    return {};
  }
  return std::get<ParsedJob>(parsed).spec;
}

/// The first fault of a file.
std::string fault(const std::string& text) {
  const auto parsed = parse_job_file(text, "/jobs");
  const auto* errors = std::get_if<std::vector<SpecError>>(&parsed);
  return errors == nullptr ? "none" : format_spec_error(errors->front(), "job.yaml");
}

const std::string kServe = "version: 1\nkind: serve\nname: answers\n";

TEST(ServeJobs, HaveDefaultsForAllButTheModel) {
  const JobSpec spec = read(kServe + "model: {source: \"ckpt:intents\"}\n");
  ASSERT_TRUE(spec.serve);
  EXPECT_EQ(spec.kind, JobKind::serve);
  EXPECT_FALSE(spec.preemptible);
  EXPECT_EQ(spec.workers, (WorkerCount{1, 1}));
  EXPECT_EQ(spec.serve->source.kind, ServedSource::Kind::checkpoint);
  EXPECT_EQ(spec.serve->source.job, "intents");
  EXPECT_TRUE(spec.serve->source.is_best);
  EXPECT_EQ(spec.serve->batching, BatchingSpec{});
}

TEST(ServeJobs, AreReadWhole) {
  const JobSpec spec = read(kServe + R"(preemptible: true
model:
  source: file:models/digits.pt
  inputs: [{name: image, datatype: FP32, shape: [-1, 1, 28, 28]}]
  outputs: [{name: scores}]
batching: {mode: fixed, max_size: 8, max_delay: 5ms}
slo: {p99: 50ms}
queue: {name: prod, max_depth: 10, max_bytes: 1Mi, timeout: 2s}
replicas: {min: 0, max: 4}
autoscale: {target: 4, up_delay: 1s, down_delay: 10s, to_zero_after: 1m}
drain: 5s
)");
  ASSERT_TRUE(spec.serve);
  const ServeSpec& serve = *spec.serve;
  EXPECT_TRUE(spec.preemptible);
  EXPECT_EQ(serve.source.path, "/jobs/models/digits.pt");
  EXPECT_EQ(serve.inputs, (std::vector<ServedTensor>{{"image", "FP32", {-1, 1, 28, 28}}}));
  EXPECT_EQ(serve.outputs.at(0).name, "scores");
  EXPECT_EQ(serve.batching, (BatchingSpec{"fixed", 8, 5}));
  EXPECT_EQ(serve.p99_ms, 50);
  EXPECT_EQ(spec.queue, "prod");
  EXPECT_EQ(serve.queue, (RequestQueueSpec{10, 1 << 20, 2000}));
  EXPECT_EQ(spec.workers, (WorkerCount{0, 4}));
  EXPECT_EQ(serve.autoscale, (AutoscaleSpec{4, 1000, 10'000, 60'000}));
  EXPECT_EQ(serve.drain_ms, 5000);
}

TEST(ServeJobs, NameACheckpointByItsStepOrRank) {
  const auto source = [](const std::string& text) {
    return read(kServe + "model: {source: \"" + text + "\"}\n").serve->source;
  };
  EXPECT_EQ(source("ckpt:intents@1200").step, 1200U);
  EXPECT_FALSE(source("ckpt:intents@newest").is_best);
  EXPECT_TRUE(source("ckpt:intents@best").is_best);
}

TEST(ServeJobs, NameAModelOfTheRegistryAndShareItsRequests) {
  const auto one = read(kServe + "model: {source: \"registry:intents@prod\"}\n").serve->source;
  EXPECT_EQ(one.kind, ServedSource::Kind::registry);
  EXPECT_EQ(one.model + " " + one.reference, "intents prod");
  const std::string whole = kServe + "model: {source: \"registry:intents\"}\n";
  const auto shared = read(whole + "replicas: 4\ntraffic: {prod: 90, 3: 10}\n").serve->traffic;
  EXPECT_EQ(shared, (std::vector<TrafficSpec>{{"prod", 90}, {"3", 10}}));
  const auto is_refused = [](const std::string& text, const std::string& words) {
    EXPECT_NE(fault(text).find(words), std::string::npos) << fault(text);
  };
  is_refused(kServe + "model: {source: \"registry:intents@\"}\n", "expected a tag or a version's number");
  is_refused(kServe + "model: {source: \"registry:In\"}\n", "expected a model's name, got \"In\"");
  is_refused(whole + "replicas: 2\ntraffic: {prod: 90, canary: 20}\n",
             ":6:10: traffic: expected shares that are 100 together, got 110");
  is_refused(whole + "replicas: 2\ntraffic: {prod: 0, canary: 100}\n", ":6:17: traffic.prod: expected");
  is_refused(whole + "traffic: {prod: 90, canary: 10}\n",
             "each version needs a replica, and replicas.max is 1");
  is_refused(kServe + "model: {source: \"registry:a@b\"}\ntraffic: {prod: 100}\n",
             "only a model of the registry has versions");
}

TEST(ServeJobs, SayWhatIsWrongAndWhere) {
  EXPECT_NE(fault(kServe).find("job.yaml:1:1: model: required"), std::string::npos) << fault(kServe);
  EXPECT_NE(fault(kServe + "model: {source: s3}\n")
                .find(":4:17: model.source: expected ckpt:JOB, registry:NAME or file:PATH"),
            std::string::npos)
      << fault(kServe + "model: {source: s3}\n");
  EXPECT_NE(fault(kServe + "model: {source: \"ckpt:a@worst\"}\n").find("expected best, newest or a step"),
            std::string::npos);
  EXPECT_NE(fault(kServe + "model: {source: \"ckpt:a\"}\nworkers: 2\n").find("a serve job has replicas"),
            std::string::npos);
  EXPECT_NE(fault(kServe + "model: {source: \"ckpt:a\"}\nreplicas: {min: 3, max: 2}\n")
                .find("replicas.min: expected at most"),
            std::string::npos);
  EXPECT_NE(fault(kServe + "model: {source: \"file:a\", inputs: [{name: x, datatype: FP32, shape: [3]}]}\n")
                .find("expected -1 as the first size, got 3"),
            std::string::npos);
  EXPECT_NE(fault(kServe + "model: {source: \"ckpt:a\"}\nquantize: int4\n").find("quantize"),
            std::string::npos);
}

TEST(ServeJobs, AreQuantizedByAWordOrByAMappingThatSaysWhatTheyAreComparedOn) {
  const std::string job = kServe + "model: {source: \"ckpt:a\"}\n";
  EXPECT_FALSE(read(job).serve->quantize);
  EXPECT_EQ(read(job + "quantize: int8\n").serve->quantize, QuantizeSpec{});
  const auto spec = read(job + R"(quantize:
  to: int8
  eval: {source: held_out.csv, columns: {text: utterance, label: intent}}
  max_loss: 0.005
  max_error: 0.1
)");
  ASSERT_TRUE(spec.serve->quantize);
  const QuantizeSpec& quantize = *spec.serve->quantize;
  EXPECT_EQ(quantize.max_loss, 0.005);
  EXPECT_EQ(quantize.max_error, 0.1);
  ASSERT_TRUE(quantize.eval);
  EXPECT_EQ(quantize.eval->paths, std::vector<std::string>{"/jobs/held_out.csv"});
  EXPECT_EQ(quantize.eval->columns.size(), 2U);
  EXPECT_NE(fault(job + "quantize: {to: int4}\n").find("quantize.to"), std::string::npos)
      << fault(job + "quantize: {to: int4}\n");
  EXPECT_NE(fault(job + "quantize: {max_loss: 2}\n").find("quantize.max_loss"), std::string::npos);
  EXPECT_NE(fault(job + "quantize: {evl: a.csv}\n").find("eval"), std::string::npos) << "the nearest key";
  EXPECT_NE(fault(job + "quantize: {eval: {format: csv}}\n").find("quantize.eval.source"), std::string::npos);
}

TEST(ServeJobs, ComputeInFp32UnlessTheySayBf16) {
  const std::string job = kServe + "model: {source: \"ckpt:a\"}\n";
  EXPECT_EQ(read(job).precision, "fp32");
  EXPECT_EQ(read(job + "precision: bf16\n").precision, "bf16");
  EXPECT_NE(fault(job + "precision: fp16\n").find("precision"), std::string::npos);
  const auto both = fault(job + "precision: bf16\nquantize: int8\n");
  EXPECT_NE(both.find(":5:12: precision: bf16 goes without quantize"), std::string::npos) << both;
  EXPECT_EQ(read(job + "precision: fp32\nquantize: int8\n").serve->quantize, QuantizeSpec{});
  const std::string padding = "batching: {padding: {buckets: [8]}}\n";
  EXPECT_EQ(read(job + padding).serve->batching.padding->tolerance, 1e-4);
  EXPECT_EQ(read(job + padding + "precision: bf16\n").serve->batching.padding->tolerance, 0.02);
}

TEST(ServeJobs, HaveAGpuForEachReplicaAndNoMore) {
  const std::string job = kServe + "model: {source: \"ckpt:a\"}\n";
  EXPECT_EQ(read(job).resources.gpus, 0U);
  for (const char* one : {"1", "H200", "H200:1", "{H200: 1}"}) {
    const auto spec = read(job + "resources: {gpu: " + one + "}\nprecision: bf16\n");
    EXPECT_EQ(spec.resources.gpus, 1U) << one;
    EXPECT_EQ(spec.resources.gpu_kind, std::string(one) == "1" ? "" : "H200");
  }
  const auto two = fault(job + "resources: {gpu: H200:2}\n");
  EXPECT_NE(two.find(":5:18: resources.gpu: a replica runs its model on one GPU, got \"H200:2\""),
            std::string::npos)
      << two;
  const auto int8 = fault(job + "resources: {gpu: 1}\nquantize: int8\n");
  EXPECT_NE(int8.find(":6:11: quantize: int8 layers compute on the CPU"), std::string::npos) << int8;
}

TEST(ServeJobs, PadToTheLengthsThatTheyName) {
  const std::string job =
      kServe +
      "model: {source: \"file:a.pt\", inputs: [{name: x, datatype: INT64, shape: [-1, -1]}], "
      "outputs: [{name: y}]}\n";
  EXPECT_FALSE(read(job).serve->batching.padding) << "off unless it is asked for";
  const auto padding =
      read(job + "batching: {padding: {buckets: [16, 32], value: {x: 1}, cut: [y], tolerance: 1e-3}}\n")
          .serve->batching.padding;
  ASSERT_TRUE(padding);
  EXPECT_EQ(*padding, (PaddingSpec{{{16, 32}}, 0, {{"x", 1}}, {"y"}, 1e-3}));
  EXPECT_EQ(read(job + "batching: {padding: {buckets: 8, value: -1}}\n").serve->batching.padding,
            (PaddingSpec{{{8}}, -1}));
  const auto is_refused = [&](const std::string& text, const std::string& words) {
    EXPECT_NE(fault(job + "batching: {" + text + "}\n").find(words), std::string::npos)
        << fault(job + "batching: {" + text + "}\n");
  };
  is_refused("padding: {value: 0}", ":5:12: batching.padding.buckets: required");
  is_refused("padding: {buckets: [16, 8]}",
             ":5:36: batching.padding.buckets[1]: expected more than the one before (16), got 8");
  is_refused("padding: {buckets: [0]}", "batching.padding.buckets[0]");
  is_refused("padding: {buckets: [4], values: 0}", "value");
  is_refused("padding: {buckets: [4], value: {z: 0}}",
             ":5:44: batching.padding.value.z: model.inputs has no input \"z\"");
  is_refused("padding: {buckets: [4], value: {x: 0, x: 1}}", "given twice");
  is_refused("padding: {buckets: [4], cut: [z]}", "model.outputs has no output \"z\"");
  is_refused("padding: {buckets: [4], tolerance: 1}", "batching.padding.tolerance");
  is_refused("mode: off, padding: {buckets: [4]}", "batching.mode is off");
  const std::string fixed =
      kServe + "model: {source: \"file:a.pt\", inputs: [{name: x, datatype: FP32, shape: [-1, 3]}]}\n";
  EXPECT_NE(fault(fixed + "batching: {padding: {buckets: 4}}\n")
                .find("no input of model.inputs has a variable size"),
            std::string::npos);
}

TEST(ServeJobs, PadEachVariableSizeOfAnInputToLengthsOfItsOwn) {
  const std::string job =
      kServe +
      "model: {source: \"file:a.pt\", inputs: [{name: x, datatype: FP32, shape: [-1, 3, -1, -1]}, "
      "{name: y, datatype: FP32, shape: [-1, -1]}]}\n";
  const auto with = [&](const std::string& buckets) {
    return job + "batching: {padding: {buckets: " + buckets + "}}\n";
  };
  const auto is_refused = [&](const std::string& buckets, const std::string& words) {
    EXPECT_NE(fault(with(buckets)).find(words), std::string::npos) << fault(with(buckets));
  };
  EXPECT_EQ(read(with("[[32, 64], [8]]")).serve->batching.padding, (PaddingSpec{{{32, 64}, {8}}}));
  is_refused("[32, 64]", "input \"x\" has 2 variable sizes besides the batch");
  is_refused("[[8], [8], [8]]", "3 lists of buckets, and no input of model.inputs has more than 2");
  is_refused("[[8], 8]", "batching.padding.buckets[1]: expected a list of 1 to 16 lengths, got 8");
  is_refused("[8, [8]]", "batching.padding.buckets[1]");
  is_refused("[[8], [16, 8]]",
             "batching.padding.buckets[1][1]: expected more than the one before (16), got 8");
  is_refused("[[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 5, 6, 7, 8]]", "these make 72 shapes");
  is_refused("[[], [8]]", "batching.padding.buckets[0]");
}

TEST(ServeJobs, AnswerBeforeTheGatewayDoesInTheirPlace) {
  const std::string job = kServe + "model: {source: \"ckpt:a\"}\n";
  EXPECT_EQ(read(job + "queue: {timeout: 100s}\n").serve->queue.timeout_ms, 100'000);
  EXPECT_NE(fault(job + "queue: {timeout: 101s}\n").find("queue.timeout: expected at most 100s"),
            std::string::npos)
      << fault(job + "queue: {timeout: 101s}\n");
}

TEST(ServeJobs, HaveNoMoreTensorsThanAMessageHasPieces) {
  const auto job = [](int count) {
    std::string outputs;
    for (int i = 0; i < count; ++i) outputs += (i == 0 ? "{name: o" : ", {name: o") + std::to_string(i) + "}";
    return kServe + "model: {source: \"ckpt:a\", outputs: [" + outputs + "]}\n";
  };
  EXPECT_EQ(read(job(60)).serve->outputs.size(), 60U);
  EXPECT_NE(fault(job(61)).find("1 to 60 tensors"), std::string::npos) << fault(job(61));
}

}  // namespace
}  // namespace ds::scheduler
