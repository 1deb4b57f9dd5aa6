#pragma once

#include <sys/types.h>

namespace ds::node {

/// Makes a fork of `parent` what a program shall find: a process group of its own, no signal blocked or
/// ignored, /dev/null as standard input, the usual limit of descriptors, and SIGKILL when `parent` ends.
/// Should it have ended already, so does this process. Plain system calls: for processes without threads.
void make_fresh(pid_t parent);

}  // namespace ds::node
