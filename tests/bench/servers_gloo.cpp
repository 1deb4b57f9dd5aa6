// What Gloo has for it: all ranks' vectors are reduced to the first, which broadcasts the sum.
#include <gloo/broadcast.h>
#include <gloo/math.h>
#include <gloo/reduce.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>

#include <memory>
#include <vector>

#include "tests/bench/all_reduce_race.hpp"

using namespace ds;

namespace {

class ReduceAndBroadcast final : public bench::Contender {
 public:
  ReduceAndBroadcast(const std::shared_ptr<gloo::Context>& context, std::size_t elements)
      : input_(elements), output_(elements), reduce_(context), broadcast_(context) {
    reduce_.setInput(input_.data(), elements);
    reduce_.setOutput(output_.data(), elements);
    reduce_.setReduceFunction(
        static_cast<void (*)(void*, const void*, const void*, std::size_t)>(&gloo::sum<float>));
    reduce_.setRoot(0);
    broadcast_.setOutput(output_.data(), elements);
    broadcast_.setRoot(0);
  }
  std::span<float> input() override { return input_; }
  std::span<float> output() override { return output_; }
  void all_reduce() override {
    gloo::reduce(reduce_);
    gloo::broadcast(broadcast_);
  }

 private:
  std::vector<float> input_;
  std::vector<float> output_;
  gloo::ReduceOptions reduce_;
  gloo::BroadcastOptions broadcast_;
};

}  // namespace

int main(int argc, char** argv) {
  const bench::Race race = bench::parse_race(argc, argv);
  try {
    auto device = gloo::transport::tcp::CreateDevice(gloo::transport::tcp::attr("127.0.0.1"));
    gloo::rendezvous::FileStore store(race.folder);
    auto context = std::make_shared<gloo::rendezvous::Context>(static_cast<int>(race.rank),
                                                               static_cast<int>(race.ranks));
    context->connectFullMesh(store, device);
    ReduceAndBroadcast contender(context, race.elements);
    bench::run_race(race, contender);
  } catch (const std::exception& exception) {
    bench::fail(std::string("Gloo: ") + exception.what());
  }
  return 0;
}
