#pragma once

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "actors/collective/communicator.hpp"
#include "actors/collective/local_exchange.hpp"

namespace ds::collective {

/// How the threads of a gang reach each other.
enum class GangPath { exchange, shared_memory, two_hosts };

inline const char* name_of(GangPath path) {
  constexpr const char* kNames[] = {"exchange", "shared_memory", "two_hosts"};
  return kNames[static_cast<int>(path)];
}

/// Two hosts: the larger part of the ranks lives on the first.
inline CommunicatorOptions options_for(GangPath path, std::uint32_t rank, std::uint32_t world_size) {
  CommunicatorOptions options;
  options.share_memory = path != GangPath::exchange;
  if (path == GangPath::two_hosts) options.host_identity = rank < (world_size + 1) / 2 ? "first" : "second";
  return options;
}

/// Runs `member(communicator)` on a thread for each range and waits for all. A member's exchange goes when
/// its call returns.
template <class Member>
void run_gang(const std::vector<RankRange>& ranges, Member&& member,
              GangPath path = GangPath::shared_memory) {
  const auto world = static_cast<std::uint32_t>(ranges.size());
  auto exchanges = make_local_exchanges(world);
  std::vector<std::thread> threads;
  for (auto& exchange : exchanges) {
    threads.emplace_back([&member, &ranges, path, world, mine = std::move(exchange)]() mutable {
      const CommunicatorOptions options = options_for(path, mine->rank(), world);
      Communicator communicator(std::move(mine), ranges, options);
      member(communicator);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace ds::collective
