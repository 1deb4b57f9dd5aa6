#include "actors/node/fresh_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <initializer_list>
#include <optional>

namespace ds::node {

namespace {

std::optional<rlim_t> usual_descriptors;  // none: the limit is as it was

}  // namespace

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (!usual_descriptors) usual_descriptors = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void restore_descriptor_limit() {
  rlimit limit{};
  if (!usual_descriptors || getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = *usual_descriptors;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void make_fresh(pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before the line above took effect
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(number, SIG_DFL);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  if (nothing > STDIN_FILENO) close(nothing);
  restore_descriptor_limit();
}

}  // namespace ds::node
