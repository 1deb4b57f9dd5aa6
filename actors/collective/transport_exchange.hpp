#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "actors/collective/exchange.hpp"
#include "actors/fabric/transport.hpp"

namespace ds::collective {

/// What may lie unreceived in one exchange; beyond it the exchange is aborted with `resource_exhausted`.
inline constexpr std::size_t kMaxUnreceivedBytes = std::size_t{2} << 30;

/// Routes the frames of a process's `collective` channel to its exchanges. One object a process. Thread-safe.
class ExchangeHub {
 public:
  explicit ExchangeHub(std::shared_ptr<fabric::Transport> transport,
                       std::size_t max_unreceived_bytes = kMaxUnreceivedBytes);
  ~ExchangeHub();  ///< aborts the exchanges that are left
  ExchangeHub(const ExchangeHub&) = delete;
  ExchangeHub& operator=(const ExchangeHub&) = delete;

  /// The exchange of one generation of `job`, seen from `rank`; `members[r]` is the process of rank r, with
  /// its id.
  ///
  /// It connects to all members at once, so that the loss of any is noticed: then it is aborted with
  /// `unavailable`, naming the rank. Frames for a generation without an exchange here are dropped: make it
  /// before anybody may send. Fails with `invalid_argument` when rank and members don't fit together, with
  /// `already_exists` when that generation has one.
  Result<std::shared_ptr<Exchange>> make(const std::string& job, std::uint64_t generation, std::uint32_t rank,
                                         std::vector<fabric::ProcessAddress> members);

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::uint64_t lost_token_ = 0;
};

}  // namespace ds::collective
