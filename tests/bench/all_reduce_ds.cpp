// One rank of ours. The first argument says where the vectors lie: in memory that the communicator shares
// ("shared") or anywhere ("ordinary").
#include <vector>

#include "actors/collective/communicator.hpp"
#include "actors/collective/transport_exchange.hpp"
#include "tests/bench/all_reduce_race.hpp"
#include "tests/bench/meeting.hpp"

using namespace ds;

namespace {

class Ours : public bench::Contender {
 public:
  Ours(std::shared_ptr<collective::Exchange> exchange, std::size_t elements, bool shared)
      : communicator_(std::move(exchange)) {
    if (shared) {
      memory_ = {allocate(elements), allocate(elements)};
      input_ = memory_[0].as<float>().first(elements);
      output_ = memory_[1].as<float>().first(elements);
    } else {
      vectors_ = {std::vector<float>(elements), std::vector<float>(elements)};
      input_ = vectors_[0];
      output_ = vectors_[1];
    }
  }
  std::span<float> input() override { return input_; }
  std::span<float> output() override { return output_; }
  void all_reduce() override {
    auto done = communicator_.all_reduce(collective::ConstVector(input_), collective::Vector(output_));
    if (!done) bench::fail(done.error().message);
  }

 private:
  collective::SharedMemory allocate(std::size_t elements) {
    auto memory = communicator_.allocate(elements * sizeof(float));
    if (!memory) bench::fail(memory.error().message);
    return std::move(*memory);
  }

  collective::Communicator communicator_;
  std::vector<collective::SharedMemory> memory_;
  std::vector<std::vector<float>> vectors_;
  std::span<float> input_;
  std::span<float> output_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string where = argc > 1 ? argv[1] : "";
  if (where != "shared" && where != "ordinary") bench::fail("usage: shared|ordinary RANK …");
  const bench::Race race = bench::parse_race(argc - 1, argv + 1);
  fabric::TransportOptions options;
  options.secret = "benchmark";
  auto started = fabric::Transport::start(options);
  if (!started) bench::fail(started.error().message);
  std::shared_ptr<fabric::Transport> transport = std::move(*started);
  const auto members = bench::meet(race.folder, race.rank, race.ranks, transport->self());
  collective::ExchangeHub hub(transport);
  auto exchange = hub.make("benchmark", 1, race.rank, members);
  if (!exchange) bench::fail(exchange.error().message);
  Ours ours(std::move(*exchange), race.elements, where == "shared");
  bench::run_race(race, ours);
  return 0;
}
