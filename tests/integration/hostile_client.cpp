#include "tests/integration/hostile_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace ds::fabric::tests {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{30};

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Address address_of(const std::string& host, std::uint16_t port) {
  Address result;
  if (host.find(':') != std::string::npos) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr);
    result.length = sizeof(*v6);
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&result.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    inet_pton(AF_INET, host.c_str(), &v4->sin_addr);
    result.length = sizeof(*v4);
  }
  return result;
}

bool readable(int socket, Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  pollfd ready{socket, POLLIN, 0};
  return ::poll(&ready, 1, left > 0 ? static_cast<int>(left) : 0) > 0;
}

}  // namespace

HostileClient::HostileClient(const std::string& host, std::uint16_t port) {
  Address address = address_of(host, port);
  socket_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  connected_ = ::connect(socket_, address.get(), address.length) == 0;
}

HostileClient::~HostileClient() {
  if (socket_ >= 0) ::close(socket_);
}

HostileClient::HostileClient(HostileClient&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_) {}

void HostileClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string HostileClient::read(std::size_t count) {
  std::string all;
  const auto deadline = Clock::now() + kPatience;
  while (all.size() < count && readable(socket_, deadline)) {
    char chunk[4096];
    const auto got = ::recv(socket_, chunk, sizeof(chunk), 0);
    if (got <= 0) break;
    all.append(chunk, static_cast<std::size_t>(got));
  }
  return all;
}

bool HostileClient::hung_up(std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  while (readable(socket_, deadline)) {
    char chunk[4096];
    if (::recv(socket_, chunk, sizeof(chunk), 0) <= 0) return true;
  }
  return false;
}

void HostileClient::end_sending() {
  ::shutdown(socket_, SHUT_WR);
}

void HostileClient::reset() {
  const linger now{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  ::close(std::exchange(socket_, -1));
}

RecordingProxy::RecordingProxy(const std::string& host, std::uint16_t port) : host_(host), target_(port) {
  Address address = address_of(host, 0);
  listener_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(listener_, address.get(), address.length) != 0 || ::listen(listener_, 8) != 0) return;
  getsockname(listener_, address.get(), &address.length);
  port_ = ntohs(address.storage.ss_family == AF_INET
                    ? reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port
                    : reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port);
}

RecordingProxy::~RecordingProxy() {
  ::close(listener_);
}

Conversation RecordingProxy::record() {
  Conversation said;
  const auto deadline = Clock::now() + kPatience;
  if (!readable(listener_, deadline)) return said;
  const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  Address target = address_of(host_, target_);
  const int server = ::socket(target.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool open = client >= 0 && ::connect(server, target.get(), target.length) == 0;
  while (open) {
    pollfd ready[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    if (::poll(ready, 2, 30'000) <= 0) break;
    for (int side = 0; side < 2 && open; ++side) {
      if (ready[side].revents == 0) continue;
      char chunk[4096];
      const auto got = ::recv(ready[side].fd, chunk, sizeof(chunk), 0);
      open = got > 0 && ::send(ready[1 - side].fd, chunk, static_cast<std::size_t>(got), MSG_NOSIGNAL) == got;
      if (!open) break;
      std::string& text = side == 1 ? said.answer : said.answer.empty() ? said.first : said.second;
      text.append(chunk, static_cast<std::size_t>(got));
    }
  }
  ::close(client);
  ::close(server);
  return said;
}

}  // namespace ds::fabric::tests
