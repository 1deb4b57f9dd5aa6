#include "actors/worker/server_link.hpp"

#include <utility>

namespace ds::worker {

using parameters::Answer;

ServerLink::ServerLink(std::vector<parameters::KeyRange> ranges, Send send)
    : ranges_(std::move(ranges)), send_(std::move(send)) {}

Result<std::vector<Answer>> ServerLink::call(std::vector<parameters::RangeRequest> requests) {
  std::vector<std::uint64_t> tickets;
  {
    std::lock_guard lock(mutex_);
    if (aborted_) return tl::unexpected(*aborted_);
    failed_.reset();
    waiting_.clear();
    answers_.assign(requests.size(), {});
    for (std::size_t i = 0; i < requests.size(); ++i) {
      tickets.push_back(++last_ticket_);
      waiting_.emplace(last_ticket_, i);
    }
  }
  for (std::size_t i = 0; i < requests.size(); ++i)
    send_(requests[i].range, tickets[i], std::move(requests[i].request));

  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_.empty() || failed_ || aborted_; });
  waiting_.clear();
  if (aborted_) return tl::unexpected(*aborted_);
  if (failed_) return tl::unexpected(*failed_);
  return std::exchange(answers_, {});
}

void ServerLink::abort(const Error& why) {
  {
    std::lock_guard lock(mutex_);
    if (!aborted_) aborted_ = why;
  }
  changed_.notify_all();
}

void ServerLink::on_answer(std::uint64_t ticket, Result<Answer> answer) {
  {
    std::lock_guard lock(mutex_);
    const auto found = waiting_.find(ticket);
    if (found == waiting_.end()) return;
    if (answer) {
      answers_[found->second] = *std::move(answer);
    } else if (!failed_) {
      failed_ = answer.error();
    }
    waiting_.erase(found);
    if (!waiting_.empty() && !failed_) return;
  }
  changed_.notify_all();
}

}  // namespace ds::worker
