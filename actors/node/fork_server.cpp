// What runs in the fork server's process and in its forks until they are the program: plain system calls.
#include "actors/node/fork_server.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>

#include "actors/fabric/owned_fd.hpp"

namespace ds::node {
namespace {

using fabric::OwnedFd;

constexpr std::chrono::microseconds kGlance{50};
constexpr int kThreadGlances = 5'000;  // about a second

void nap() {
  const timespec time{0, std::chrono::nanoseconds(kGlance).count()};
  nanosleep(&time, nullptr);
}

/// The command line that `ps` shows, which the kernel reads from where it has put the arguments.
class ShownArguments {
 public:
  ShownArguments(int argc, char** argv) : place_(argv[0], argv[argc - 1] + std::strlen(argv[argc - 1])) {}

  void show(const std::vector<std::string>& arguments) const {
    std::ranges::fill(place_, '\0');
    auto left = place_;
    for (const auto& argument : arguments) {
      const auto size = std::min(argument.size(), left.size());
      std::memcpy(left.data(), argument.data(), size);
      left = left.subspan(std::min(size + 1, left.size()));
    }
  }

 private:
  std::span<char> place_;
};

std::vector<std::string> entries_of(const char* folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    names.push_back(entry.path().filename());
  return names;
}

/// OpenBLAS has a thread from the start, which it ends before a fork.
bool has_one_thread_after_a_fork() {
  const pid_t trial = fork();
  if (trial == 0) _exit(0);
  if (trial < 0) return false;
  waitpid(trial, nullptr, 0);
  int glances = 0;
  // One that has ended is listed for a moment.
  while (entries_of("/proc/self/task").size() != 1 && ++glances < kThreadGlances) nap();
  return glances < kThreadGlances;
}

/// What a library has open its processes would share: a place in a file, a device.
bool has_open_files() {
  return std::ranges::count_if(entries_of("/proc/self/fd"), [](const std::string& name) {
           return std::stoi(name) > kForkServerSocket;
         }) > 1;  // one is that of the folder
}

struct Order {
  std::vector<std::string> arguments;
  OwnedFd output, channel;
};

/// Nothing when the socket is closed. An order without both descriptors has no arguments either.
std::optional<Order> receive_order() {
  std::string bytes(kMostOrderBytes, '\0');
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = recvmsg(kForkServerSocket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return std::nullopt;
  Order order;
  const auto* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return order;
  std::array<int, 2> descriptors{-1, -1};  // one alone comes when no more may be open
  std::memcpy(descriptors.data(), CMSG_DATA(header),
              std::min(header->cmsg_len - CMSG_LEN(0), sizeof descriptors));
  order.output = OwnedFd(descriptors[0]);
  order.channel = OwnedFd(descriptors[1]);
  if (!order.channel) return order;
  bytes.resize(static_cast<std::size_t>(size));
  for (std::size_t at = 0; at < bytes.size(); at += order.arguments.back().size() + 1)
    order.arguments.emplace_back(bytes.c_str() + at);
  return order;
}

bool is_given_up(int channel) {
  pollfd polled{channel, 0, 0};
  return poll(&polled, 1, 0) > 0;
}

/// Makes this process what the spawner would have made it; false: it wants it no longer, or is gone.
bool become(Order& order, pid_t between, pid_t spawner) {
  setpgid(0, 0);
  while (getppid() == between) {
    if (is_given_up(order.channel.get())) return false;
    nap();
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != spawner) return false;
  ::signal(SIGCHLD, SIG_DFL);
  const auto name = order.arguments.front().substr(order.arguments.front().rfind('/') + 1);
  prctl(PR_SET_NAME, name.c_str());
  const pid_t self = getpid();
  if (send(order.channel.get(), &self, sizeof self, MSG_NOSIGNAL) != sizeof self) return false;
  char go = 0;
  ssize_t size = 0;
  do {
    size = recv(order.channel.get(), &go, 1, 0);
  } while (size < 0 && errno == EINTR);
  if (size != 1) return false;
  dup2(order.output.get(), STDOUT_FILENO);
  dup2(order.output.get(), STDERR_FILENO);
  order.output = OwnedFd();
  order.channel = OwnedFd();
  close(kForkServerSocket);
  return true;
}

bool say(char what) {
  return send(kForkServerSocket, &what, 1, MSG_NOSIGNAL) == 1;
}

}  // namespace

bool is_fork_server(int argc, char** argv) {
  return argc > 1 && std::string_view(argv[1]) == kForkServerOption;
}

std::optional<std::vector<std::string>> serve_forks(int argc, char** argv) {
  const ShownArguments shown(argc, argv);
  const std::string program = argv[0];
  shown.show({program, kForkServerOption});
  const pid_t spawner = getppid();
  ::signal(SIGCHLD, SIG_IGN);  // nobody waits for the processes in between
  const bool has_files = has_open_files();
  if (has_files || !has_one_thread_after_a_fork()) {
    std::fprintf(stderr, "%s: its libraries leave %s behind, so its processes start without a fork server\n",
                 program.c_str(), has_files ? "open files" : "threads");
    say(kForkServerRefusal);
    return std::nullopt;
  }
  if (!say(kForkServerReady)) return std::nullopt;
  while (auto order = receive_order()) {
    if (order->arguments.empty()) continue;
    const pid_t between = fork();
    if (between != 0) continue;  // and the descriptors are closed
    // The spawner adopts orphans: when the process in between ends, the next one is its child.
    const pid_t self = getpid();
    if (fork() != 0) _exit(0);
    if (!become(*order, self, spawner)) _exit(127);
    shown.show(order->arguments);
    return std::move(order->arguments);
  }
  return std::nullopt;
}

}  // namespace ds::node
