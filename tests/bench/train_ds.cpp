// One rank of a training job of ours: `JOB RANK RANKS STEPS FOLDER [optimize]`. Rank 0 prints what it
// reached. `optimize`: torch's graph executor may compile the model anew, as it does where bits do not
// matter.
#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string_view>

#include "actors/collective/communicator.hpp"
#include "actors/collective/transport_exchange.hpp"
#include "actors/train/freed_memory.hpp"
#include "actors/train/session.hpp"
#include "scheduler/spec/job_file.hpp"
#include "tests/bench/meeting.hpp"

using namespace ds;

namespace {

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::_Exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error().message + "\n" + result.error().hint);
  return *std::move(result);
}

scheduler::JobSpec read_job(const std::string& path) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto parsed = scheduler::parse_job_file(text, "/");
  if (const auto* job = std::get_if<scheduler::ParsedJob>(&parsed)) return job->spec;
  give_up(path + ": " + std::get<std::vector<scheduler::SpecError>>(parsed).front().message);
}

std::unique_ptr<collective::Communicator> form_gang(const scheduler::JobSpec& spec, std::uint32_t rank,
                                                    std::uint32_t ranks, const std::string& folder) {
  if (ranks == 1) return std::make_unique<collective::Communicator>(spec.logical_ranks());
  fabric::TransportOptions options;
  options.secret = "benchmark";
  static std::shared_ptr<fabric::Transport> transport = must(fabric::Transport::start(options));
  static collective::ExchangeHub hub(transport);
  auto exchange = must(hub.make("benchmark", 1, rank, bench::meet(folder, rank, ranks, transport->self())));
  return std::make_unique<collective::Communicator>(
      std::move(exchange), collective::assign_logical_ranks(spec.logical_ranks(), ranks));
}

}  // namespace

int main(int argc, char** argv) {
  train::keep_freed_memory();  // as a worker's process does
  const bool optimize = argc == 7 && std::string_view(argv[6]) == "optimize";
  if (argc != 6 && !optimize) give_up("usage: JOB RANK RANKS STEPS FOLDER [optimize]");
  const scheduler::JobSpec spec = read_job(argv[1]);
  const auto rank = static_cast<std::uint32_t>(std::atoi(argv[2]));
  const auto ranks = static_cast<std::uint32_t>(std::atoi(argv[3]));
  const int steps = std::atoi(argv[4]);
  const auto session = must(train::TrainingSession::create(spec));
  torch::jit::getProfilingMode() = optimize;  // the session has switched both off
  torch::jit::getExecutorMode() = optimize;
  const auto communicator = form_gang(spec, rank, ranks, argv[5]);
  train::StepResult sum;
  std::chrono::steady_clock::time_point begin;
  const int warm = steps / 10 + 1;
  for (int step = -warm; step < steps; ++step) {
    if (step == 0) begin = std::chrono::steady_clock::now();
    const train::StepResult result = must(session->run_step(*communicator));
    if (step < 0) continue;
    sum.samples += result.samples;
    sum.data_seconds += result.data_seconds;
    sum.forward_seconds += result.forward_seconds;
    sum.backward_seconds += result.backward_seconds;
    sum.reduce_seconds += result.reduce_seconds;
    sum.optimizer_seconds += result.optimizer_seconds;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  if (rank == 0) {
    const double each = 1e3 / steps;  // milliseconds a step
    std::printf(
        "{\"value\": %.1f, \"data_ms\": %.3f, \"forward_ms\": %.3f, \"backward_ms\": %.3f, "
        "\"reduce_ms\": %.3f, \"optimizer_ms\": %.3f}\n",
        static_cast<double>(sum.samples) / elapsed.count(), sum.data_seconds * each,
        sum.forward_seconds * each, sum.backward_seconds * each, sum.reduce_seconds * each,
        sum.optimizer_seconds * each);
    std::fflush(stdout);
  }
  std::_Exit(0);
}
