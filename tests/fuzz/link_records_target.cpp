// Lets a peer that knows the secret write any records into the ring of a connection on one host: kind u8,
// size u16, payload, again and again. Eight bytes `A` in a payload become the address of memory that can be
// read.
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "actors/fabric/local_link.hpp"
#include "tests/fuzz/expect.hpp"

using namespace ds::fabric;

namespace {

constexpr std::size_t kMaxFrame = std::size_t{1} << 20;

LinkEnds victim_ends() {
  LinkEnds ends;
  ends.memory = *SharedSegment::create("ds-link", LinkMemory::bytes());
  ends.bell = std::make_unique<PeerBell>(
      *SharedSegment::create("ds-page", ProcessPage::kBytes),
      *SharedSegment::create("ds-pulse", ProcessPulse::kBytes, SharedSegment::Writers::maker),
      OwnedFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  ends.pid = ::getpid();
  ends.abilities = kReadsMemory | kMapsBlocks;
  return ends;
}

void point_at(std::span<std::byte> payload, const std::byte* memory) {
  static const std::string kMark(8, 'A');
  for (std::size_t at = 0; at + kMark.size() <= payload.size(); ++at) {
    if (std::memcmp(payload.data() + at, kMark.data(), kMark.size()) == 0)
      std::memcpy(payload.data() + at, &memory, sizeof(memory));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const std::vector<std::byte> readable(2 * kMaxFrame);
  int sockets[2];
  EXPECT_HOLDS(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
  const OwnedFd peer(sockets[1]);
  const OwnedFd woken(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  HandlerTable handlers;
  std::size_t delivered = 0;
  handlers.set_on_frame(Channel::actors, [&](const ProcessAddress&, Transport::Parts parts) {
    for (const auto& part : parts) delivered += part.size();
  });
  LinkSurroundings surroundings{handlers, kMaxFrame, woken.get()};
  LinkEnds ends = victim_ends();
  ends.socket = OwnedFd(sockets[0]);
  // The receiver is the server of this connection; we write what the client would.
  auto& memory = *reinterpret_cast<LinkMemory*>(ends.memory.bytes().data());
  RingWriter writer(memory.to_server, ends.in_ring());
  LocalLink link(surroundings, std::move(ends), {});
  std::size_t frames = 0;
  for (std::size_t at = 0; at + 3 <= size; ++frames) {
    const std::size_t wanted = bytes[at + 1] + 256U * bytes[at + 2];
    const std::size_t length = std::min(wanted, size - at - 3);
    std::byte* to = writer.reserve(bytes[at] % 8, length);
    EXPECT_HOLDS(to != nullptr);
    if (length != 0) std::memcpy(to, bytes + at + 3, length);
    point_at({to, length}, readable.data());
    writer.commit();
    at += 3 + length;
    link.poll();
  }
  for (int rounds = 0; rounds < 64 && link.poll(); ++rounds) {
  }
  EXPECT_HOLDS(delivered <= frames * kMaxFrame);
  link.close();
  EXPECT_HOLDS(!link.poll());
  return 0;
}
