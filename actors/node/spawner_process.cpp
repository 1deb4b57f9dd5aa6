// What runs in the spawner's process: plain system calls, no threads, no library that dislikes `fork`.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <vector>

#include "actors/node/command_keeper.hpp"
#include "actors/node/fork_orders.hpp"
#include "actors/node/fresh_process.hpp"
#include "actors/node/spawner_wire.hpp"
#include "storage/files/descriptor_limit.hpp"

namespace ds::node {

bool send_packet(int socket, const SpawnerPacket& packet, bool* would_block) {
  std::string bytes(1 + sizeof packet.worker, static_cast<char>(packet.kind));
  std::memcpy(bytes.data() + 1, &packet.worker, sizeof packet.worker);
  bytes += packet.payload;
  const int flags = MSG_NOSIGNAL | (would_block != nullptr ? MSG_DONTWAIT : 0);
  ssize_t sent = 0;
  do {
    sent = send(socket, bytes.data(), bytes.size(), flags);
  } while (sent < 0 && errno == EINTR);
  if (would_block != nullptr) *would_block = sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  return sent == static_cast<ssize_t>(bytes.size());
}

std::optional<SpawnerPacket> receive_packet(int socket) {
  std::string bytes(SpawnerPacket::kMaxBytes + 64, '\0');
  ssize_t size = 0;
  do {
    size = recv(socket, bytes.data(), bytes.size(), 0);
  } while (size < 0 && errno == EINTR);
  SpawnerPacket packet;
  if (size < static_cast<ssize_t>(1 + sizeof packet.worker)) return std::nullopt;
  packet.kind = static_cast<SpawnerPacket::Kind>(bytes[0]);
  std::memcpy(&packet.worker, bytes.data() + 1, sizeof packet.worker);
  packet.payload.assign(bytes, 1 + sizeof packet.worker,
                        static_cast<std::size_t>(size) - 1 - sizeof packet.worker);
  return packet;
}

namespace {

using fabric::OwnedFd;

struct Child {
  pid_t pid = 0;    ///< of a command: its keeper
  pid_t group = 0;  ///< the process group of what it runs
  int output = -1;  ///< our end of its output pipe; -1 once it is closed
  bool is_command = false;
};

class SpawnerProcess {
 public:
  SpawnerProcess(int socket, const Fence& fence, int sign_of_life, const std::string& forked_program)
      : socket_(socket),
        fence_(fence),
        sign_of_life_(sign_of_life),
        self_(getpid()),
        forks_(forked_program) {}

  int run() {
    prepare();
    while (true) {
      if (may_have_strays_ && !forks_.has_forks_on_their_way()) end_strays();
      if (!flush() || !wait_and_serve()) break;
    }
    end_all();
    return 0;
  }

 private:
  void prepare() {
    // A terminal's Ctrl-C reaches the whole foreground group; only our parent's end may end us.
    for (const int signal_number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal_number, SIG_IGN);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, nullptr);
    signals_ = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    prctl(PR_SET_NAME, "ds-spawner");
    storage::raise_descriptor_limit();
    prctl(PR_SET_CHILD_SUBREAPER, 1);  // of commands whose keeper was killed
  }

  bool wait_and_serve() {
    std::vector<pollfd> polled{{socket_, POLLIN, 0}, {signals_, POLLIN, 0}};
    std::vector<std::uint64_t> workers;
    if (!outgoing_.empty()) {
      polled[0].events |= POLLOUT;  // and no output is read until the parent has taken what there is
    } else {
      for (const auto& [worker, child] : children_) {
        if (child.output < 0) continue;
        polled.push_back({child.output, POLLIN, 0});
        workers.push_back(worker);
      }
    }
    forks_.add_polled(polled);
    if (poll(polled.data(), polled.size(), forks_.patience_ms()) < 0) return errno == EINTR;
    for (std::size_t i = 0; i < workers.size(); ++i) {
      if (polled[i + 2].revents != 0) read_output(workers[i]);
    }
    if ((polled[1].revents & POLLIN) != 0) reap();
    serve_forks();
    if ((polled[0].revents & POLLIN) != 0) return serve_parent();
    return (polled[0].revents & (POLLHUP | POLLERR)) == 0;
  }

  bool serve_parent() {
    auto packet = receive_packet(socket_);
    if (!packet) return false;
    if (packet->kind == SpawnerPacket::Kind::spawn) {
      spawn(packet->worker, std::move(packet->payload));
    } else if (packet->kind == SpawnerPacket::Kind::command) {
      spawn_command(packet->worker, packet->payload);
    } else if (packet->kind == SpawnerPacket::Kind::prepare) {
      forks_.prepare();
    } else if (packet->kind == SpawnerPacket::Kind::kill && forks_.cancel(packet->worker)) {
      outgoing_.push_back({SpawnerPacket::Kind::exited, packet->worker, std::to_string(SIGKILL)});
    } else if (const auto child = children_.find(packet->worker); child != children_.end()) {
      if (packet->kind == SpawnerPacket::Kind::kill) end(child->second);
      if (packet->kind == SpawnerPacket::Kind::terminate && child->second.is_command)
        ::kill(child->second.pid, kTerminateCommand);
    }
    return true;
  }

  static void end(const Child& child) {
    child.is_command ? ::kill(child.pid, kEndCommand) : ::kill(-child.pid, SIGKILL);
  }

  void spawn(std::uint64_t worker, std::string arguments) {
    std::array<int, 2> output{};
    if (pipe2(output.data(), O_CLOEXEC) != 0) return report_failed_start(worker);
    StartOrder order{worker, std::move(arguments), OwnedFd(output[0]), OwnedFd(output[1])};
    // With no further orders the last is answered, or late, soon: strays are not put off for ever.
    if (may_have_strays_ || !forks_.take(order)) execute(order);
  }

  void serve_forks() {
    for (auto& [order, pid] : forks_.serve()) pid > 0 ? on_started(order, pid) : execute(order);
  }

  void execute(StartOrder& order) {
    std::vector<char*> argv;
    for (std::size_t at = 0; at < order.arguments.size(); at += std::strlen(order.arguments.data() + at) + 1)
      argv.push_back(order.arguments.data() + at);
    argv.push_back(nullptr);
    const pid_t pid = fork();
    if (pid == 0) become(argv, order.writer.get());
    if (pid < 0) return report_failed_start(order.worker);
    setpgid(pid, pid);  // in both processes: whoever comes first
    on_started(order, pid);
  }

  void on_started(StartOrder& order, pid_t pid) {
    add_child(order.worker, {pid, pid, order.output.release()});
    outgoing_.push_back({SpawnerPacket::Kind::started, order.worker, std::to_string(pid)});
  }

  void add_child(std::uint64_t worker, const Child& child) {
    fcntl(child.output, F_SETFL, O_NONBLOCK);
    children_[worker] = child;
    workers_[child.pid] = worker;
  }

  /// `texts`: the fence's term, the directory, the number of variables, these, then the program and its
  /// arguments; each ends with a zero byte.
  void spawn_command(std::uint64_t worker, const std::string& texts) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at < texts.size(); at += parts.back().size() + 1)
      parts.emplace_back(texts.c_str() + at);
    const auto variables = parts.size() < 4 ? 0 : std::strtoul(parts[2].c_str(), nullptr, 10);
    if (parts.size() < 4 || variables > parts.size() - 4) return report_failed_start(worker);
    const auto program = parts.begin() + 3 + static_cast<std::ptrdiff_t>(variables);
    const Command command{parts[1],
                          {parts.begin() + 3, program},
                          {program, parts.end()},
                          std::strtoull(parts[0].c_str(), nullptr, 10)};
    std::array<int, 2> output{};
    if (pipe2(output.data(), O_CLOEXEC) != 0) return report_failed_start(worker);
    const KeptCommand kept = keep_command(command, output[1], fence_, sign_of_life_);
    close(output[1]);
    if (kept.keeper < 0) {
      close(output[0]);
      return report_failed_start(worker);
    }
    add_child(worker, {kept.keeper, kept.program, output[0], true});
    if (kept.program > 0)
      outgoing_.push_back({SpawnerPacket::Kind::started, worker, std::to_string(kept.program)});
  }

  [[noreturn]] void become(std::vector<char*>& argv, int output) {
    make_fresh(self_);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close_range(3, ~0U, 0);
    execv(argv[0], argv.data());
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", argv[0], strerror(errno));
    _exit(127);
  }

  void report_failed_start(std::uint64_t worker) {
    outgoing_.push_back({SpawnerPacket::Kind::exited, worker, std::to_string(127 << 8)});
  }

  /// Reads what there is, at most one packet's worth; false when the pipe has nothing more now.
  bool read_output(std::uint64_t worker) {
    auto& child = children_.at(worker);
    std::string bytes(32 << 10, '\0');
    const ssize_t size = read(child.output, bytes.data(), bytes.size());
    if (size > 0) {
      bytes.resize(static_cast<std::size_t>(size));
      outgoing_.push_back({SpawnerPacket::Kind::output, worker, std::move(bytes)});
      return true;
    }
    if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
      close(child.output);
      child.output = -1;
    }
    return false;
  }

  void reap() {
    signalfd_siginfo ignored{};
    while (read(signals_, &ignored, sizeof ignored) > 0) {
    }
    int status = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto known = workers_.find(pid);
      if (known != workers_.end()) on_ended(known->second, status);
      forks_.on_reaped(pid);
    }
  }

  void on_ended(std::uint64_t worker, int status) {
    const Child child = children_.at(worker);
    if (child.group > 0) ::kill(-child.group, SIGKILL);  // whatever it started itself
    // A keeper that was killed itself has left behind what its program started.
    if (child.is_command && WIFSIGNALED(status)) may_have_strays_ = true;
    while (children_.at(worker).output >= 0 && read_output(worker)) {
    }
    if (children_.at(worker).output >= 0) close(children_.at(worker).output);
    outgoing_.push_back({SpawnerPacket::Kind::exited, worker, std::to_string(status)});
    workers_.erase(child.pid);
    children_.erase(worker);
  }

  /// Each that ends is heard of, and then its own children are here. Not while forks are on their way: they
  /// are children that nobody knows yet.
  void end_strays() {
    std::vector<int> known{forks_.server()};
    for (const auto& [pid, worker] : workers_) known.push_back(pid);
    may_have_strays_ = !kill_children(known).empty();
  }

  /// Sends what the parent can take now; false when the parent is gone.
  bool flush() {
    while (!outgoing_.empty()) {
      bool would_block = false;
      if (!send_packet(socket_, outgoing_.front(), &would_block)) return would_block;
      outgoing_.pop_front();
    }
    return true;
  }

  void end_all() {
    for (const auto& [worker, child] : children_) end(child);
    for (const auto& [worker, child] : children_) waitpid(child.pid, nullptr, 0);
    end_children();
  }

  int socket_;
  const Fence& fence_;
  int sign_of_life_;
  pid_t self_;
  int signals_ = -1;
  std::map<std::uint64_t, Child> children_;
  std::map<pid_t, std::uint64_t> workers_;
  bool may_have_strays_ = false;
  ForkOrders forks_;
  std::deque<SpawnerPacket> outgoing_;
};

}  // namespace

int run_spawner(int socket, const Fence& fence, int sign_of_life, const std::string& forked_program) {
  return SpawnerProcess(socket, fence, sign_of_life, forked_program).run();
}

}  // namespace ds::node
