#include "actors/node/free_port.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include <fstream>
#include <random>

namespace ds::node {
namespace {

constexpr std::uint16_t kLowest = 10'000;
constexpr std::uint16_t kLowestEphemeral = 32'768;  // where the kernel doesn't say

std::uint16_t lowest_ephemeral() {
  std::ifstream range("/proc/sys/net/ipv4/ip_local_port_range");
  std::uint16_t low = 0;
  return range >> low && low > kLowest ? low : kLowestEphemeral;
}

/// At any address of the machine: the program may bind another one than `host`.
bool is_free(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  const bool bound = bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(socket);
  return bound;
}

}  // namespace

Result<std::uint16_t> choose_free_port(const std::set<std::uint16_t>& given) {
  static thread_local std::mt19937 random{std::random_device{}()};
  static const std::uint16_t end = lowest_ephemeral();
  std::uniform_int_distribution<int> ports(kLowest, end - 1);
  const int first = ports(random);  // from there on all of them, in a circle
  for (int i = 0, port = first; i < end - kLowest; ++i, port = port + 1 < end ? port + 1 : kLowest) {
    const auto chosen = static_cast<std::uint16_t>(port);
    if (!given.contains(chosen) && is_free(chosen)) return chosen;
  }
  return fail(ErrorCode::resource_exhausted,
              fmt::format("no port from {} to {} is free on this node for MASTER_PORT", kLowest, end - 1),
              "end what listens there");
}

}  // namespace ds::node
