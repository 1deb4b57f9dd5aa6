#include "actors/fabric/door.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "actors/fabric/socket_address.hpp"
#include "actors/fabric/wire.hpp"

namespace ds::fabric {
namespace {

// A message: length of the body u16, version u8, type u8, body.
enum MessageType : std::uint8_t { kHello = 1, kChallenge, kProof, kWelcome };
constexpr std::uint8_t kDoorVersion = 1;
constexpr std::size_t kHeadBytes = 4;
constexpr std::size_t kMaxBody = 512;  // every message is far smaller
constexpr std::size_t kMaxWarned = 1024;
constexpr SessionId kListenerSession = 0;

Error io_error(const std::string& what) {
  return {ErrorCode::unavailable, fmt::format("{}: {}", what, std::strerror(errno)), {}};
}

tl::unexpected<Error> broken_rule(const char* what) {
  return fail(ErrorCode::invalid_argument, what);
}

}  // namespace

struct Door::Session {
  enum class Waiting { connection, hello, challenge, proof, decision, welcome, hangup };
  SessionId id = 0;
  int fd = -1;
  bool stranger = false;  ///< they called us
  Waiting waiting = Waiting::hello;
  std::string from;
  ProcessAddress remote;
  std::uint64_t wanted = 0;
  Handshake handshake;
  std::vector<std::byte> input;
  Clock::time_point deadline;
  ~Session() {
    if (fd >= 0) ::close(fd);
  }
};

// ---- listening ----------------------------------------------------------------------------------

Door::Door(const TransportOptions& options, ProcessAddress self)
    : options_(options), self_(std::move(self)) {}

Door::~Door() {
  sessions_.clear();
  if (listener_ >= 0) ::close(listener_);
  if (epoll_ >= 0) ::close(epoll_);
}

Result<std::unique_ptr<Door>> Door::open(const TransportOptions& options, ProcessAddress self) {
  std::unique_ptr<Door> door(new Door(options, std::move(self)));
  if (auto listening = door->listen(); !listening) return tl::unexpected(listening.error());
  return door;
}

Result<void> Door::listen() {
  auto address = to_socket_address(self_.host, self_.port);
  if (!address) return tl::unexpected(address.error());
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  listener_ = ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (epoll_ < 0 || listener_ < 0) return tl::unexpected(io_error("opening a socket"));
  const int yes = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  socklen_t length = sizeof(address->storage);
  if (::bind(listener_, address->get(), address->length) != 0 || ::listen(listener_, 128) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address->storage), &length) != 0) {
    Error error = io_error(fmt::format("listening on {} port {}", self_.host, self_.port));
    error.hint = "is the port in use, or the address not one of this machine's?";
    return tl::unexpected(std::move(error));
  }
  self_.port = port_of(address->storage);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kListenerSession;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) != 0) return tl::unexpected(io_error("epoll_ctl"));
  return {};
}

void Door::accept_all(std::vector<DoorEvent>& events) {
  while (listener_ >= 0) {
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    const int fd =
        ::accept4(listener_, reinterpret_cast<sockaddr*>(&from), &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      // What waits keeps the listener readable: without a pause its thread would spin until somebody closes a
      // file.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) listen_for(0);
      return;
    }
    auto session = std::make_unique<Session>();
    session->id = next_session_++;
    session->fd = fd;
    session->stranger = true;
    session->from = host_of(from);
    session->deadline = Clock::now() + options_.handshake_timeout;
    const SessionId id = session->id;
    watch(*session, EPOLLIN);
    sessions_[id] = std::move(session);
    if (++strangers_ > options_.max_unproven_peers) {
      end(id, {ErrorCode::resource_exhausted, "too many connections that have not proven the secret", {}},
          events);
    }
  }
}

void Door::listen_for(unsigned wanted) {
  epoll_event event{};
  event.events = wanted;
  event.data.u64 = kListenerSession;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, listener_, &event) == 0) paused_ = wanted == 0;
}

void Door::close_to_strangers() {
  if (listener_ >= 0) ::close(std::exchange(listener_, -1));
  std::erase_if(sessions_, [](const auto& entry) { return entry.second->stranger; });
  strangers_ = 0;
}

// ---- sessions -----------------------------------------------------------------------------------

void Door::watch(Session& session, unsigned wanted) {
  epoll_event event{};
  event.events = wanted;
  event.data.u64 = session.id;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, session.fd, &event) != 0)
    epoll_ctl(epoll_, EPOLL_CTL_ADD, session.fd, &event);
}

SessionId Door::call(const ProcessAddress& to, Clock::time_point now) {
  auto session = std::make_unique<Session>();
  session->id = next_session_++;
  session->from = fmt::format("{} port {}", to.host, to.port);
  session->wanted = to.id;
  session->waiting = Session::Waiting::connection;
  session->deadline = now + options_.handshake_timeout;
  session->handshake.client = self_.id;
  session->handshake.client_nonce = random_nonce();
  if (auto address = to_socket_address(to.host, to.port)) {
    session->fd = ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (session->fd >= 0 &&
        (::connect(session->fd, address->get(), address->length) == 0 || errno == EINPROGRESS)) {
      watch(*session, EPOLLOUT);
    } else {
      session->deadline = now;  // the next tick reports it
    }
  } else {
    session->deadline = now;
  }
  const SessionId id = session->id;
  sessions_[id] = std::move(session);
  return id;
}

void Door::welcome(SessionId id, const Welcome& welcome) {
  auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  found->second->waiting = Session::Waiting::hangup;  // the client closes when it has read this
  std::vector<DoorEvent> events;
  if (auto written = write_message(*found->second, kWelcome, encode_welcome(welcome)); !written)
    end(id, written.error(), events);
}

void Door::hang_up(SessionId id) {
  auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  if (found->second->stranger) --strangers_;
  sessions_.erase(found);
}

void Door::end(SessionId id, const Error& why, std::vector<DoorEvent>& events) {
  auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  auto session = std::move(found->second);
  sessions_.erase(found);
  if (!session->stranger) {
    events.emplace_back(DoorShut{id, why});
    return;
  }
  --strangers_;
  if (session->waiting == Session::Waiting::hangup) return;
  ++refused_;
  const bool said = std::find(warned_.begin(), warned_.end(), session->from) != warned_.end();
  if (said || warned_.size() >= kMaxWarned) return;
  warned_.push_back(session->from);
  spdlog::warn("fabric: refused a connection from {}: {} (said once for this host)", session->from,
               why.message);
}

std::vector<DoorEvent> Door::on_tick(Clock::time_point now) {
  if (paused_ && listener_ >= 0) listen_for(EPOLLIN);
  std::vector<SessionId> late;
  for (const auto& [id, session] : sessions_) {
    if (now >= session->deadline) late.push_back(id);
  }
  std::vector<DoorEvent> events;
  for (SessionId id : late) {
    end(id, {ErrorCode::deadline_exceeded, fmt::format("{} did not answer in time", sessions_[id]->from), {}},
        events);
  }
  return events;
}

std::vector<DoorEvent> Door::work() {
  std::vector<DoorEvent> events;
  epoll_event ready[32];
  const int count = epoll_wait(epoll_, ready, 32, 0);
  for (int i = 0; i < count; ++i) {
    if (ready[i].data.u64 == kListenerSession) {
      accept_all(events);
    } else if (auto found = sessions_.find(ready[i].data.u64); found != sessions_.end()) {
      serve(*found->second, ready[i].events, events);
    }
  }
  return events;
}

void Door::serve(Session& session, unsigned ready, std::vector<DoorEvent>& events) {
  const SessionId id = session.id;
  if (session.waiting == Session::Waiting::connection) {
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(session.fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0 || (ready & (EPOLLERR | EPOLLHUP)) != 0) {
      errno = error;
      return end(id, io_error(fmt::format("connecting to {}", session.from)), events);
    }
    session.waiting = Session::Waiting::challenge;
    watch(session, EPOLLIN);
    auto said =
        write_message(session, kHello, encode_hello({self_, session.handshake.client_nonce, session.wanted}));
    if (!said) end(id, said.error(), events);
    return;
  }
  if (auto read = read_some(session); !read) return end(id, read.error(), events);
  // Handling a message may end the session.
  for (bool more = true; more && sessions_.count(id) != 0;) {
    auto taken = take_message(session, events);
    if (!taken) return end(id, taken.error(), events);
    more = *taken;
  }
}

Result<void> Door::read_some(Session& session) {
  std::byte chunk[kHeadBytes + kMaxBody];
  const auto count = ::recv(session.fd, chunk, sizeof(chunk), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (count < 0) return tl::unexpected(io_error(fmt::format("talking to {}", session.from)));
  if (count == 0)
    return fail(ErrorCode::unavailable, fmt::format("{} hung up during the handshake", session.from));
  session.input.insert(session.input.end(), chunk, chunk + count);
  if (session.input.size() > 2 * (kHeadBytes + kMaxBody))
    return broken_rule("too many bytes before the handshake ended");
  return {};
}

Result<void> Door::write_message(Session& session, std::uint8_t type, std::span<const std::byte> body) {
  WireWriter out;
  out.integer(static_cast<std::uint16_t>(body.size()));
  out.integer(kDoorVersion);
  out.integer(type);
  out.bytes(body);
  // So little always fits into a fresh socket's buffer; when it does not, the other end is not ours.
  const auto count = ::send(session.fd, out.block().data(), out.block().size(), MSG_NOSIGNAL);
  if (count != static_cast<ssize_t>(out.block().size())) {
    return tl::unexpected(io_error(fmt::format("talking to {}", session.from)));
  }
  return {};
}

Result<bool> Door::take_message(Session& session, std::vector<DoorEvent>& events) {
  using Waiting = Session::Waiting;
  WireReader head(session.input);
  const auto length = head.integer<std::uint16_t>();
  const auto version = head.integer<std::uint8_t>();
  const auto type = head.integer<std::uint8_t>();
  if (!head.ok()) return false;
  if (version != kDoorVersion || length > kMaxBody) return broken_rule("that is not this cluster's protocol");
  if (session.input.size() < kHeadBytes + length) return false;
  const std::vector<std::byte> message(session.input.begin(), session.input.begin() + kHeadBytes + length);
  session.input.erase(session.input.begin(), session.input.begin() + kHeadBytes + length);
  const auto body = std::span(message).subspan(kHeadBytes);
  Result<void> done = broken_rule("a message out of turn in the handshake");
  if (type == kHello && session.stranger && session.waiting == Waiting::hello) done = on_hello(session, body);
  if (type == kChallenge && session.waiting == Waiting::challenge) done = on_challenge(session, body);
  if (type == kProof && session.waiting == Waiting::proof) done = on_proof(session, body, events);
  if (type == kWelcome && session.waiting == Waiting::welcome) done = on_welcome(session, body, events);
  if (!done) return tl::unexpected(done.error());
  return true;
}

// ---- the handshake ------------------------------------------------------------------------------

Result<void> Door::on_hello(Session& session, std::span<const std::byte> body) {
  auto hello = decode_hello(body);
  if (!hello) return tl::unexpected(hello.error());
  if (hello->client.id == self_.id) return broken_rule("a process called itself");
  session.remote = hello->client;
  session.handshake = {hello->client.id, self_.id, hello->nonce, random_nonce()};
  session.waiting = Session::Waiting::proof;
  return write_message(session, kChallenge,
                       encode_challenge({self_, session.handshake.server_nonce,
                                         prove_server(options_.secret, session.handshake)}));
}

Result<void> Door::on_challenge(Session& session, std::span<const std::byte> body) {
  auto challenge = decode_challenge(body);
  if (!challenge) return tl::unexpected(challenge.error());
  session.remote = challenge->server;
  session.handshake.server = challenge->server.id;
  session.handshake.server_nonce = challenge->nonce;
  if (!same_proof(challenge->proof, prove_server(options_.secret, session.handshake))) {
    return fail(ErrorCode::permission_denied,
                fmt::format("{} does not know this cluster's secret", session.from),
                "start both processes with the same secret");
  }
  if (session.wanted != 0 && session.wanted != challenge->server.id) {
    return fail(ErrorCode::unavailable, fmt::format("another process ({:016x}) listens at {} now",
                                                    challenge->server.id, session.from));
  }
  session.waiting = Session::Waiting::welcome;
  return write_message(session, kProof, prove_client(options_.secret, session.handshake));
}

Result<void> Door::on_proof(Session& session, std::span<const std::byte> body,
                            std::vector<DoorEvent>& events) {
  auto proof = decode_proof(body);
  if (!proof || !same_proof(*proof, prove_client(options_.secret, session.handshake))) {
    return fail(ErrorCode::permission_denied, "it does not know this cluster's secret",
                "start both processes with the same secret");
  }
  session.waiting = Session::Waiting::decision;
  events.emplace_back(DoorEntered{session.id, session.remote, session.handshake});
  return {};
}

Result<void> Door::on_welcome(Session& session, std::span<const std::byte> body,
                              std::vector<DoorEvent>& events) {
  auto welcome = decode_welcome(body);
  if (!welcome) return tl::unexpected(welcome.error());
  events.emplace_back(DoorOpened{session.id, session.remote, session.handshake, std::move(*welcome)});
  sessions_.erase(session.id);
  return {};
}

}  // namespace ds::fabric
