#include "actors/node/spawner.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "actors/node/spawner_wire.hpp"

namespace ds::node {
namespace {

/// Each ends with a zero byte.
std::string join_texts(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& text : texts) {
    all += text;
    all += '\0';
  }
  return all;
}

}  // namespace

Spawner::Spawner(int socket, int pid, Fence fence) : socket_(socket), pid_(pid), fence_(std::move(fence)) {}

Result<std::unique_ptr<Spawner>> Spawner::start() {
  auto fence = Fence::make();
  if (!fence) return tl::unexpected(fence.error());
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return fail(ErrorCode::internal, fmt::format("cannot make a socket pair: {}", std::strerror(errno)));
  }
  const int pid = fork();
  if (pid < 0)
    return fail(ErrorCode::resource_exhausted, fmt::format("cannot fork: {}", std::strerror(errno)));
  if (pid == 0) {
    ::close(sockets[0]);
    _exit(run_spawner(sockets[1], *fence));
  }
  ::close(sockets[1]);
  return std::unique_ptr<Spawner>(new Spawner(sockets[0], pid, std::move(*fence)));
}

Spawner::~Spawner() {
  close();
  waitpid(pid_, nullptr, 0);
  ::close(socket_);
}

void Spawner::close() {
  shutdown(socket_, SHUT_RDWR);
}

Result<void> Spawner::spawn(std::uint64_t worker, const std::vector<std::string>& arguments) {
  return order({SpawnerPacket::Kind::spawn, worker, join_texts(arguments)});
}

Result<void> Spawner::spawn_command(std::uint64_t worker, const std::vector<std::string>& arguments,
                                    const std::string& directory, const std::vector<std::string>& variables) {
  std::vector<std::string> texts{directory, std::to_string(variables.size())};
  texts.insert(texts.end(), variables.begin(), variables.end());
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  return order({SpawnerPacket::Kind::command, worker, join_texts(texts)});
}

Result<void> Spawner::order(const SpawnerPacket& packet) {
  if (packet.payload.size() > SpawnerPacket::kMaxBytes) {
    return fail(ErrorCode::invalid_argument, "the worker's command line is longer than 80 KiB");
  }
  if (!send_packet(socket_, packet))
    return fail(ErrorCode::unavailable, "the node's spawner process is gone");
  return {};
}

void Spawner::kill(std::uint64_t worker) {
  send_packet(socket_, {SpawnerPacket::Kind::kill, worker, {}});
}

void Spawner::terminate(std::uint64_t worker) {
  send_packet(socket_, {SpawnerPacket::Kind::terminate, worker, {}});
}

Result<ProcessEvent> Spawner::wait_event() {
  while (const auto packet = receive_packet(socket_)) {
    switch (packet->kind) {
      case SpawnerPacket::Kind::started:
        return ProcessStarted{packet->worker, std::atoi(packet->payload.c_str())};
      case SpawnerPacket::Kind::output:
        return ProcessOutput{packet->worker, packet->payload};
      case SpawnerPacket::Kind::exited:
        return ProcessExited{packet->worker, std::atoi(packet->payload.c_str())};
      default:
        break;
    }
  }
  return fail(ErrorCode::unavailable, "the node's spawner process is gone");
}

}  // namespace ds::node
