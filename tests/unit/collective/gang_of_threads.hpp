#pragma once

#include <cstdint>
#include <thread>
#include <vector>

#include "actors/collective/communicator.hpp"
#include "actors/collective/local_exchange.hpp"

namespace ds::collective {

/// Runs `member(communicator)` on a thread for each range and waits for all. A member's exchange goes when
/// its call returns.
template <class Member>
void run_gang(const std::vector<RankRange>& ranges, Member&& member) {
  auto exchanges = make_local_exchanges(static_cast<std::uint32_t>(ranges.size()));
  std::vector<std::thread> threads;
  for (auto& exchange : exchanges) {
    threads.emplace_back([&member, &ranges, mine = std::move(exchange)]() mutable {
      Communicator communicator(std::move(mine), ranges);
      member(communicator);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace ds::collective
