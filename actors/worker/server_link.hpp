#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "actors/parameters/link.hpp"

namespace ds::worker {

/// A trainer's blocking calls to parameter servers, over messages that somebody else carries.
///
/// Of a call's requests one at a time is on its way to each server, in the order of ranges: all at once may
/// be more than may wait for a peer. As all workers keep that order, no two wait for each other.
class ServerLink final : public parameters::Link {
 public:
  /// Sends a request to a range's primary; the answer comes to `on_answer` under the same ticket. Called on
  /// the trainer's thread; may not block.
  using Send = std::function<void(std::uint32_t range, std::uint64_t ticket, parameters::Request request)>;

  /// `servers`: by range, which process its primary is.
  ServerLink(std::vector<parameters::KeyRange> ranges, std::vector<std::uint64_t> servers, Send send);

  const std::vector<parameters::KeyRange>& ranges() const override { return ranges_; }
  Result<std::vector<parameters::Answer>> call(std::vector<parameters::RangeRequest> requests) override;
  void abort(const Error& why) override;

  /// Any thread. A ticket that nobody waits for is ignored.
  void on_answer(std::uint64_t ticket, Result<parameters::Answer> answer);

 private:
  struct Waiting {
    std::uint64_t ticket = 0;
    std::size_t place = 0;  ///< in `answers_`
    parameters::RangeRequest request;
  };
  /// What is to be sent to a server, of which the first is on its way.
  using Queue = std::deque<Waiting>;
  void send_first(Queue& queue, std::unique_lock<std::mutex>& lock);

  const std::vector<parameters::KeyRange> ranges_;
  const std::vector<std::uint64_t> servers_;
  const Send send_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t last_ticket_ = 0;
  std::map<std::uint64_t, Queue> queues_;    ///< by server, of the call in progress
  std::vector<parameters::Answer> answers_;  ///< its
  std::optional<Error> failed_;              ///< it
  std::optional<Error> aborted_;
};

}  // namespace ds::worker
