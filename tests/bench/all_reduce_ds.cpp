// One rank of ours.
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "actors/collective/communicator.hpp"
#include "actors/collective/transport_exchange.hpp"
#include "tests/bench/all_reduce_race.hpp"

using namespace ds;

namespace {

/// Tells the others where this rank listens and learns where they do, through files.
std::vector<fabric::ProcessAddress> meet(const bench::Race& race, const fabric::ProcessAddress& self) {
  const std::string path = race.folder + "/address.";
  const std::string mine = path + std::to_string(race.rank);
  {
    std::ofstream file(mine + ".new");
    file << self.id << ' ' << self.port << '\n';
  }
  if (std::rename((mine + ".new").c_str(), mine.c_str()) != 0) bench::fail("cannot write " + mine);
  std::vector<fabric::ProcessAddress> members(race.ranks);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (std::uint32_t rank = 0; rank < race.ranks; ++rank) {
    members[rank].host = "127.0.0.1";
    for (;;) {
      std::ifstream file(path + std::to_string(rank));
      if (file >> members[rank].id >> members[rank].port) break;
      if (std::chrono::steady_clock::now() > deadline) bench::fail("another rank did not come in 60 s");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return members;
}

class Ours : public bench::Contender {
 public:
  Ours(const bench::Race& race, std::shared_ptr<collective::Exchange> exchange)
      : input_(race.elements),
        output_(race.elements),
        communicator_(std::move(exchange), collective::assign_logical_ranks(race.ranks, race.ranks)) {}
  std::span<float> input() override { return input_; }
  std::span<float> output() override { return output_; }
  void all_reduce() override {
    auto done =
        communicator_.all_reduce(output_, [this](std::uint32_t, std::span<float> out) -> Result<void> {
          std::memcpy(out.data(), input_.data(), out.size_bytes());
          return {};
        });
    if (!done) bench::fail(done.error().message);
  }

 private:
  std::vector<float> input_;
  std::vector<float> output_;
  collective::Communicator communicator_;
};

}  // namespace

int main(int argc, char** argv) {
  const bench::Race race = bench::parse_race(argc, argv);
  fabric::TransportOptions options;
  options.secret = "benchmark";
  auto started = fabric::Transport::start(options);
  if (!started) bench::fail(started.error().message);
  std::shared_ptr<fabric::Transport> transport = std::move(*started);
  const auto members = meet(race, transport->self());
  collective::ExchangeHub hub(transport);
  auto exchange = hub.make("benchmark", 1, race.rank, members);
  if (!exchange) bench::fail(exchange.error().message);
  Ours ours(race, std::move(*exchange));
  bench::run_race(race, ours);
  return 0;
}
