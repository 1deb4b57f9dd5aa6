#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "actors/node/launcher.hpp"
#include "storage/result.hpp"

namespace ds::node {

struct SpawnerPacket;

/// A small process that starts and reaps the node's workers.
///
/// It is forked before its parent touches UCX, CUDA or threads, none of which survive a `fork`. When the
/// parent dies, however it dies, the spawner sees its socket close and kills every worker's process group;
/// when the spawner dies, the kernel kills the workers (parent-death signal). A user's program has a keeper
/// between the spawner and itself (`command_keeper.hpp`), which ends all that the program leaves behind.
/// Output is read only as fast as the parent takes it, so a chatty worker waits instead of filling memory.
class Spawner final : public Launcher {
 public:
  /// Forks. Call first in `main`, before any thread exists.
  static Result<std::unique_ptr<Spawner>> start();
  ~Spawner() override;  ///< ends every worker and waits for the spawner
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  /// Standard input is /dev/null, output goes to `ProcessOutput` events.
  Result<void> spawn(std::uint64_t worker, const std::vector<std::string>& arguments) override;

  /// Whatever it starts itself ends with it, also what leaves its process group.
  Result<void> spawn_command(std::uint64_t worker, const std::vector<std::string>& arguments,
                             const std::string& directory,
                             const std::vector<std::string>& variables) override;
  void kill(std::uint64_t worker) override;       ///< the whole process group
  void terminate(std::uint64_t worker) override;  ///< the process group of a command

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
