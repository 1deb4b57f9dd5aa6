// A member of a gang as a process of its own, for the tests:
//
//   collective_member RANK WORLD shared_memory|exchange contract|endless
//
// It prints its process id and port, reads those of all members from its standard input, and then says what
// it finds.
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>

#include "actors/collective/communicator.hpp"
#include "actors/collective/transport_exchange.hpp"
#include "tests/unit/collective/contract_cases.hpp"

using namespace ds;
using namespace ds::collective;

namespace {

void say(const std::string& line) {
  std::cout << line << std::endl;
}

void run_contract(Communicator& communicator) {
  for (const ContractCase& one : contract_cases()) {
    const std::string wrong = one.run(communicator);
    if (!wrong.empty()) say("wrong: " + std::string(one.name) + ": " + wrong.substr(0, wrong.find('\n')));
  }
}

/// Until something fails.
void run_endlessly(Communicator& communicator) {
  std::vector<float> own(300'000), small(10);
  const SharedMemory shared = communicator.allocate(800'000).value();
  for (std::uint64_t round = 0;; ++round) {
    const Operation other = communicator.start_all_reduce(small, small, {ReduceOperator::maximum, 3});
    Result<void> done = communicator.all_reduce(shared.as<float>());
    if (done) done = communicator.all_reduce(own);
    if (done) done = other.wait();
    if (round == 0 && done) say("running");
    if (done) continue;
    static_cast<void>(other.wait());
    return say("failed: " + done.error().message);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const auto rank = static_cast<std::uint32_t>(std::stoul(argv[1]));
  const auto world = static_cast<std::uint32_t>(std::stoul(argv[2]));
  fabric::TransportOptions transport_options;
  transport_options.secret = "secret";
  auto started = fabric::Transport::start(transport_options);
  if (!started) return say("wrong: " + started.error().message), 1;
  const std::shared_ptr<fabric::Transport> transport = *std::move(started);
  ExchangeHub hub(transport);
  say(std::to_string(transport->self().id) + " " + std::to_string(transport->self().port));
  std::vector<fabric::ProcessAddress> members(world);
  for (fabric::ProcessAddress& member : members) {
    member.host = "127.0.0.1";
    if (!(std::cin >> member.id >> member.port)) return 1;
  }
  auto exchange = hub.make("job", 1, rank, members);
  if (!exchange) return say("wrong: " + exchange.error().message), 1;
  say("ready");
  std::string go;
  if (!(std::cin >> go)) return 1;  // frames for a generation that is not there yet are dropped
  {
    CommunicatorOptions options;
    options.share_memory = std::strcmp(argv[3], "shared_memory") == 0;
    Communicator communicator(*exchange, options);
    const Result<Path> path = communicator.connect();
    if (!path || (*path == Path::shared_memory) != options.share_memory) say("wrong: another path");
    std::strcmp(argv[4], "contract") == 0 ? run_contract(communicator) : run_endlessly(communicator);
  }
  say("done");
  while (std::getchar() != EOF) {
  }
  return 0;
}
