// A program that can be a fork server, and says what it finds when it runs.
//
//   forked_program report             how it was started, its descriptors, threads and group, a line each
//   forked_program exit CODE
//   forked_program signal NUMBER      to itself
//   forked_program wait               with a child, whose process id it prints
//
// DS_FORK_SERVER of the environment: `ends` has its fork server end at once, `threads` leaves a thread
// behind, `files` an open file.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "actors/node/fork_server.hpp"

namespace {

/// As what libraries do before `main`.
const pid_t kLoadedIn = getpid();

std::string entries_of(const char* folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename());
  std::ranges::sort(names);
  std::string all;
  for (const auto& name : names) all += " " + name;
  return all;
}

void report() {
  std::printf("%s\n", kLoadedIn == getpid() ? "executed" : "forked");
  // The last one is that of the folder itself.
  std::printf("descriptors%s\n", entries_of("/proc/self/fd").c_str());
  std::printf("threads %td\n", std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
  std::printf("leads its group: %s\n", getpgrp() == getpid() ? "yes" : "no");
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, nullptr, &blocked);
  struct sigaction child {};
  sigaction(SIGCHLD, nullptr, &child);
  const bool usual = sigisemptyset(&blocked) != 0 && child.sa_handler == SIG_DFL;
  std::printf("signals as usual: %s\n", usual ? "yes" : "no");
}

int run(const std::vector<std::string>& words) {
  const std::string what = words.size() > 1 ? words[1] : "";
  if (what == "report") report();
  if (what == "exit") return std::atoi(words.at(2).c_str());
  if (what == "signal") raise(std::atoi(words.at(2).c_str()));
  if (what == "wait") {
    const pid_t child = fork();
    if (child != 0) std::printf("%d\n", child);
    std::fflush(stdout);
    while (true) pause();
  }
  std::fflush(stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv, argv + argc);
  if (ds::node::is_fork_server(argc, argv)) {
    const char* fault = std::getenv("DS_FORK_SERVER");
    const std::string how = fault == nullptr ? "" : fault;
    if (how == "ends") return 1;
    if (how == "files" && open("/dev/null", O_RDONLY) < 0) return 1;
    if (how == "threads") std::thread([] { pause(); }).detach();
    auto ordered = ds::node::serve_forks(argc, argv);
    if (!ordered) _exit(0);
    words = *std::move(ordered);
  }
  return run(words);
}
