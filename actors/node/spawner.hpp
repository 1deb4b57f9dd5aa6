#pragma once

#include <cstdint>
#include <memory>
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
struct SpawnerPacket;
using ProcessEvent = std::variant<ProcessStarted, ProcessOutput, ProcessExited>;

/// A small process that starts and reaps the node's workers.
///
/// It is forked before its parent touches UCX, CUDA or threads, none of which survive a `fork`. When the
/// parent dies, however it dies, the spawner sees its socket close and kills every worker's process group;
/// when the spawner dies, the kernel kills the workers (parent-death signal). A user's program has a keeper
/// between the spawner and itself (`command_keeper.hpp`), which ends all that the program leaves behind.
/// Output is read only as fast as the parent takes it, so a chatty worker waits instead of filling memory.
class Spawner {
 public:
  /// Forks. Call first in `main`, before any thread exists.
  static Result<std::unique_ptr<Spawner>> start();
  ~Spawner();  ///< ends every worker and waits for the spawner
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  /// Starts `arguments[0]` with standard input from /dev/null and its output to `ProcessOutput` events. Any
  /// thread.
  Result<void> spawn(std::uint64_t worker, const std::vector<std::string>& arguments);

  /// Starts a user's program, found by `PATH`, in `directory`, with `variables` (`NAME=value`) beside the
  /// node's own environment. Whatever it starts itself ends with it, also what leaves its process group. Any
  /// thread.
  Result<void> spawn_command(std::uint64_t worker, const std::vector<std::string>& arguments,
                             const std::string& directory, const std::vector<std::string>& variables);

  /// Sends SIGKILL to the worker's process group, of a command to all it has started; nothing when it is
  /// gone. Any thread.
  void kill(std::uint64_t worker);

  /// Sends SIGTERM to the process group of a command; to a worker nothing. Any thread.
  void terminate(std::uint64_t worker);

  /// Waits for the next event; an error means that the spawner is gone (or `close` was called). One thread.
  Result<ProcessEvent> wait_event();

  /// Ends every worker and makes `wait_event` fail. Any thread.
  void close();

 private:
  Spawner(int socket, int pid);
  Result<void> order(const SpawnerPacket& packet);
  int socket_;
  int pid_;
};

}  // namespace ds::node
