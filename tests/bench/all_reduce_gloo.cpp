// One rank of Gloo over its TCP device on loopback. The first argument names the algorithm.
#include <gloo/allreduce.h>
#include <gloo/allreduce_halving_doubling.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>

#include <memory>
#include <vector>

#include "tests/bench/all_reduce_race.hpp"

using namespace ds;

namespace {

class Ring : public bench::Contender {
 public:
  Ring(const std::shared_ptr<gloo::Context>& context, std::size_t elements)
      : input_(elements), output_(elements), options_(context) {
    options_.setAlgorithm(gloo::AllreduceOptions::Algorithm::RING);
    options_.setInput(input_.data(), elements);
    options_.setOutput(output_.data(), elements);
    options_.setReduceFunction(
        static_cast<void (*)(void*, const void*, const void*, std::size_t)>(&gloo::sum<float>));
  }
  std::span<float> input() override { return input_; }
  std::span<float> output() override { return output_; }
  void all_reduce() override { gloo::allreduce(options_); }

 private:
  std::vector<float> input_;
  std::vector<float> output_;
  gloo::AllreduceOptions options_;
};

/// Exists in place only.
class HalvingDoubling : public bench::Contender {
 public:
  HalvingDoubling(const std::shared_ptr<gloo::Context>& context, std::size_t elements)
      : values_(elements),
        algorithm_(std::make_unique<gloo::AllreduceHalvingDoubling<float>>(
            context, std::vector<float*>{values_.data()}, static_cast<int>(elements))) {}
  std::span<float> input() override { return values_; }
  std::span<float> output() override { return values_; }
  void all_reduce() override { algorithm_->run(); }

 private:
  std::vector<float> values_;
  std::unique_ptr<gloo::Algorithm> algorithm_;  // its destructor may throw
};

void run(const std::string& algorithm, const bench::Race& race) {
  auto device = gloo::transport::tcp::CreateDevice(gloo::transport::tcp::attr("127.0.0.1"));
  gloo::rendezvous::FileStore store(race.folder);
  auto context =
      std::make_shared<gloo::rendezvous::Context>(static_cast<int>(race.rank), static_cast<int>(race.ranks));
  context->connectFullMesh(store, device);
  if (algorithm == "ring") {
    Ring contender(context, race.elements);
    return bench::run_race(race, contender);
  }
  if (algorithm != "halving-doubling") bench::fail("unknown algorithm: " + algorithm);
  HalvingDoubling contender(context, race.elements);
  bench::run_race(race, contender);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string algorithm = argc > 1 ? argv[1] : "";
  const bench::Race race = bench::parse_race(argc - 1, argv + 1);
  try {
    run(algorithm, race);
  } catch (const std::exception& exception) {
    bench::fail(std::string("Gloo: ") + exception.what());
  }
  return 0;
}
