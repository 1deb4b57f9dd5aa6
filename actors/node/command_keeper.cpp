// What runs in the spawner's process and its children: plain system calls.
#include "actors/node/command_keeper.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>

#include "storage/files/descriptor_limit.hpp"

namespace ds::node {
namespace {

static_assert(kTerminateCommand == SIGTERM && kEndCommand == SIGQUIT);

constexpr std::array kHeard{SIGCHLD, SIGTERM, SIGQUIT};

sigset_t heard_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kHeard) sigaddset(&set, number);
  return set;
}

std::vector<int> children_of_this() {
  const auto self = std::to_string(getpid());
  std::ifstream list("/proc/self/task/" + self + "/children");
  std::vector<int> children;
  for (int pid = 0; list >> pid;) children.push_back(pid);
  return children;
}

[[noreturn]] void become(const Command& command, int output, pid_t keeper) {
  setsid();  // a group of its own, and no terminal to write on
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != keeper) _exit(127);  // it died before the line above took effect
  for (const int number : {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGPIPE}) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  close_range(3, ~0U, 0);
  storage::restore_descriptor_limit();
  if (chdir(command.directory.c_str()) != 0) {
    dprintf(STDERR_FILENO, "cannot enter %s: %s\n", command.directory.c_str(), strerror(errno));
    _exit(127);
  }
  for (const auto& variable : command.variables) putenv(const_cast<char*>(variable.c_str()));
  std::vector<char*> argv;
  for (const auto& argument : command.arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  const int code = errno == ENOENT ? 127 : 126;
  dprintf(STDERR_FILENO, "cannot start %s: %s\n", argv[0], strerror(errno));
  _exit(code);
}

/// Ends as the program did, so that whoever waits for the keeper sees it.
[[noreturn]] void end_like(int status) {
  if (WIFSIGNALED(status)) {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    ::signal(WTERMSIG(status), SIG_DFL);
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    raise(WTERMSIG(status));
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 127);
}

void close_all_but(int kept) {
  if (kept > 0) close_range(0, static_cast<unsigned>(kept) - 1, 0);
  close_range(static_cast<unsigned>(kept) + 1, ~0U, 0);
}

/// It has no group for a moment after it was started.
void signal_program(pid_t program, int number) {
  if (::kill(-program, number) != 0) ::kill(program, number);
}

/// What a keeper is to do with its program: it was told so, or the node's term is over.
class Orders {
 public:
  Orders(const Fence& fence, std::uint64_t term) : fence_(fence), term_(term) {}

  bool is_term_over() const { return fence_.left_ns(term_) == 0; }
  bool has_fenced() const { return kill_at_ns_ != 0; }

  /// Waits for a signal or a moment to act. Returns SIGTERM or SIGQUIT when that is to be done, else another.
  int wait() {
    const sigset_t heard = heard_signals();
    const auto left = fence_.left_ns(term_);
    if (left == 0 && kill_at_ns_ == 0) {
      // From the end of the term: this process may have stood still since.
      kill_at_ns_ = fence_.end_ns(term_) + std::chrono::nanoseconds(kFencedGrace).count();
      return SIGTERM;
    }
    auto nap = kill_at_ns_ == 0 ? left : kill_at_ns_ - Fence::now_ns();
    if (nap <= 0) {
      kill_at_ns_ = Fence::now_ns() + kLongestNap_ns;  // again, should that not have helped
      return SIGQUIT;
    }
    // In naps, for the time that a machine sleeps is left out of them.
    nap = std::min(nap, kLongestNap_ns);
    const timespec time{nap / 1'000'000'000, nap % 1'000'000'000};
    return sigtimedwait(&heard, nullptr, &time);
  }

 private:
  static constexpr std::int64_t kLongestNap_ns = 1'000'000'000;
  const Fence& fence_;
  std::uint64_t term_;
  std::int64_t kill_at_ns_ = 0;  ///< 0: the term is not over
};

/// Waits for the program, and for what is to be done with it meanwhile. Returns its status. Once it was asked
/// to end all of its group gets the time for that: a shell ends before the program that it waits for.
int watch(pid_t program, Orders& orders) {
  std::optional<int> ended_with;
  bool is_asked = false;
  while (true) {
    for (int status = 0;;) {
      const pid_t ended = waitpid(-1, &status, WNOHANG);
      if (ended == program) ended_with = status;
      if (ended <= 0) break;  // others are orphans of the program's that have ended by themselves
    }
    if (ended_with && (!is_asked || ::kill(-program, 0) != 0)) return *ended_with;
    const int number = orders.wait();
    if (number == SIGTERM) is_asked = true;
    if (number == SIGQUIT && ended_with) return *ended_with;  // what is left is ended by the caller
    if (number == SIGTERM || number == SIGQUIT)
      signal_program(program, number == SIGTERM ? SIGTERM : SIGKILL);
  }
}

[[noreturn]] void keep(const Command& command, int output, const Fence& fence, int sign_of_life, int report,
                       pid_t parent) {
  prctl(PR_SET_NAME, "ds-keeper");
  setpgid(0, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (getppid() != parent) _exit(127);
  const pid_t self = getpid();
  Orders orders(fence, command.term);
  if (orders.is_term_over()) _exit(127);  // the order has waited for too long
  const pid_t program = fork();
  if (program == 0) become(command, output, self);
  if (program < 0) _exit(127);
  const bool told = write(report, &program, sizeof program) == sizeof program;
  close_all_but(sign_of_life);  // also the output of other commands: their ends must be seen
  if (!told) signal_program(program, SIGKILL);
  const int status = watch(program, orders);
  ::kill(-program, SIGKILL);
  end_children();
  // What it did on that SIGTERM, and be it to end with 0, is not what it was to do.
  end_like(orders.has_fenced() ? SIGTERM : status);
}

}  // namespace

KeptCommand keep_command(const Command& command, int output, const Fence& fence, int sign_of_life) {
  std::array<int, 2> report{};
  if (pipe2(report.data(), O_CLOEXEC) != 0) return {};
  // The keeper must not miss what it is told before it listens.
  const sigset_t heard = heard_signals();
  sigset_t before;
  sigprocmask(SIG_BLOCK, &heard, &before);
  const pid_t self = getpid();
  KeptCommand kept;
  kept.keeper = fork();
  if (kept.keeper == 0) keep(command, output, fence, sign_of_life, report[1], self);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  close(report[1]);
  if (kept.keeper > 0) {
    ssize_t size = 0;
    do {
      size = read(report[0], &kept.program, sizeof kept.program);
    } while (size < 0 && errno == EINTR);
    if (size != sizeof kept.program) kept.program = -1;
  }
  close(report[0]);
  return kept;
}

std::vector<int> kill_children(const std::vector<int>& known) {
  std::vector<int> killed;
  for (const int child : children_of_this()) {
    if (std::ranges::find(known, child) != known.end()) continue;
    ::kill(child, SIGKILL);
    killed.push_back(child);
  }
  return killed;
}

void end_children() {
  // Mostly there are none, and asking so is much cheaper than reading a list from /proc.
  while (waitpid(-1, nullptr, WNOHANG) >= 0) {
    for (const int child : kill_children({})) waitpid(child, nullptr, 0);
  }
}

}  // namespace ds::node
