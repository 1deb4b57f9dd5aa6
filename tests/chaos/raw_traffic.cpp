#include "tests/chaos/raw_traffic.hpp"

#include <random>

#include "tests/chaos/payload.hpp"

namespace ds::chaos {
namespace {

using fabric::Channel;
using fabric::ProcessAddress;
using fabric::Transport;

constexpr std::int64_t kWindowBytes = std::int64_t{16} << 20;
constexpr std::int64_t kAcknowledgeBytes = std::int64_t{1} << 20;
enum Kind : std::uint8_t { kPayload = 1, kProgress };

struct Head {
  std::uint64_t sequence = 0;
  std::int64_t sent_ns = 0;
  std::uint64_t size = 0;   ///< of the payload in the second part
  std::int64_t so_far = 0;  ///< the payload bytes that this process has from the receiver since the last loss
  std::uint8_t kind = 0;
  std::uint8_t unused[7] = {};
};

}  // namespace

RawTraffic::RawTraffic(std::size_t slot, std::shared_ptr<Transport> transport, PeerTable& peers,
                       Journal& journal)
    : slot_(slot), transport_(std::move(transport)), peers_(peers), journal_(journal) {
  lost_token_ = transport_->add_on_lost([this](const ProcessAddress& peer, const Error&) { on_lost(peer); });
  transport_->on_frame(Channel::collective, [this](const ProcessAddress& from,
                                                   const Transport::Parts& parts) { on_frame(from, parts); });
  thread_ = std::thread([this] { run(); });
}

RawTraffic::~RawTraffic() {
  ending_ = true;
  thread_.join();
  transport_->on_frame(Channel::collective, nullptr);
  transport_->remove_on_lost(lost_token_);
}

void RawTraffic::stop() {
  std::lock_guard lock(mutex_);
  running_ = false;
  for (const auto& [peer, stream] : streams_) {
    Record total;
    total.event = Event::raw_total;
    total.peer = peer;
    total.sequence = stream.sent;
    journal_.write(total);
  }
}

void RawTraffic::run() {
  std::mt19937_64 random(transport_->self().id);
  while (!ending_) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::size_t other = random() % kSlots;
    const std::size_t burst = 1 + random() % 8;
    auto peer = peers_.get(other);
    if (!peer || other == slot_) continue;
    for (std::size_t i = 0; i < burst; ++i) {
      const std::size_t size = draw_size(random);
      std::lock_guard lock(mutex_);
      const Stream& stream = streams_[peer->id];
      if (running_ && stream.sent_bytes - stream.told_bytes + static_cast<std::int64_t>(size) <= kWindowBytes)
        send(*peer, kPayload, size);
    }
  }
}

// Under the mutex, so that the numbers go out in their order.
void RawTraffic::send(const ProcessAddress& to, std::uint8_t kind, std::size_t size) {
  Stream& stream = streams_[to.id];
  Head head;
  head.kind = kind;
  head.sequence = stream.sent + 1;
  head.sent_ns = now_ns();
  head.size = size;
  head.so_far = stream.received_bytes;
  Transport::Parts parts = {Buffer::copy_of(std::as_bytes(std::span(&head, 1)))};
  if (size != 0) parts.push_back(make_payload(transport_->self().id ^ head.sequence, size));
  if (!transport_->send(to, Channel::collective, std::move(parts))) return;
  stream.sent = head.sequence;
  stream.sent_bytes += static_cast<std::int64_t>(size);
  stream.acknowledged_bytes = stream.received_bytes;
}

void RawTraffic::on_frame(const ProcessAddress& from, const Transport::Parts& parts) {
  Record record;
  record.peer = from.id;
  record.event = Event::damaged;
  Head head;
  if (parts.empty() || parts[0].size() != sizeof(head)) return journal_.write(record);
  std::memcpy(&head, parts[0].bytes().data(), sizeof(head));
  record.sequence = head.sequence;
  record.sent_ns = head.sent_ns;
  const Buffer payload = parts.size() == 2 ? parts[1] : Buffer();
  if (payload.size() != head.size || !is_payload(payload, from.id ^ head.sequence))
    return journal_.write(record);
  record.event = Event::raw_received;
  journal_.write(record);

  std::lock_guard lock(mutex_);
  Stream& stream = streams_[from.id];
  stream.told_bytes = head.so_far;
  stream.received_bytes += static_cast<std::int64_t>(head.size);
  if (running_ && stream.received_bytes - stream.acknowledged_bytes > kAcknowledgeBytes)
    send(from, kProgress, 0);
}

void RawTraffic::on_lost(const ProcessAddress& peer) {
  std::lock_guard lock(mutex_);
  Stream& stream = streams_[peer.id];
  Record record;
  record.event = Event::lost;
  record.peer = peer.id;
  record.sequence = stream.sent;
  journal_.write(record);
  stream.sent_bytes = stream.told_bytes = stream.received_bytes = stream.acknowledged_bytes = 0;
}

}  // namespace ds::chaos
