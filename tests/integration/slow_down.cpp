#include "tests/integration/slow_down.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>

namespace ds::tests {
namespace {

constexpr std::chrono::milliseconds kTurn{20};
constexpr std::chrono::seconds kLasts{2};

// By number: the C library's own functions for it came with glibc 2.36.
int open_process(int pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

bool send(int process, int signal) {
  return syscall(SYS_pidfd_send_signal, process, signal, nullptr, 0) == 0;
}

void alternate(const std::stop_token& stop, int process) {
  const auto end = std::chrono::steady_clock::now() + kLasts;
  while (!stop.stop_requested() && std::chrono::steady_clock::now() < end && send(process, SIGSTOP)) {
    std::this_thread::sleep_for(kTurn);
    send(process, SIGCONT);
    std::this_thread::sleep_for(kTurn);
  }
}

}  // namespace

SlowDown::SlowDown(int pid) : process_(open_process(pid)) {
  if (process_ < 0) return;
  thread_ = std::jthread([process = process_](const std::stop_token& stop) { alternate(stop, process); });
}

SlowDown::~SlowDown() {
  if (process_ < 0) return;
  thread_.request_stop();
  wait();
  close(process_);
}

void SlowDown::wait() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace ds::tests
