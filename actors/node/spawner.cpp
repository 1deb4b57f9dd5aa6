#include "actors/node/spawner.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
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

/// More that ask whether programs of this node are there don't get through, and ask again.
constexpr int kMaxUnaccepted = 16;

/// Each ends with a zero byte.
std::string join_texts(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& text : texts) {
    all += text;
    all += '\0';
  }
  return all;
}

struct SignOfLife {
  int socket = -1;
  std::string address;
};

/// Nobody ever accepts: the kernel does, as long as one process has it open.
Result<SignOfLife> open_sign_of_life(const std::string& host) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), "0", &wanted, &found); error != 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("cannot listen on {}: {}", host, gai_strerror(error)),
                "give an address of this machine");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  SignOfLife sign;
  sign.socket = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (sign.socket < 0 || bind(sign.socket, found->ai_addr, found->ai_addrlen) != 0 ||
      listen(sign.socket, kMaxUnaccepted) != 0 ||
      getsockname(sign.socket, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("cannot listen on {}: {}", host, std::strerror(errno)),
                "give an address of this machine");
  }
  const bool is_v6 = bound.ss_family == AF_INET6;
  const auto port = is_v6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                          : reinterpret_cast<const sockaddr_in&>(bound).sin_port;
  const bool needs_brackets = host.find(':') != std::string::npos && !host.starts_with('[');
  sign.address = fmt::format("{}:{}", needs_brackets ? "[" + host + "]" : host, ntohs(port));
  return sign;
}

}  // namespace

Spawner::Spawner(int socket, int pid, Fence fence, std::string sign_of_life)
    : socket_(socket), pid_(pid), fence_(std::move(fence)), sign_of_life_(std::move(sign_of_life)) {}

Result<std::unique_ptr<Spawner>> Spawner::start(const std::string& host, const std::string& forked_program) {
  auto fence = Fence::make();
  if (!fence) return tl::unexpected(fence.error());
  const auto sign = open_sign_of_life(host);
  if (!sign) return tl::unexpected(sign.error());
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return fail(ErrorCode::internal, fmt::format("cannot make a socket pair: {}", std::strerror(errno)));
  }
  const int pid = fork();
  if (pid < 0)
    return fail(ErrorCode::resource_exhausted, fmt::format("cannot fork: {}", std::strerror(errno)));
  if (pid == 0) {
    ::close(sockets[0]);
    _exit(run_spawner(sockets[1], *fence, sign->socket, forked_program));
  }
  ::close(sockets[1]);
  ::close(sign->socket);
  return std::unique_ptr<Spawner>(new Spawner(sockets[0], pid, std::move(*fence), sign->address));
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
  std::vector<std::string> texts{std::to_string(fence_.term()), directory, std::to_string(variables.size())};
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

void Spawner::prepare() {
  send_packet(socket_, {SpawnerPacket::Kind::prepare, 0, {}});
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
