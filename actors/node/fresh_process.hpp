#pragma once

#include <sys/types.h>

namespace ds::node {

/// Makes a fork of `parent` what a program shall find: a process group of its own, no signal blocked or
/// ignored, /dev/null as standard input, the usual limit of descriptors, and SIGKILL when `parent` ends.
/// Should it have ended already, so does this process. Plain system calls: for processes without threads.
void make_fresh(pid_t parent);

/// Lets this process have as many descriptors as it may, which is more than it is given: it holds one for the
/// output of each program.
void raise_descriptor_limit();
/// For what this process starts the limit is what it was: a program that uses `select` counts on that.
void restore_descriptor_limit();

}  // namespace ds::node
