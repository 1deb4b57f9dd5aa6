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

Spawner::Spawner(int socket, int pid) : socket_(socket), pid_(pid) {}

Result<std::unique_ptr<Spawner>> Spawner::start() {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return fail(ErrorCode::internal, fmt::format("cannot make a socket pair: {}", std::strerror(errno)));
  }
  const int pid = fork();
  if (pid < 0)
    return fail(ErrorCode::resource_exhausted, fmt::format("cannot fork: {}", std::strerror(errno)));
  if (pid == 0) {
    ::close(sockets[0]);
    _exit(run_spawner(sockets[1]));
  }
  ::close(sockets[1]);
  return std::unique_ptr<Spawner>(new Spawner(sockets[0], pid));
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
  SpawnerPacket packet{SpawnerPacket::Kind::spawn, worker, {}};
  for (const auto& argument : arguments) {
    packet.payload += argument;
    packet.payload += '\0';
  }
  if (packet.payload.size() > SpawnerPacket::kMaxBytes) {
    return fail(ErrorCode::invalid_argument, "the worker's command line is longer than 64 KiB");
  }
  if (!send_packet(socket_, packet))
    return fail(ErrorCode::unavailable, "the node's spawner process is gone");
  return {};
}

void Spawner::kill(std::uint64_t worker) {
  send_packet(socket_, {SpawnerPacket::Kind::kill, worker, {}});
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
