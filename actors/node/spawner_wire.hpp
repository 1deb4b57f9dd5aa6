#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "actors/node/fence.hpp"

namespace ds::node {

/// One packet between a node agent and its spawner: a kind, the worker it is about, and bytes.
struct SpawnerPacket {
  enum class Kind : char {
    spawn = 's',
    command = 'c',
    prepare = 'p',
    kill = 'k',
    terminate = 't',
    started = 'S',
    output = 'O',
    exited = 'X'
  };
  static constexpr std::size_t kMaxBytes = 80 << 10;

  Kind kind = Kind::kill;
  std::uint64_t worker = 0;
  std::string payload;
};

/// False when the socket is closed or full (`would_block` then tells which, if given).
bool send_packet(int socket, const SpawnerPacket& packet, bool* would_block = nullptr);

/// nullopt when the socket is closed.
std::optional<SpawnerPacket> receive_packet(int socket);

/// The spawner's whole life: serves `socket` until it closes, then kills every worker. Processes of
/// `forked_program` it has a fork server start. Returns the exit code.
int run_spawner(int socket, const Fence& fence, int sign_of_life, const std::string& forked_program);

}  // namespace ds::node
