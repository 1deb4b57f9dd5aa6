#include "probe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

Probe::Probe(const std::vector<std::string>& arguments) {
  // A probe that aborts closes its input: writing to it must then fail instead of ending the test.
  ::signal(SIGPIPE, SIG_IGN);
  int to_child[2];
  int from_child[2];
  if (::pipe2(to_child, O_CLOEXEC) != 0 || ::pipe2(from_child, O_CLOEXEC) != 0)
    throw std::runtime_error("pipe2");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
  std::string program = DS_STORAGE_PROBE;
  std::vector<std::string> words = arguments;
  std::vector<char*> argv = {program.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int error = ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(to_child[0]);
  ::close(from_child[1]);
  if (error != 0) throw std::runtime_error("cannot start " + program);
  input_ = to_child[1];
  output_ = from_child[0];
}

Probe::~Probe() {
  kill();
  ::close(input_);
  ::close(output_);
}

void Probe::send_line(const std::string& line) {
  const std::string text = line + "\n";
  // When the probe is gone, the next read says so.
  [[maybe_unused]] const ssize_t written = ::write(input_, text.data(), text.size());
}

std::optional<std::string> Probe::read_line() {
  constexpr int kDeadlineMs = 60'000;
  for (;;) {
    const std::size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    pollfd waiting = {output_, POLLIN, 0};
    if (::poll(&waiting, 1, kDeadlineMs) == 0) throw std::runtime_error("storage_probe says nothing");
    char bytes[4096];
    const ssize_t size = ::read(output_, bytes, sizeof(bytes));
    if (size <= 0) return std::nullopt;
    buffer_.append(bytes, static_cast<std::size_t>(size));
  }
}

void Probe::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}
