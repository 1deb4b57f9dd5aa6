#include "actors/fabric/local_lanes.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>

#include "actors/fabric/wire.hpp"

namespace ds::fabric {
namespace {

// Packets: version u8, then
//   enter    (client): Enter, address of the proof in the sender's memory u64,
//                       number of the page's descriptor there u32; with the rings, the page, the pulse, the
//                       bell
//   welcome  (server): Proof, the same two; with the page, the pulse, the bell
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMaxPacket = 128;
constexpr std::size_t kMaxDescriptors = 4;

tl::unexpected<Error> os_error(const char* what) {
  return fail(ErrorCode::unavailable, fmt::format("{}: {}", what, std::strerror(errno)));
}

// Processes that agree on this see each other's sockets: one boot of one machine, one network namespace.
std::string host_identity() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  struct stat network {};
  if (boot.empty() || ::stat("/proc/self/ns/net", &network) != 0) return {};
  return fmt::format("{} {} {}", boot, network.st_dev, network.st_ino);
}

socklen_t to_address(const std::string& name, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());  // the leading zero makes it abstract
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
}

Result<void> send_packet(int socket, const WireWriter& packet, const std::vector<int>& descriptors) {
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))] = {};
  iovec data{const_cast<std::byte*>(packet.block().data()), packet.block().size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
  std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size() * sizeof(int));
  if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return os_error("passing shared memory");
  return {};
}

struct Packet {
  std::vector<std::byte> body;
  std::vector<OwnedFd> descriptors;
};

Result<Packet> receive_packet(int socket) {
  std::byte body[kMaxPacket];
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
  iovec data{body, sizeof(body)};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t count = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0) return os_error("reading from the local socket");
  Packet packet;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t size = part->cmsg_len - CMSG_LEN(0);
    std::vector<int> raw(size / sizeof(int));
    std::memcpy(raw.data(), CMSG_DATA(part), raw.size() * sizeof(int));
    for (int fd : raw) packet.descriptors.emplace_back(fd);
  }
  if (count == 0) return fail(ErrorCode::unavailable, "the other process hung up");
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return fail(ErrorCode::invalid_argument, "too much for the local handshake");
  }
  packet.body.assign(body, body + count);
  return packet;
}

}  // namespace

struct LocalLanes::Session {
  enum class Waiting { enter, verdict, welcome, opening, hangup };
  EndpointId id = 0;
  OwnedFd socket;
  int socket_number = -1;  ///< also when the link has the socket
  bool client = false;
  bool stranger = false;  ///< not proven yet
  Waiting waiting = Waiting::enter;
  Clock::time_point deadline;
  pid_t pid = 0;
  SharedSegment memory;
  SharedSegment page;
  SharedSegment pulse;
  OwnedFd bell;
  std::unique_ptr<Proof> probe;  ///< what the other side tries to read in our memory
  std::uint32_t abilities = 0;
};

LocalLanes::LocalLanes(const TransportOptions& options, int doorbell)
    : options_(options), doorbell_(doorbell) {}

LocalLanes::~LocalLanes() = default;

// ---- listening ----------------------------------------------------------------------------------

Result<std::unique_ptr<LocalLanes>> LocalLanes::open(const TransportOptions& options, int doorbell) {
  std::unique_ptr<LocalLanes> lanes(new LocalLanes(options, doorbell));
  auto page = SharedSegment::create("ds-page", ProcessPage::kBytes);
  if (!page) return tl::unexpected(page.error());
  lanes->page_ = std::move(*page);
  auto pulse = SharedSegment::create("ds-pulse", ProcessPulse::kBytes, SharedSegment::Writers::maker);
  if (!pulse) return tl::unexpected(pulse.error());
  lanes->pulse_ = std::move(*pulse);
  lanes->page().asleep = 1;
  lanes->epoll_ = OwnedFd(epoll_create1(EPOLL_CLOEXEC));
  if (!lanes->epoll_) return os_error("epoll_create1");
  if (options.lanes == Lanes::network) return lanes;
  if (auto listening = lanes->listen(); !listening) return tl::unexpected(listening.error());
  return lanes;
}

Result<void> LocalLanes::listen() {
  address_.host = host_identity();
  if (address_.host.empty()) return {};  // without /proc there is no telling who is near
  address_.name = fmt::format("ds-{:016x}{:016x}", random_process_id(), random_process_id());
  listener_ = OwnedFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  const socklen_t length = to_address(address_.name, address);
  if (!listener_ || ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listener_.get(), 128) != 0) {
    return os_error("listening on a local socket");
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 0;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event) != 0) return os_error("epoll_ctl");
  return {};
}

Result<void> LocalLanes::watch(Session& session) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = session.id;
  session.socket_number = session.socket.get();
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (getsockopt(session.socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) {
    session.pid = credentials.pid;
  }
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, session.socket.get(), &event) != 0) return os_error("epoll_ctl");
  return {};
}

void LocalLanes::accept_all() {
  while (listener_) {
    OwnedFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
      // What waits keeps the listener readable: without a pause the thread would spin until somebody closes a
      // file.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) listen_for(0);
      return;
    }
    if (strangers_ >= options_.max_unproven_peers) {
      refuse_stranger({ErrorCode::resource_exhausted, "too many that have not proven the secret", {}});
      continue;
    }
    auto session = std::make_unique<Session>();
    session->id = next_++;
    session->socket = std::move(socket);
    session->stranger = true;
    session->deadline = Clock::now() + options_.handshake_timeout;
    if (!watch(*session)) continue;
    ++strangers_;
    sessions_[session->id] = std::move(session);
  }
}

void LocalLanes::listen_for(unsigned wanted) {
  epoll_event event{};
  event.events = wanted;
  event.data.u64 = 0;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event) == 0) paused_ = wanted == 0;
}

void LocalLanes::refuse_stranger(const Error& why) {
  if (refused_.fetch_add(1) != 0) return;
  spdlog::warn("fabric: refused a connection from this host: {} (said once)", why.message);
}

void LocalLanes::close_to_strangers() {
  listener_ = OwnedFd();
  std::erase_if(sessions_, [](const auto& entry) { return entry.second->stranger; });
  strangers_ = 0;
}

// ---- the handshake ------------------------------------------------------------------------------

bool LocalLanes::reaches(const LaneAddress& address) const {
  return options_.lanes == Lanes::automatic && !address.name.empty() && address.host == address_.host &&
         address.name.size() < sizeof(sockaddr_un::sun_path);
}

Result<EndpointId> LocalLanes::connect(const LaneAddress& address, const Enter& enter) {
  auto session = std::make_unique<Session>();
  session->id = next_++;
  session->client = true;
  session->waiting = Session::Waiting::welcome;
  session->deadline = Clock::now() + options_.handshake_timeout;
  session->socket = OwnedFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un name{};
  const socklen_t length = to_address(address.name, name);
  if (!session->socket || ::connect(session->socket.get(), reinterpret_cast<sockaddr*>(&name), length) != 0) {
    return os_error("connecting to a local socket");
  }
  auto memory = SharedSegment::create("ds-link", LinkMemory::bytes());
  if (!memory) return tl::unexpected(memory.error());
  session->memory = std::move(*memory);
  session->probe = std::make_unique<Proof>(enter.proof);
  WireWriter packet;
  packet.integer(kVersion);
  packet.bytes(encode_enter(enter));
  packet.integer(reinterpret_cast<std::uint64_t>(session->probe.get()));
  packet.integer(static_cast<std::uint32_t>(page_.fd()));
  return send_packet(session->socket.get(), packet,
                     {session->memory.fd(), page_.fd(), pulse_.fd(), doorbell_})
      .and_then([&] { return watch(*session); })
      .map([&] {
        const EndpointId id = session->id;
        sessions_[id] = std::move(session);
        return id;
      });
}

Result<void> LocalLanes::take_descriptors(Session& session, std::vector<OwnedFd> descriptors) {
  const bool with_rings = session.waiting == Session::Waiting::enter;
  if (descriptors.size() != (with_rings ? 4 : 3)) {
    return fail(ErrorCode::invalid_argument, "the local handshake lacks descriptors");
  }
  const auto take = [&descriptors] {
    OwnedFd last = std::move(descriptors.back());
    descriptors.pop_back();
    return last;
  };
  session.bell = take();
  auto pulse = SharedSegment::attach(take(), ProcessPulse::kBytes, SharedSegment::Writers::maker);
  if (!pulse) return tl::unexpected(pulse.error());
  session.pulse = std::move(*pulse);
  auto page = SharedSegment::attach(take(), ProcessPage::kBytes);
  if (!page) return tl::unexpected(page.error());
  session.page = std::move(*page);
  if (!with_rings) return {};
  auto memory = SharedSegment::attach(std::move(descriptors.front()), LinkMemory::bytes());
  if (!memory) return tl::unexpected(memory.error());
  session.memory = std::move(*memory);
  return {};
}

// Whether we may read the other process's memory, and whether it is the process we think: it said where its
// proof lies. As `ReaderAbility` bits.
std::uint32_t LocalLanes::probe(const Session& session, const Claim& claim, const Proof& expected) const {
  if (!options_.read_peer_memory || session.pid <= 0) return 0;
  Proof found{};
  const iovec to{found.data(), found.size()};
  const iovec from{reinterpret_cast<void*>(claim.proof_address), found.size()};
  if (::process_vm_readv(session.pid, &to, 1, &from, 1, 0) != static_cast<ssize_t>(found.size()) ||
      !same_proof(found, expected)) {
    return 0;
  }
  struct stat there {};
  struct stat passed {};
  const std::string page = fmt::format("/proc/{}/fd/{}", session.pid, claim.page_fd);
  const bool maps = ::stat(page.c_str(), &there) == 0 && ::fstat(session.page.fd(), &passed) == 0 &&
                    there.st_dev == passed.st_dev && there.st_ino == passed.st_ino;
  return maps ? kReadsMemory | kMapsBlocks : kReadsMemory;
}

Result<LaneEvent> LocalLanes::read_packet(Session& session) {
  auto packet = receive_packet(session.socket_number);
  if (!packet) return tl::unexpected(packet.error());
  WireReader in(packet->body);
  const auto version = in.integer<std::uint8_t>();
  const bool entering = session.waiting == Session::Waiting::enter;
  const auto said = in.bytes(entering ? sizeof(Nonce) + sizeof(Proof) : sizeof(Proof));
  const Claim claim{in.integer<std::uint64_t>(), in.integer<std::uint32_t>()};
  if (!in.complete() || version != kVersion || (!entering && session.waiting != Session::Waiting::welcome)) {
    return fail(ErrorCode::invalid_argument, "that is not the local handshake");
  }
  if (auto taken = take_descriptors(session, std::move(packet->descriptors)); !taken) {
    return tl::unexpected(taken.error());
  }
  if (entering) {
    auto enter = decode_enter(said);
    if (!enter) return tl::unexpected(enter.error());
    session.abilities = probe(session, claim, enter->proof);
    session.waiting = Session::Waiting::verdict;
    return LaneEntering{session.id, *enter};
  }
  auto proof = decode_proof(said);
  if (!proof) return tl::unexpected(proof.error());
  session.abilities = probe(session, claim, *proof);
  session.waiting = Session::Waiting::opening;
  return LaneWelcomed{session.id, *proof};
}

Result<LinkEnds> LocalLanes::accept(EndpointId endpoint, const Proof& proof) {
  auto found = sessions_.find(endpoint);
  if (found == sessions_.end()) return fail(ErrorCode::unavailable, "the other process hung up");
  Session& session = *found->second;
  session.probe = std::make_unique<Proof>(proof);
  WireWriter packet;
  packet.integer(kVersion);
  packet.bytes(proof);
  packet.integer(reinterpret_cast<std::uint64_t>(session.probe.get()));
  packet.integer(static_cast<std::uint32_t>(page_.fd()));
  auto sent = send_packet(session.socket.get(), packet, {page_.fd(), pulse_.fd(), doorbell_});
  if (!sent) return tl::unexpected(sent.error());
  return ends_of(session);
}

Result<LinkEnds> LocalLanes::open_link(EndpointId endpoint) {
  auto found = sessions_.find(endpoint);
  if (found == sessions_.end()) return fail(ErrorCode::unavailable, "the other process hung up");
  return ends_of(*found->second);
}

LinkEnds LocalLanes::ends_of(Session& session) {
  session.waiting = Session::Waiting::hangup;
  if (std::exchange(session.stranger, false)) --strangers_;
  session.memory.forget_descriptor();
  session.page.forget_descriptor();
  session.pulse.forget_descriptor();
  LinkEnds ends;
  ends.client = session.client;
  ends.memory = std::move(session.memory);
  ends.bell =
      std::make_unique<PeerBell>(std::move(session.page), std::move(session.pulse), std::move(session.bell));
  ends.socket = std::move(session.socket);
  ends.pid = session.pid;
  ends.abilities = session.abilities;
  return ends;
}

// ---- events -------------------------------------------------------------------------------------

void LocalLanes::close(EndpointId endpoint) {
  auto found = sessions_.find(endpoint);
  if (found == sessions_.end()) return;
  if (found->second->stranger) --strangers_;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second->socket_number, nullptr);
  sessions_.erase(found);
}

std::vector<LaneEvent> LocalLanes::work() {
  std::vector<LaneEvent> events;
  epoll_event ready[32];
  const int count = epoll_wait(epoll_.get(), ready, 32, 0);
  for (int i = 0; i < count; ++i) {
    if (ready[i].data.u64 == 0) {
      accept_all();
      continue;
    }
    auto found = sessions_.find(ready[i].data.u64);
    if (found == sessions_.end()) continue;
    Session& session = *found->second;
    const bool reads =
        session.waiting == Session::Waiting::enter || session.waiting == Session::Waiting::welcome;
    Result<LaneEvent> event =
        reads ? read_packet(session) : Result<LaneEvent>(fail(ErrorCode::unavailable, "the process ended"));
    if (!event && session.waiting == Session::Waiting::enter) refuse_stranger(event.error());
    events.push_back(event ? std::move(*event) : LaneEvent(LaneBroken{session.id, event.error()}));
  }
  return events;
}

std::vector<LaneEvent> LocalLanes::on_tick(Clock::time_point now) {
  if (paused_ && listener_) listen_for(EPOLLIN);
  std::vector<LaneEvent> events;
  for (const auto& [id, session] : sessions_) {
    if (session->waiting == Session::Waiting::hangup || now < session->deadline) continue;
    const Error late{ErrorCode::deadline_exceeded, "the handshake on this host did not end in time", {}};
    if (session->waiting == Session::Waiting::enter) refuse_stranger(late);
    events.emplace_back(LaneBroken{id, late});
  }
  return events;
}

}  // namespace ds::fabric
