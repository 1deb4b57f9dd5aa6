#include "actors/fabric/local_link.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "actors/fabric/block_pool.hpp"

namespace ds::fabric {
namespace {

constexpr std::size_t kByAddressFrom = 1024;  // smaller parts are copied into the announcement
constexpr std::size_t kFragmentBytes = std::size_t{32} << 10;
constexpr std::size_t kSliceBytes = std::size_t{256} << 10;  // read at a time; some ten microseconds
constexpr std::size_t kPollBytes = std::size_t{1} << 20;     // read in one call of `poll`
constexpr int kPollRecords = 512;
// In fragments a frame is overtaken less far than the receiver allows, so that it always goes on reading.
constexpr std::uint64_t kMaxOvertakingFragments = kMaxOvertaking / 2;

tl::unexpected<Error> malformed(const char* what) {
  return fail(ErrorCode::invalid_argument, what);
}

void wake(int fd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] auto written = ::write(fd, &one, sizeof(one));
}

}  // namespace

void PeerBell::wake() {
  ds::fabric::wake(doorbell_.get());
}

LocalLink::LocalLink(LinkSurroundings& surroundings, LinkEnds ends, ProcessAddress peer)
    : surroundings_(surroundings),
      ends_(std::move(ends)),
      peer_(std::move(peer)),
      writer_(out_control(), ring_memory(ends_.client)),
      reader_(in_control(), ring_memory(!ends_.client)) {
  in_control().reader_fetches.store(ends_.reads_peer ? 1 : 0, std::memory_order_release);
}

LocalLink::~LocalLink() = default;

std::span<std::byte> LocalLink::ring_memory(bool to_server) const {
  return ends_.memory.bytes().subspan(sizeof(LinkMemory) + (to_server ? 0 : LinkMemory::kRingBytes),
                                      LinkMemory::kRingBytes);
}

// ---- sending ------------------------------------------------------------------------------------

void LocalLink::send(FrameType type, std::uint8_t channel, Stream stream, Transport::Parts parts,
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
    const bool reads = out_control().reader_fetches.load(std::memory_order_acquire) != 0;
    out.kind = reads ? kAnnounced : kBegin;
  }
  {
    std::lock_guard lock(send_mutex_);
    if (closed_out_) return;
    out.header.number = numbers_.next(stream);
    queue(std::move(out));
  }
  ends_.bell->ring();
}

void LocalLink::queue(Out out) {
  if (pending_.empty() && bulk_.empty() && out.kind != kBegin && write(out)) return;
  (out.kind == kBegin ? bulk_ : pending_).push_back(std::move(out));
  pump();
}

bool LocalLink::may_overtake(const Out& out) const {
  return out.kind == kReleased || bulk_.empty() ||
         out.header.number.sequence - bulk_.front().header.number.sequence < kMaxOvertakingFragments;
}

void LocalLink::pump() {
  for (;;) {
    if (!pending_.empty() && may_overtake(pending_.front())) {
      if (write(pending_.front())) {
        pending_.pop_front();
        continue;
      }
    } else if (bulk_.empty()) {
      waits_for_room_.store(false, std::memory_order_relaxed);
      return;
    } else if (write_fragment()) {
      continue;
    }
    if (!reader_freed_room()) return;
  }
}

// Called when the ring is full: asks the reader to say when that changes, and looks once more.
bool LocalLink::reader_freed_room() {
  waits_for_room_.store(true, std::memory_order_relaxed);
  auto& asked = out_control().writer_waits;
  if (asked.load(std::memory_order_relaxed) != 0) return false;
  const std::uint64_t before = out_control().tail.load(std::memory_order_relaxed);
  asked.store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return out_control().tail.load(std::memory_order_relaxed) != before;
}

bool LocalLink::write(Out& out) {
  if (out.kind == kReleased) {
    std::byte* to = writer_.reserve(kReleased, 8);
    if (to == nullptr) return false;
    std::memcpy(to, &out.header.number.sequence, 8);
    writer_.commit();
    return true;
  }
  const std::size_t count = out.parts.size();
  const bool announced = out.kind == kAnnounced;
  const auto inlined = [announced](const Buffer& part) {
    return !announced || part.size() < kByAddressFrom;
  };
  std::size_t payload = frame_header_bytes(count) + (announced ? 8 * count : 0);
  for (const Buffer& part : out.parts) payload += inlined(part) ? part.size() : 0;
  std::byte* to = writer_.reserve(out.kind, payload);
  if (to == nullptr) return false;
  encode_frame_header(out.header, to);
  to += frame_header_bytes(count);
  for (std::size_t i = 0; announced && i < count; ++i, to += 8) {
    const auto address = inlined(out.parts[i]) ? nullptr : out.parts[i].bytes().data();
    std::memcpy(to, &address, 8);
  }
  for (const Buffer& part : out.parts) {
    if (!inlined(part) || part.empty()) continue;
    std::memcpy(to, part.bytes().data(), part.size());
    to += part.size();
  }
  const std::uint64_t sequence = out.header.number.sequence;
  if (announced) announced_.emplace(sequence, std::move(out));  // before the peer can answer
  writer_.commit();
  return true;
}

bool LocalLink::write_fragment() {
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
    if (left == 0) break;
    const std::size_t from = std::min(skip, part.size());
    skip -= from;
    const std::size_t take = std::min(part.size() - from, left);
    if (take != 0) std::memcpy(to, part.bytes().data() + from, take);
    to += take;
    left -= take;
  }
  writer_.commit();
  bulk_sent_ += bytes;
  if (bulk_sent_ == out.bytes) {
    bulk_.pop_front();
    bulk_sent_ = 0;
    bulk_begun_ = false;
  }
  return true;
}

bool LocalLink::drained() const {
  std::lock_guard lock(send_mutex_);
  return pending_.empty() && bulk_.empty() && announced_.empty();
}

// ---- receiving ----------------------------------------------------------------------------------

bool LocalLink::idle() const {
  const bool room_was_freed = waits_for_room_.load(std::memory_order_relaxed) &&
                              out_control().writer_waits.load(std::memory_order_relaxed) == 0;
  return reader_.empty() && !fetching_.load(std::memory_order_relaxed) && !room_was_freed;
}

bool LocalLink::poll() {
  if (waits_for_room_.load(std::memory_order_relaxed)) {
    std::lock_guard lock(send_mutex_);
    if (!closed_out_) pump();
  }
  std::lock_guard lock(receive_mutex_);
  if (closed_in_ || trouble_.ending != Ending::none) return false;
  bool worked = read_records();
  std::size_t budget = kPollBytes;
  while (!fetches_.empty() && budget != 0 && trouble_.ending == Ending::none) {
    if (auto fetched = fetch_some(budget); !fetched) say(Ending::broken, fetched.error());
    read_records();
    worked = true;
  }
  fetching_.store(!fetches_.empty(), std::memory_order_relaxed);
  tell_writer();
  return worked;
}

bool LocalLink::read_records() {
  int records = 0;
  while (records < kPollRecords && trouble_.ending == Ending::none &&
         next_seen_ - order_.low() < kMaxOvertaking) {
    auto record = reader_.peek();
    if (!record) break;
    if (auto read = read_record(*record); !read) say(Ending::broken, read.error());
    reader_.pop();
    ++records;
  }
  if (reader_.corrupt() && trouble_.ending == Ending::none) {
    say(Ending::broken, {ErrorCode::invalid_argument, "its ring holds no records any more", {}});
  }
  return records != 0;
}

Result<void> LocalLink::read_record(const RingReader::Record& record) {
  std::span<const std::byte> payload = record.payload;
  switch (record.kind) {
    case kWhole:
      return read_whole(payload);
    case kAnnounced:
      return read_announced(payload);
    case kBegin: {
      if (assembly_) return malformed("a frame begins within another");
      auto header = read_header(payload);
      if (!header) return tl::unexpected(header.error());
      const std::size_t bytes = header->total_bytes();
      assembly_ = Assembly{std::move(*header), take_block(bytes), 0, bytes};
      return {};
    }
    case kFragment:
      return read_fragment(payload);
    case kReleased: {
      if (payload.size() != 8) return malformed("a malformed release");
      std::uint64_t sequence = 0;
      std::memcpy(&sequence, payload.data(), 8);
      decltype(announced_)::node_type gone;  // let go after the lock
      std::lock_guard lock(send_mutex_);
      gone = announced_.extract(sequence);
      return {};
    }
    default:
      return malformed("a record of unknown kind");
  }
}

// The ring's bytes can change while they are read: what was checked is what was copied.
Result<FrameHeader> LocalLink::read_header(std::span<const std::byte>& payload) const {
  std::byte copy[frame_header_bytes(kMaxParts)];
  if (payload.size() < frame_header_bytes(0)) return malformed("a frame without header");
  const std::size_t parts = std::to_integer<std::size_t>(payload[3]);
  const std::size_t size = frame_header_bytes(parts);
  if (parts > kMaxParts || size > payload.size()) return malformed("a frame without header");
  std::memcpy(copy, payload.data(), size);
  payload = payload.subspan(size);
  return decode_frame_header({copy, size}, surroundings_.max_frame_bytes);
}

Result<void> LocalLink::read_whole(std::span<const std::byte> payload) {
  auto header = read_header(payload);
  if (!header) return tl::unexpected(header.error());
  if (header->total_bytes() != payload.size()) return malformed("its part sizes are not the frame's");
  return take_in({std::move(*header), Buffer::copy_of(payload)});
}

Result<void> LocalLink::read_announced(std::span<const std::byte> payload) {
  auto header = read_header(payload);
  if (!header) return tl::unexpected(header.error());
  if (!ends_.reads_peer) return malformed("it announces memory that can't be read");
  const std::size_t parts = header->part_sizes.size();
  if (payload.size() < 8 * parts) return malformed("an announcement without addresses");
  Fetch fetch;
  fetch.addresses.resize(parts);
  std::memcpy(fetch.addresses.data(), payload.data(), 8 * parts);
  payload = payload.subspan(8 * parts);
  std::size_t small = 0;
  for (std::size_t i = 0; i < parts; ++i) small += fetch.addresses[i] == 0 ? header->part_sizes[i] : 0;
  if (small != payload.size()) return malformed("its part sizes are not the announcement's");
  fetch.small.assign(payload.begin(), payload.end());
  next_seen_ = std::max(next_seen_, header->number.sequence + 1);
  fetch.header = std::move(*header);
  fetches_.push_back(std::move(fetch));
  return {};
}

Result<void> LocalLink::read_fragment(std::span<const std::byte> payload) {
  if (!assembly_ || payload.empty() || payload.size() > assembly_->bytes - assembly_->filled) {
    return malformed("a fragment of no frame");
  }
  std::memcpy(assembly_->block.get() + assembly_->filled, payload.data(), payload.size());
  assembly_->filled += payload.size();
  if (assembly_->filled != assembly_->bytes) return {};
  const std::span<const std::byte> bytes(assembly_->block.get(), assembly_->bytes);
  In frame{std::move(assembly_->header), Buffer(std::move(assembly_->block), bytes)};
  assembly_.reset();
  return take_in(std::move(frame));
}

Result<void> LocalLink::take_in(In frame) {
  const FrameNumber number = frame.header.number;
  next_seen_ = std::max(next_seen_, number.sequence + 1);
  switch (order_.put(number, frame)) {
    case FrameOrder<In>::Place::refused:
      return malformed("a frame's sequence number repeats or jumps");
    case FrameOrder<In>::Place::waits:
      return {};
    case FrameOrder<In>::Place::ready:
      break;
  }
  handle(frame);
  order_.handled(number);
  while (order_.waiting() != 0) {
    auto next = order_.take_ready();
    if (!next) break;
    handle(next->second);
    order_.handled(next->first);
  }
  return {};
}

void LocalLink::handle(In& frame) {
  if (trouble_.ending != Ending::none) return;
  if (frame.header.type == FrameType::goodbye) {
    return say(Ending::goodbye, {ErrorCode::unavailable, "the process ended", {}});
  }
  const auto channel = static_cast<Channel>(frame.header.channel);
  if (frame.header.type != FrameType::data ||
      (channel != Channel::actors && channel != Channel::collective)) {
    return say(Ending::broken, {ErrorCode::invalid_argument, "a frame out of turn", {}});
  }
  Transport::Parts parts;
  parts.reserve(frame.header.part_sizes.size());
  std::size_t offset = 0;
  for (std::uint64_t size : frame.header.part_sizes) {
    parts.push_back(frame.block.slice(offset, size));
    offset += size;
  }
  if (surroundings_.handlers.deliver(channel, peer_, std::move(parts))) {
    surroundings_.delivered.fetch_add(1, std::memory_order_relaxed);
  } else {
    spdlog::debug("fabric: dropped a frame for channel {}, which nobody handles", frame.header.channel);
  }
}

// ---- reading the peer's memory ------------------------------------------------------------------

bool LocalLink::peer_is_gone() const {
  pollfd socket{ends_.socket.get(), POLLRDHUP, 0};
  return ::poll(&socket, 1, 0) > 0 && (socket.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

Result<void> LocalLink::start_fetch(Fetch& fetch) {
  const std::size_t bytes = fetch.header.total_bytes();
  try {
    fetch.block = take_block(bytes);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::resource_exhausted, fmt::format("no memory for a frame of {} bytes", bytes));
  }
  std::size_t at = 0;
  std::size_t in_small = 0;
  for (std::size_t i = 0; i < fetch.addresses.size(); ++i) {
    const std::size_t size = fetch.header.part_sizes[i];
    if (fetch.addresses[i] == 0 && size != 0) {
      std::memcpy(fetch.block.get() + at, fetch.small.data() + in_small, size);
      in_small += size;
    }
    at += size;
  }
  return {};
}

// False when every part is.
bool LocalLink::skip_what_is_there(Fetch& fetch) {
  for (; fetch.part < fetch.addresses.size(); ++fetch.part) {
    const std::size_t size = fetch.header.part_sizes[fetch.part];
    if (fetch.addresses[fetch.part] != 0 && fetch.in_part != size) return true;
    fetch.filled += size - fetch.in_part;
    fetch.in_part = 0;
  }
  return false;
}

Result<void> LocalLink::fetch_some(std::size_t& budget) {
  Fetch& fetch = fetches_.front();
  if (!fetch.block) {
    if (auto started = start_fetch(fetch); !started) return started;
  }
  std::size_t left = std::min(kSliceBytes, budget);
  while (skip_what_is_there(fetch)) {
    if (left == 0) return {};
    const std::size_t size = fetch.header.part_sizes[fetch.part];
    const iovec to{fetch.block.get() + fetch.filled, std::min(left, size - fetch.in_part)};
    const iovec from{reinterpret_cast<void*>(fetch.addresses[fetch.part] + fetch.in_part), to.iov_len};
    const ssize_t count = ::process_vm_readv(ends_.pid, &to, 1, &from, 1, 0);
    if (count <= 0) {
      return fail(ErrorCode::unavailable, fmt::format("reading its memory: {}", std::strerror(errno)));
    }
    const auto read = static_cast<std::size_t>(count);
    fetch.in_part += read;
    fetch.filled += read;
    left -= read;
    budget -= read;
  }
  // Its process number may belong to somebody else once it has ended, and it may reuse the memory once it has
  // given us up; in both cases the socket hung up before.
  if (peer_is_gone()) return fail(ErrorCode::unavailable, "the process ended");
  Fetch whole = std::move(fetch);
  fetches_.pop_front();
  release(whole.header.number.sequence);
  const std::span<const std::byte> bytes(whole.block.get(), whole.filled);
  return take_in({std::move(whole.header), Buffer(std::move(whole.block), bytes)});
}

void LocalLink::release(std::uint64_t sequence) {
  Out out;
  out.kind = kReleased;
  out.header.number.sequence = sequence;
  {
    std::lock_guard lock(send_mutex_);
    if (closed_out_) return;
    queue(std::move(out));
  }
  ends_.bell->ring();
}

void LocalLink::tell_writer() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  auto& asked = in_control().writer_waits;
  if (asked.load(std::memory_order_relaxed) != 0 && asked.exchange(0) != 0) ends_.bell->ring();
}

// ---- the end ------------------------------------------------------------------------------------

void LocalLink::say(Ending ending, Error why) {
  trouble_ = {ending, std::move(why)};
  surroundings_.attention.store(true);
  wake(surroundings_.wake_fd);
}

LocalLink::Trouble LocalLink::trouble() {
  std::lock_guard lock(receive_mutex_);
  return trouble_;
}

void LocalLink::close() {
  // First, so that a peer that still reads our memory sees that what it got is worthless.
  ::shutdown(ends_.socket.get(), SHUT_RDWR);
  std::deque<Out> pending;
  std::deque<Out> bulk;
  std::unordered_map<std::uint64_t, Out> announced;
  {
    std::lock_guard lock(send_mutex_);
    closed_out_ = true;
    pending.swap(pending_);
    bulk.swap(bulk_);
    announced.swap(announced_);
  }
  std::lock_guard lock(receive_mutex_);
  closed_in_ = true;
  fetches_.clear();
  assembly_.reset();
}

}  // namespace ds::fabric
