#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "storage/result.hpp"

namespace ds::node {

struct ProcessStarted {
  std::uint64_t worker = 0;
  int pid = 0;
};
struct ProcessOutput {
  std::uint64_t worker = 0;
  std::string bytes;
};
/// The process was waited for and its process group is gone. `status` as from `waitpid`.
struct ProcessExited {
  std::uint64_t worker = 0;
  int status = 0;
};
using ProcessEvent = std::variant<ProcessStarted, ProcessOutput, ProcessExited>;

/// Starts and ends the processes of one node. What becomes of them it says by events, of one process in the
/// order: started, output, exited. All calls return at once; any thread.
class Launcher {
 public:
  virtual ~Launcher() = default;

  /// A process of ours, `arguments[0]` and what it takes.
  virtual Result<void> spawn(std::uint64_t worker, const std::vector<std::string>& arguments) = 0;

  /// Processes of ours are about to be started; those that are started later start sooner for it.
  virtual void prepare() = 0;

  /// A user's program, found by `PATH`, in `directory`, with `variables` (`NAME=value`) beside the node's own
  /// environment.
  virtual Result<void> spawn_command(std::uint64_t worker, const std::vector<std::string>& arguments,
                                     const std::string& directory,
                                     const std::vector<std::string>& variables) = 0;

  /// SIGKILL to the worker and, of a command, to all it has started; nothing when it is gone.
  virtual void kill(std::uint64_t worker) = 0;

  /// SIGTERM to a command; to a worker nothing.
  virtual void terminate(std::uint64_t worker) = 0;
};

}  // namespace ds::node
