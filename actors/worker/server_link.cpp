#include "actors/worker/server_link.hpp"

#include <utility>

namespace ds::worker {

using parameters::Answer;

ServerLink::ServerLink(std::vector<parameters::KeyRange> ranges, std::vector<std::uint64_t> servers,
                       Send send)
    : ranges_(std::move(ranges)), servers_(std::move(servers)), send_(std::move(send)) {}

Result<std::vector<Answer>> ServerLink::call(std::vector<parameters::RangeRequest> requests) {
  std::unique_lock lock(mutex_);
  if (aborted_) return tl::unexpected(*aborted_);
  failed_.reset();
  queues_.clear();
  answers_.assign(requests.size(), {});
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::uint32_t range = requests[i].range;
    queues_[servers_.at(range)].push_back({++last_ticket_, i, std::move(requests[i])});
  }
  std::vector<std::uint64_t> all;
  for (const auto& [server, queue] : queues_) all.push_back(server);
  for (const std::uint64_t server : all) {
    const auto found = queues_.find(server);  // gone if it has answered all while another was sent
    if (found != queues_.end()) send_first(found->second, lock);
  }
  changed_.wait(lock, [this] { return queues_.empty() || failed_ || aborted_; });
  queues_.clear();
  if (aborted_) return tl::unexpected(*aborted_);
  if (failed_) return tl::unexpected(*failed_);
  return std::exchange(answers_, {});
}

void ServerLink::send_first(Queue& queue, std::unique_lock<std::mutex>& lock) {
  const std::uint64_t ticket = queue.front().ticket;
  parameters::RangeRequest request = std::move(queue.front().request);
  lock.unlock();  // an answer may come at once
  send_(request.range, ticket, std::move(request.request));
  lock.lock();
}

void ServerLink::abort(const Error& why) {
  {
    std::lock_guard lock(mutex_);
    if (!aborted_) aborted_ = why;
  }
  changed_.notify_all();
}

void ServerLink::on_answer(std::uint64_t ticket, Result<Answer> answer) {
  std::unique_lock lock(mutex_);
  if (failed_ || aborted_) return;
  for (auto queue = queues_.begin(); queue != queues_.end(); ++queue) {
    if (queue->second.front().ticket != ticket) continue;
    if (!answer) {
      failed_ = answer.error();
      return changed_.notify_all();
    }
    answers_[queue->second.front().place] = *std::move(answer);
    queue->second.pop_front();
    if (!queue->second.empty()) return send_first(queue->second, lock);
    queues_.erase(queue);
    if (queues_.empty()) changed_.notify_all();
    return;
  }
}

}  // namespace ds::worker
