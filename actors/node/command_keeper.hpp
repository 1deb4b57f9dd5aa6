#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "actors/node/fence.hpp"

namespace ds::node {

/// A user's program as the spawner got it.
struct Command {
  std::string directory;
  std::vector<std::string> variables;  ///< `NAME=value`, beside the environment there is
  std::vector<std::string> arguments;  ///< at least the program, found by `PATH`
  std::uint64_t term = 0;              ///< of the fence, in which it was ordered
};

/// What the spawner tells a keeper, as signals.
inline constexpr int kTerminateCommand = 15;  ///< SIGTERM: hand it on to the program's process group
inline constexpr int kEndCommand = 3;         ///< SIGQUIT: end the program and all it has started

/// Between SIGTERM and SIGKILL for programs of a node that is cut off; who starts them elsewhere waits
/// longer.
inline constexpr std::chrono::seconds kFencedGrace{3};

/// The program and its keeper.
struct KeptCommand {
  int keeper = -1;   ///< a child of the caller; ends as the program did, after all that the program started
  int program = -1;  ///< also its process group
};

/// Starts `command` with a keeper between it and this process, its output to `output`.
///
/// The keeper adopts whatever the program leaves behind, in its process group or not, and ends it with
/// SIGKILL when the program has ended or `kEndCommand` comes. It does the same when this process dies. Should
/// the keeper be killed alone, the kernel kills the program, and what that has started becomes a child of the
/// next process up that adopts orphans (`prctl(PR_SET_CHILD_SUBREAPER)`), which ends it by `kill_children`.
/// When the term of `fence` in which it was ordered is over the keeper sends SIGTERM, and `kFencedGrace`
/// after that end it ends the program and all that it has started; then it ends by SIGTERM itself, whatever
/// the program's exit code. It keeps the descriptor `sign_of_life` open for as long as it lives. Plain system
/// calls: for processes without threads. `keeper` is -1 when there can be no more processes.
KeptCommand keep_command(const Command& command, int output, const Fence& fence, int sign_of_life);

/// Sends SIGKILL to all children of this process but `known`, and returns them. Those whose parents they are
/// become children of this process when they have ended.
std::vector<int> kill_children(const std::vector<int>& known);

/// Ends all children of this process, and theirs, and so on; returns when they are gone.
void end_children();

}  // namespace ds::node
