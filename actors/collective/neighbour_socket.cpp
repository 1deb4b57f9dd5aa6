#include "actors/collective/neighbour_socket.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <thread>

namespace ds::collective {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kConnectPatience{5000};
constexpr int kBacklog = 128;

struct Greeting {
  std::uint32_t magic = 0x64734752;
  std::uint32_t caller = 0;
  Token token{};
};

struct SegmentNote {
  std::uint32_t magic = 0x64735347;
  std::uint32_t number = 0;
  std::uint64_t bytes = 0;
};

tl::unexpected<Error> failed(const char* what) {
  return fail(ErrorCode::unavailable,
              fmt::format("shared memory with a neighbour: {}: {}", what, std::strerror(errno)));
}

struct AbstractAddress {
  sockaddr_un address{};
  socklen_t length = 0;
  explicit AbstractAddress(const std::string& name) {
    address.sun_family = AF_UNIX;
    const std::size_t size = std::min(name.size(), sizeof address.sun_path - 1);
    std::memcpy(address.sun_path + 1, name.data(), size);  // the first byte stays zero: abstract
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + size);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

bool is_own_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

bool wait_readable(int socket, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd entry{socket, POLLIN, 0};
    const int ready = poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

/// Compares all of it whatever differs, so that time says nothing.
bool same_token(const Token& a, const Token& b) {
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= a[i] ^ b[i];
  return difference == 0;
}

}  // namespace

Result<NeighbourSocket> NeighbourSocket::connect(const std::string& name, const Token& token,
                                                 std::uint32_t caller) {
  const auto deadline = Clock::now() + kConnectPatience;
  fabric::OwnedFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return failed("socket");
  const AbstractAddress address(name);
  while (::connect(socket.get(), address.get(), address.length) != 0) {
    // EAGAIN: strangers fill its backlog.
    if ((errno != EAGAIN && errno != EINTR) || Clock::now() > deadline) return failed("connect");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (!is_own_user(socket.get()))
    return fail(ErrorCode::permission_denied, "the neighbour's socket is another user's");
  const Greeting greeting{Greeting{}.magic, caller, token};
  if (::send(socket.get(), &greeting, sizeof greeting, MSG_NOSIGNAL) != sizeof greeting)
    return failed("greeting it");
  return NeighbourSocket(std::move(socket));
}

Result<void> NeighbourSocket::send(const fabric::OwnedFd& memory, std::uint32_t number,
                                   std::uint64_t bytes) const {
  SegmentNote note{SegmentNote{}.magic, number, bytes};
  iovec part{&note, sizeof note};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int number_of_file = memory.get();
  std::memcpy(CMSG_DATA(header), &number_of_file, sizeof number_of_file);
  if (sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof note)
    return failed("sending a segment");
  return {};
}

Result<SentSegment> NeighbourSocket::receive(std::chrono::milliseconds patience) const {
  if (!wait_readable(socket_.get(), Clock::now() + patience)) {
    errno = ETIMEDOUT;
    return failed("waiting for a segment");
  }
  SegmentNote note;
  iovec part{&note, sizeof note};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  SentSegment segment;
  const cmsghdr* header = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(int))) {
    int number = -1;
    std::memcpy(&number, CMSG_DATA(header), sizeof number);
    segment.memory = fabric::OwnedFd(number);
  }
  if (got != sizeof note || note.magic != SegmentNote{}.magic || !segment.memory)
    return fail(ErrorCode::unavailable, "a neighbour hung up, or sent what is no segment");
  segment.number = note.number;
  segment.bytes = note.bytes;
  return segment;
}

Result<NeighbourListener> NeighbourListener::open() {
  NeighbourListener listener;
  Token random{};
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()) ||
      getrandom(listener.token_.data(), listener.token_.size(), 0) !=
          static_cast<ssize_t>(listener.token_.size())) {
    return failed("getrandom");
  }
  listener.name_ = "ds-collective-";
  for (const std::uint8_t byte : random) listener.name_ += fmt::format("{:02x}", byte);
  listener.socket_ = fabric::OwnedFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.socket_) return failed("socket");
  const AbstractAddress address(listener.name_);
  if (bind(listener.socket_.get(), address.get(), address.length) != 0) return failed("bind");
  if (listen(listener.socket_.get(), kBacklog) != 0) return failed("listen");
  return listener;
}

std::optional<NeighbourListener::Caller> NeighbourListener::accept(std::chrono::milliseconds patience) const {
  const auto deadline = Clock::now() + patience;
  while (wait_readable(socket_.get(), deadline)) {
    fabric::OwnedFd socket(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) continue;
    Greeting greeting;
    // Neighbours greeted before we were told to accept, so one that is silent is a stranger.
    const ssize_t got = recv(socket.get(), &greeting, sizeof greeting, MSG_DONTWAIT);
    const bool known = got == sizeof greeting && greeting.magic == Greeting{}.magic &&
                       same_token(greeting.token, token_) && is_own_user(socket.get());
    if (known) return Caller{greeting.caller, NeighbourSocket(std::move(socket))};
  }
  return std::nullopt;
}

}  // namespace ds::collective
