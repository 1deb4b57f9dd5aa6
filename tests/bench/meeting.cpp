#include "tests/bench/meeting.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace ds::bench {
namespace {

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::_Exit(1);
}

}  // namespace

std::vector<fabric::ProcessAddress> meet(const std::string& folder, std::uint32_t rank, std::uint32_t ranks,
                                         const fabric::ProcessAddress& self) {
  const std::string path = folder + "/address.";
  const std::string mine = path + std::to_string(rank);
  {
    std::ofstream file(mine + ".new");
    file << self.id << ' ' << self.port << '\n';
  }
  if (std::rename((mine + ".new").c_str(), mine.c_str()) != 0) give_up("cannot write " + mine);
  std::vector<fabric::ProcessAddress> members(ranks);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (std::uint32_t other = 0; other < ranks; ++other) {
    members[other].host = "127.0.0.1";
    for (;;) {
      std::ifstream file(path + std::to_string(other));
      if (file >> members[other].id >> members[other].port) break;
      if (std::chrono::steady_clock::now() > deadline) give_up("another rank did not come in 60 s");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return members;
}

}  // namespace ds::bench
