#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "actors/parameters/link.hpp"

namespace ds::worker {

/// A trainer's blocking calls to parameter servers, over messages that somebody else carries.
class ServerLink final : public parameters::Link {
 public:
  /// Sends a request to a range's primary; the answer comes to `on_answer` under the same ticket. Called on
  /// the trainer's thread; may not block.
  using Send = std::function<void(std::uint32_t range, std::uint64_t ticket, parameters::Request request)>;

  ServerLink(std::vector<parameters::KeyRange> ranges, Send send);

  const std::vector<parameters::KeyRange>& ranges() const override { return ranges_; }
  Result<std::vector<parameters::Answer>> call(std::vector<parameters::RangeRequest> requests) override;
  void abort(const Error& why) override;

  /// Any thread. A ticket that nobody waits for is ignored.
  void on_answer(std::uint64_t ticket, Result<parameters::Answer> answer);

 private:
  const std::vector<parameters::KeyRange> ranges_;
  const Send send_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t last_ticket_ = 0;
  std::map<std::uint64_t, std::size_t> waiting_;  ///< ticket -> place in `answers_`
  std::vector<parameters::Answer> answers_;       ///< of the call in progress
  std::optional<Error> failed_;                   ///< it
  std::optional<Error> aborted_;
};

}  // namespace ds::worker
