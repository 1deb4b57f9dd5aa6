#include "actors/fabric/command_queue.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "actors/fabric/local_link.hpp"

namespace ds::fabric {
namespace {

constexpr std::size_t kFrameOverhead = 256;  // so that empty frames are bounded too

class Ticket {
 public:
  Ticket(std::shared_ptr<Backlog> backlog, std::atomic<std::size_t>& counter, std::size_t bytes)
      : backlog_(std::move(backlog)), counter_(counter), bytes_(bytes) {
    counter_ += bytes_;
  }
  ~Ticket() { counter_ -= bytes_; }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

 private:
  std::shared_ptr<Backlog> backlog_;
  std::atomic<std::size_t>& counter_;  ///< the backlog's
  std::size_t bytes_;
};

int open_eventfd() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

void give(LocalLink& link, SendCommand command) {
  link.sender().send(FrameType::data, static_cast<std::uint8_t>(command.channel), command.stream,
                     std::move(command.parts), std::move(command.ticket));
}

}  // namespace

CommandQueue::CommandQueue(std::size_t max_backlog_bytes)
    : max_backlog_bytes_(max_backlog_bytes), wake_fd_(open_eventfd()) {}

CommandQueue::~CommandQueue() {
  ::close(wake_fd_);
}

Result<void> CommandQueue::push_send(const ProcessAddress& to, Channel channel, Transport::Parts parts,
                                     Stream stream) {
  SendCommand command{to, channel, stream, std::move(parts), 0, {}, {}};
  for (const Buffer& part : command.parts) command.bytes += part.size();
  const std::size_t cost = command.bytes + kFrameOverhead;
  std::shared_ptr<LocalLink> link;
  {
    std::lock_guard lock(mutex_);
    auto& backlog = backlogs_[PeerKey(to)];
    if (!backlog) backlog = std::make_shared<Backlog>();
    // A job's state may be larger than all the rest may be together; small messages must not fail beside it.
    auto& counter = cost > max_backlog_bytes_ ? backlog->oversize_bytes : backlog->bytes;
    const std::size_t queued = counter;
    if (queued != 0 && queued + cost > max_backlog_bytes_) {
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("{} bytes already wait for the process at {} port {}, at most {}", queued,
                              to.host, to.port, max_backlog_bytes_),
                  "the receiver is slower than the sender: send less, or wait for answers");
    }
    command.ticket = std::make_shared<Ticket>(backlog, counter, cost);
    link = backlog->link;
    if (!link) {
      command.backlog = backlog;
      commands_.emplace_back(std::move(command));
    }
  }
  if (link) {
    give(*link, std::move(command));
  } else {
    wake_if_waiting();
  }
  return {};
}

void CommandQueue::attach(const std::vector<ProcessAddress>& addresses,
                          const std::shared_ptr<LocalLink>& link, std::deque<SendCommand> queued) {
  std::vector<Transport::Parts> kept;  // let go after the lock: their owners may do anything
  const auto pass_on = [&](SendCommand& command) {
    kept.push_back(command.parts);
    give(*link, std::move(command));
  };
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Backlog>> theirs;
  for (const ProcessAddress& address : addresses) {
    auto& backlog = backlogs_[PeerKey(address)];
    if (!backlog) backlog = std::make_shared<Backlog>();
    theirs.push_back(backlog);
  }
  for (SendCommand& command : queued) pass_on(command);
  std::erase_if(commands_, [&](Command& command) {
    auto* send = std::get_if<SendCommand>(&command);
    if (send == nullptr || std::find(theirs.begin(), theirs.end(), send->backlog) == theirs.end())
      return false;
    pass_on(*send);
    return true;
  });
  for (const auto& backlog : theirs) backlog->link = link;
}

void CommandQueue::push_drop(const ProcessAddress& peer, const Error& why) {
  {
    std::lock_guard lock(mutex_);
    // What is sent from here on stands behind the drop, and so is void.
    if (auto found = backlogs_.find(PeerKey(peer)); found != backlogs_.end() && found->second->link) {
      const std::shared_ptr<LocalLink> link = found->second->link;
      for (auto& entry : backlogs_) {
        if (entry.second->link == link) entry.second->link.reset();
      }
    }
    commands_.emplace_back(DropCommand{peer, why});
  }
  wake_if_waiting();
}

void CommandQueue::wake() {
  wake_by(wake_fd_);
}

void CommandQueue::wake_if_waiting() {
  if (waiting_.exchange(false)) wake();
}

std::vector<Command> CommandQueue::take() {
  std::lock_guard lock(mutex_);
  return std::exchange(commands_, {});
}

void CommandQueue::retire(const PeerKey& peer) {
  std::lock_guard lock(mutex_);
  auto found = backlogs_.find(peer);
  if (found == backlogs_.end()) return;
  found->second->retired = true;
  backlogs_.erase(found);
}

bool CommandQueue::about_to_wait() {
  waiting_ = true;
  std::lock_guard lock(mutex_);
  if (commands_.empty()) return true;
  waiting_ = false;
  return false;
}

void CommandQueue::waited() {
  waiting_ = false;
  // Others hold this descriptor too, so it is asked before it is read.
  pollfd readable{wake_fd_, POLLIN, 0};
  if (::poll(&readable, 1, 0) <= 0) return;
  std::uint64_t count = 0;
  [[maybe_unused]] auto read = ::read(wake_fd_, &count, sizeof(count));
}

}  // namespace ds::fabric
