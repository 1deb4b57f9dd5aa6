#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "actors/fabric/transport.hpp"

extern char** environ;

namespace ds::fabric {

/// A second process (transport_peer.cpp) that ends with this object. It says its address on its standard
/// output and ends when its standard input does.
class PeerProcess {
 public:
  explicit PeerProcess(const std::string& mode, const std::string& secret = "secret") {
    int input[2];
    int output[2];
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], 0);
    posix_spawn_file_actions_adddup2(&actions, output[1], 1);
    std::string program = FABRIC_PEER;
    std::vector<std::string> words = {program, mode, secret};
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int failed = posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]);
    close(output[1]);
    input_ = input[1];
    output_ = fdopen(output[0], "r");
    if (failed != 0) throw std::runtime_error("posix_spawn " + program);
    address_.host = "127.0.0.1";
    unsigned long long id = 0;
    unsigned port = 0;
    if (std::fscanf(output_, "%llu %u", &id, &port) != 2) throw std::runtime_error("the peer did not start");
    address_.id = id;
    address_.port = static_cast<std::uint16_t>(port);
  }
  ~PeerProcess() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      reap();
    }
    close(input_);
    std::fclose(output_);
  }
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  const ProcessAddress& address() const { return address_; }
  void signal(int number) { ::kill(pid_, number); }
  /// Returns once no thread of it runs any more: a signal alone takes its time on a busy machine.
  void stop() {
    signal(SIGSTOP);
    siginfo_t stopped{};
    waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED);
  }
  void kill() {
    signal(SIGKILL);
    reap();
  }

 private:
  void reap() {
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  pid_t pid_ = -1;
  int input_ = -1;
  std::FILE* output_ = nullptr;
  ProcessAddress address_;
};

}  // namespace ds::fabric
