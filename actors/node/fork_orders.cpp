// What runs in the spawner's process: plain system calls.
#include "actors/node/fork_orders.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "actors/node/fork_server.hpp"
#include "actors/node/fresh_process.hpp"

namespace ds::node {
namespace {

using fabric::OwnedFd;
using Clock = std::chrono::steady_clock;

bool make_pair(OwnedFd& ours, OwnedFd& theirs) {
  std::array<int, 2> sockets{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) != 0) return false;
  ours = OwnedFd(sockets[0]);
  theirs = OwnedFd(sockets[1]);
  return true;
}

[[noreturn]] void become_server(const std::string& program, int socket, pid_t parent) {
  make_fresh(parent);
  if (socket == kForkServerSocket) {
    fcntl(socket, F_SETFD, 0);
  } else {
    dup2(socket, kForkServerSocket);
  }
  close_range(kForkServerSocket + 1, ~0U, 0);
  std::string path = program, option = kForkServerOption, room(kShownArguments, ' ');
  const std::array<char*, 4> argv{path.data(), option.data(), room.data(), nullptr};
  execv(program.c_str(), argv.data());
  dprintf(STDERR_FILENO, "cannot start %s: %s\n", program.c_str(), strerror(errno));
  _exit(127);
}

/// Also one that has ended and was not waited for.
bool is_child(pid_t pid) {
  siginfo_t ignored{};
  return waitid(P_PID, static_cast<id_t>(pid), &ignored, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/// The process that has reported on `channel`, which may go on now; 0: not yet; -1: none will.
pid_t hear(int channel) {
  pid_t pid = 0;
  const ssize_t size = recv(channel, &pid, sizeof pid, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  const char go = 1;
  const bool goes_on = size == sizeof pid && pid > 0 && is_child(pid) &&
                       send(channel, &go, sizeof go, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof go;
  return goes_on ? pid : -1;
}

}  // namespace

void ForkOrders::prepare() {
  if (!kHasForkServers || program_.empty() || !watch_.may_start()) return;
  watch_.on_started(Clock::now());
  OwnedFd theirs;
  if (!make_pair(socket_, theirs)) return end_server();
  const pid_t self = getpid();
  const pid_t pid = fork();
  if (pid == 0) become_server(program_, theirs.get(), self);
  if (pid < 0) return end_server();
  setpgid(pid, pid);  // in both processes: whoever comes first
  pid_ = pid;
}

bool ForkOrders::take(StartOrder& order) {
  if (program_ != order.arguments.c_str()) return false;
  prepare();
  if (!watch_.is_there()) return false;
  Waiting one{std::move(order), {}, {}};
  if (watch_.is_ready() && !send(one)) {
    order = std::move(one.order);
    return false;
  }
  waiting_.push_back(std::move(one));
  return true;
}

bool ForkOrders::send(Waiting& one) {
  OwnedFd theirs;
  if (!make_pair(one.channel, theirs)) return false;
  iovec part{one.order.arguments.data(), one.order.arguments.size()};
  const std::array<int, 2> descriptors{one.order.writer.get(), theirs.get()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptors)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  auto* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptors);
  std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof descriptors);
  one.sent = Clock::now();
  return sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(one.order.arguments.size());
}

bool ForkOrders::cancel(std::uint64_t worker) {
  return std::erase_if(waiting_, [&](const Waiting& one) { return one.order.worker == worker; }) > 0;
}

void ForkOrders::add_polled(std::vector<pollfd>& polled) const {
  if (socket_) polled.push_back({socket_.get(), POLLIN, 0});
  for (const auto& one : waiting_) {
    if (one.channel) polled.push_back({one.channel.get(), POLLIN, 0});
  }
}

bool ForkOrders::has_forks_on_their_way() const {
  return std::ranges::any_of(waiting_, [](const Waiting& one) { return static_cast<bool>(one.channel); });
}

ForkServerWatch::Moment ForkOrders::late_at() const {
  return watch_.late_at(waiting_.empty() ? ForkServerWatch::Moment{} : waiting_.front().sent);
}

int ForkOrders::patience_ms() const {
  const auto late = late_at();
  if (late == ForkServerWatch::Moment::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(late - Clock::now());
  return static_cast<int>(std::max<std::int64_t>(0, left.count()));
}

/// False when it is gone, or of no use.
bool ForkOrders::hear_server() {
  char word = 0;
  const ssize_t size = recv(socket_.get(), &word, sizeof word, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (size != 1) return false;
  word == kForkServerReady ? watch_.on_ready() : watch_.on_refusal();
  return word == kForkServerReady;
}

void ForkOrders::end_server() {
  if (pid_ > 0) kill(pid_, SIGKILL);
  pid_ = 0;
  socket_ = OwnedFd();
  const bool was_given_up = watch_.is_given_up();
  watch_.on_ended();
  if (!was_given_up && watch_.is_given_up())
    dprintf(STDERR_FILENO, "%s: no fork server of it stays up, so its processes start without\n",
            program_.c_str());
}

std::vector<ForkOrders::Outcome> ForkOrders::serve() {
  std::vector<Outcome> outcomes;
  if (watch_.is_there() && (!hear_server() || late_at() <= Clock::now())) end_server();
  for (auto one = waiting_.begin(); one != waiting_.end();) {
    pid_t pid = 0;
    if (one->channel) {
      pid = hear(one->channel.get());
    } else if (watch_.is_ready() && !send(*one)) {
      pid = -1;
    }
    if (pid == 0 && watch_.is_there()) {
      ++one;
      continue;
    }
    if (pid > 0) watch_.on_answer(Clock::now());
    outcomes.push_back({std::move(one->order), pid > 0 ? pid : -1});
    one = waiting_.erase(one);
  }
  return outcomes;
}

void ForkOrders::on_reaped(pid_t pid) {
  if (pid != pid_) return;
  pid_ = 0;
  end_server();
}

}  // namespace ds::node
