#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "actors/node/fence.hpp"
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
  /// Forks. Call first in `main`, before any thread exists. `forked_program`: the path of a program that can
  /// be a fork server (`fork_server.hpp`), from which its processes start in milliseconds; empty: none is.
  /// Errors: `invalid_argument` when `host` is no address of this machine.
  static Result<std::unique_ptr<Spawner>> start(const std::string& host = "127.0.0.1",
                                                const std::string& forked_program = {});
  ~Spawner() override;  ///< ends every worker and waits for the spawner
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  /// Standard input is /dev/null, output goes to `ProcessOutput` events.
  Result<void> spawn(std::uint64_t worker, const std::vector<std::string>& arguments) override;

  /// Whatever it starts itself ends with it, also what leaves its process group.
  Result<void> spawn_command(std::uint64_t worker, const std::vector<std::string>& arguments,
                             const std::string& directory,
                             const std::vector<std::string>& variables) override;
  void prepare() override;                        ///< starts the fork server
  void kill(std::uint64_t worker) override;       ///< the whole process group
  void terminate(std::uint64_t worker) override;  ///< the process group of a command

  /// Waits for the next event; an error means that the spawner is gone (or `close` was called). One thread.
  Result<ProcessEvent> wait_event();

  /// What users' programs are ended by when this node is cut off. One thread at a time.
  Fence& fence() { return fence_; }

  /// `HOST:PORT` that takes connections (and says nothing) for as long as the spawner or the keeper of any
  /// user's program lives: once it refuses them nothing of this node runs any more.
  const std::string& sign_of_life() const { return sign_of_life_; }

  /// Ends every worker and makes `wait_event` fail. Any thread.
  void close();

 private:
  Spawner(int socket, int pid, Fence fence, std::string sign_of_life);
  Result<void> order(const SpawnerPacket& packet);
  int socket_;
  int pid_;
  Fence fence_;
  std::string sign_of_life_;
};

}  // namespace ds::node
