#include "actors/fabric/link_sender.hpp"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "actors/fabric/block_pool.hpp"

namespace ds::fabric {
namespace {

constexpr std::size_t kPlacedFrom = 1024;  // smaller parts are copied into the announcement
constexpr std::size_t kFragmentBytes = std::size_t{32} << 10;
constexpr int kMostFragments = 8;  // in one go
// In fragments a frame is overtaken less far than the receiver allows, so that it always goes on reading.
constexpr std::uint64_t kMaxOvertakingFragments = kMaxOvertaking / 2;

// Whether another process could read it: the kernel refuses that for memory of devices, pinned pages of a GPU
// among it, and tells us by the same means.
bool readable_by_others(const Buffer& part) {
  if (part.size() < kPlacedFrom) return true;  // it is copied
  std::byte first{};
  const iovec to{&first, 1};
  const iovec from{const_cast<std::byte*>(part.bytes().data()), 1};
  return ::process_vm_readv(::getpid(), &to, 1, &from, 1, 0) == 1;
}

std::byte* put(std::byte* to, const Buffer& part) {
  if (!part.empty()) std::memcpy(to, part.bytes().data(), part.size());
  return to + part.size();
}

}  // namespace

LinkSender::LinkSender(std::shared_ptr<LinkEnds> ends, int wake_fd)
    : ends_(std::move(ends)), wake_fd_(wake_fd), writer_(ends_->out_control(), ends_->out_ring()) {}

void LinkSender::send(FrameType type, std::uint8_t channel, Stream stream, Transport::Parts parts,
                      std::shared_ptr<void> ticket) {
  Out out;
  out.header.type = type;
  out.header.channel = channel;
  out.header.part_sizes.reserve(parts.size());
  for (const Buffer& part : parts) {
    out.header.part_sizes.push_back(part.size());
    out.bytes += part.size();
  }
  out.parts = std::move(parts);
  out.ticket = std::move(ticket);
  if (out.bytes > kInlineBytes) {
    const bool reads = (reader_abilities() & kReadsMemory) != 0;
    out.kind = reads && std::ranges::all_of(out.parts, readable_by_others) ? kAnnounced : kBegin;
  }
  std::vector<Out> finished;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    out.header.number = numbers_.next(stream);
    queue(out);
    finished.swap(finished_);
  }
  ends_->bell->ring();
}

void LinkSender::acknowledge(LinkRecord record, std::uint64_t sequence) {
  Out out;
  out.kind = record;
  out.header.number.sequence = sequence;
  std::vector<Out> finished;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    queue(out);
    finished.swap(finished_);
  }
  ends_->bell->ring();
}

void LinkSender::on_acknowledged(LinkRecord record, std::uint64_t sequence) {
  Out gone;  // let go after the lock
  std::lock_guard lock(mutex_);
  auto found = announced_.find(sequence);
  if (found == announced_.end()) return;
  if (!std::exchange(found->second.taken, true)) --untaken_;
  if (record == kTaken) {
    std::swap(gone.ticket, found->second.ticket);
    return;
  }
  gone = std::move(found->second);
  lent_ -= gone.lent;
  announced_.erase(found);
}

void LinkSender::queue(Out& out) {
  if (pending_.empty() && bulk_.empty() && out.kind != kBegin && write(out)) return;
  (out.kind == kBegin ? bulk_ : pending_).push_back(std::move(out));
  pump();
}

bool LinkSender::may_overtake(const Out& out) const {
  if (out.kind == kReleased || out.kind == kTaken || bulk_.empty()) return true;
  const std::uint64_t sequence = out.header.number.sequence;
  const std::uint64_t bulk = bulk_.front().header.number.sequence;
  return sequence < bulk || sequence - bulk < kMaxOvertakingFragments;
}

void LinkSender::pump_waiting() {
  if (!waits_for_room_.load(std::memory_order_relaxed)) return;
  std::vector<Out> finished;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    pump();
    finished.swap(finished_);
  }
  ends_->bell->ring();
}

void LinkSender::pump() {
  more_.store(false, std::memory_order_relaxed);
  for (int fragments = 0;;) {
    if (!pending_.empty() && may_overtake(pending_.front())) {
      if (write(pending_.front())) {
        finished_.push_back(std::move(pending_.front()));
        pending_.pop_front();
        continue;
      }
    } else if (bulk_.empty()) {
      waits_for_room_.store(false, std::memory_order_relaxed);
      return;
    } else if (fragments == kMostFragments) {
      // The rest another time: others want to send, and to be heard.
      more_.store(true, std::memory_order_relaxed);
      waits_for_room_.store(true, std::memory_order_relaxed);
      return wake_by(wake_fd_);
    } else if (write_fragment()) {
      ++fragments;
      continue;
    }
    if (!reader_freed_room()) return;
  }
}

// Called when the ring is full: asks the reader to say when that changes, and looks once more.
bool LinkSender::reader_freed_room() {
  waits_for_room_.store(true, std::memory_order_relaxed);
  auto& asked = ends_->out_control().writer_waits;
  if (asked.load(std::memory_order_relaxed) != 0) return false;
  asked.store(1, std::memory_order_release);
  full_fence();
  return ends_->out_control().tail.load(std::memory_order_relaxed) != writer_.known_tail();
}

bool LinkSender::got_room() const {
  return more_.load(std::memory_order_relaxed) ||
         (waits_for_room_.load(std::memory_order_relaxed) &&
          ends_->out_control().writer_waits.load(std::memory_order_relaxed) == 0);
}

bool LinkSender::write(Out& out) {
  if (out.kind == kWhole) return write_whole(out);
  if (out.kind == kAnnounced) return write_announced(out);
  std::byte* to = writer_.reserve(out.kind, 8);
  if (to == nullptr) return false;
  std::memcpy(to, &out.header.number.sequence, 8);
  writer_.commit();
  return true;
}

bool LinkSender::write_whole(const Out& out) {
  const std::size_t header = frame_header_bytes(out.parts.size());
  std::byte* to = writer_.reserve(kWhole, header + out.bytes);
  if (to == nullptr) return false;
  encode_frame_header(out.header, to);
  to += header;
  for (const Buffer& part : out.parts) to = put(to, part);
  writer_.commit();
  return true;
}

PartPlace LinkSender::place_of(const Buffer& part, std::size_t& lent) const {
  PartPlace place;
  if (part.size() < kPlacedFrom) return place;
  place.where = PartPlace::Where::memory;
  place.at = reinterpret_cast<std::uint64_t>(part.bytes().data());
  if ((reader_abilities() & kMapsBlocks) == 0) return place;
  auto shared = find_shared_part(part.bytes());
  // The receiver maps the whole block, so a small part of a big one is better copied.
  if (!shared || shared->block_bytes > kMostBlockForPart * part.size() ||
      lent_ + lent + shared->block_bytes > kMaxLentBytes) {
    return place;
  }
  lent += shared->block_bytes;
  place = {PartPlace::Where::block, shared->fd, shared->offset, shared->block, shared->block_bytes};
  return place;
}

bool LinkSender::write_announced(Out& out) {
  const std::size_t count = out.parts.size();
  const std::size_t header = frame_header_bytes(count);
  std::vector<PartPlace> places;
  places.reserve(count);
  std::size_t payload = header + count * sizeof(PartPlace);
  out.lent = 0;
  for (const Buffer& part : out.parts) {
    places.push_back(place_of(part, out.lent));
    if (places.back().where == PartPlace::Where::here) payload += part.size();
  }
  std::byte* to = writer_.reserve(kAnnounced, payload);
  if (to == nullptr) return false;
  encode_frame_header(out.header, to);
  to += header;
  if (count != 0) std::memcpy(to, places.data(), count * sizeof(PartPlace));
  to += count * sizeof(PartPlace);
  for (std::size_t i = 0; i < count; ++i) {
    if (places[i].where == PartPlace::Where::here) to = put(to, out.parts[i]);
  }
  lent_ += out.lent;
  ++untaken_;
  const std::uint64_t sequence = out.header.number.sequence;
  announced_.emplace(sequence, std::move(out));  // before the peer can answer
  writer_.commit();
  return true;
}

bool LinkSender::write_fragment() {
  Out& out = bulk_.front();
  if (!bulk_begun_) {
    std::byte* to = writer_.reserve(kBegin, frame_header_bytes(out.parts.size()));
    if (to == nullptr) return false;
    encode_frame_header(out.header, to);
    writer_.commit();
    bulk_begun_ = true;
  }
  const std::size_t bytes = std::min(kFragmentBytes, out.bytes - bulk_sent_);
  std::byte* to = writer_.reserve(kFragment, bytes);
  if (to == nullptr) return false;
  std::size_t skip = bulk_sent_;
  std::size_t left = bytes;
  for (const Buffer& part : out.parts) {
    const std::size_t from = std::min(skip, part.size());
    skip -= from;
    const std::size_t take = std::min(part.size() - from, left);
    if (take != 0) to = put(to, part.slice(from, take));
    left -= take;
  }
  writer_.commit();
  bulk_sent_ += bytes;
  if (bulk_sent_ == out.bytes) {
    finished_.push_back(std::move(out));
    bulk_.pop_front();
    bulk_sent_ = 0;
    bulk_begun_ = false;
  }
  return true;
}

bool LinkSender::drained() const {
  std::lock_guard lock(mutex_);
  return pending_.empty() && bulk_.empty() && untaken_ == 0;
}

void LinkSender::close() {
  std::deque<Out> pending;  // let go after the lock
  std::deque<Out> bulk;
  std::unordered_map<std::uint64_t, Out> announced;
  std::lock_guard lock(mutex_);
  closed_ = true;
  pending.swap(pending_);
  bulk.swap(bulk_);
  announced.swap(announced_);
  // The peer may live and look at what it was lent for as long as it likes.
  for (const auto& entry : announced) {
    if (entry.second.lent == 0) continue;
    for (const Buffer& part : entry.second.parts) retire_block(part.bytes());
  }
}

}  // namespace ds::fabric
