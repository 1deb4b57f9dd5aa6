#include "tests/chaos/peer_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>
#include <thread>
#include <utility>

extern char** environ;

namespace ds::chaos {

Holdings holdings_of(int pid) {
  Holdings held;
  const std::string proc = "/proc/" + std::to_string(pid);
  std::error_code ignored;
  for (auto it = std::filesystem::directory_iterator(proc + "/fd", ignored);
       it != std::filesystem::directory_iterator(); it.increment(ignored))
    ++held.descriptors;
  std::ifstream maps(proc + "/maps");
  for (std::string line; std::getline(maps, line);) {
    ++held.mappings;
    if (line.find("/memfd:") != std::string::npos) ++held.shared;
    if (line.find(" /dev/shm/") != std::string::npos || line.find(" /SYSV") != std::string::npos)
      ++held.named;
  }
  return held;
}

std::size_t resident_bytes(int pid) {
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  std::size_t all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

PeerProcess::PeerProcess(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                         const std::string& mark, int inherited) {
  int input[2];
  int output[2];
  if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], 0);
  posix_spawn_file_actions_adddup2(&actions, output[1], 1);
  if (inherited == 3) throw std::logic_error("a descriptor cannot be put where it is");
  if (inherited >= 0) posix_spawn_file_actions_adddup2(&actions, inherited, 3);
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string marked = mark;
  std::vector<char*> environment = {marked.data()};
  for (char** variable = environ; *variable != nullptr; ++variable) environment.push_back(*variable);
  environment.push_back(nullptr);
  const int failed = posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  close(input[0]);
  close(output[1]);
  input_ = input[1];
  output_ = output[0];
  if (failed != 0) throw std::runtime_error("cannot start " + program.string());
}

PeerProcess::~PeerProcess() {
  if (!status_) {
    signal(SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close_input();
  close(output_);
}

void PeerProcess::signal(int number) const {
  if (!status_) ::kill(pid_, number);
}

void PeerProcess::say(const std::string& line) const {
  const std::string text = line + "\n";
  // A process that was killed reads no more, which is seen elsewhere; SIGPIPE is ignored.
  if (::write(input_, text.data(), text.size()) < 0) return;
}

std::optional<std::string> PeerProcess::hear(std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (true) {
    if (auto end = heard_.find('\n'); end != std::string::npos) {
      std::string line = heard_.substr(0, end);
      heard_.erase(0, end + 1);
      return line;
    }
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd ready{output_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) return {};
    char chunk[256];
    const auto count = ::read(output_, chunk, sizeof(chunk));
    if (count <= 0) return {};
    heard_.append(chunk, static_cast<std::size_t>(count));
  }
}

void PeerProcess::close_input() {
  if (input_ >= 0) close(std::exchange(input_, -1));
}

std::optional<int> PeerProcess::wait(std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!status_) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      status_ = status;
    } else if (std::chrono::steady_clock::now() >= deadline) {
      break;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  return status_;
}

}  // namespace ds::chaos
