#include "actors/fabric/link_receiver.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "actors/fabric/block_pool.hpp"

namespace ds::fabric {
namespace {

constexpr std::size_t kSliceBytes = std::size_t{256} << 10;  // read at a time; some ten microseconds
constexpr std::size_t kPollBytes = std::size_t{1} << 20;     // read in one call of `poll`
constexpr int kPollRecords = 512;                            // likewise: its thread has a heart to beat

tl::unexpected<Error> malformed(const char* what) {
  return fail(ErrorCode::invalid_argument, what);
}

Transport::Parts cut(const FrameHeader& header, const Buffer& block) {
  Transport::Parts parts;
  parts.reserve(header.part_sizes.size());
  std::size_t offset = 0;
  for (std::uint64_t size : header.part_sizes) {
    parts.push_back(block.slice(offset, size));
    offset += size;
  }
  return parts;
}

Result<std::shared_ptr<std::byte[]>> take(std::size_t bytes) {
  try {
    return take_block(bytes);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::resource_exhausted, fmt::format("no memory for a frame of {} bytes", bytes));
  }
}

}  // namespace

// Ends with the last buffer of a frame's lent memory.
class LinkReceiver::Loan {
 public:
  Loan(const std::shared_ptr<LinkSender>& sender, std::uint64_t sequence)
      : sender_(sender), sequence_(sequence) {}
  ~Loan() {
    if (auto sender = sender_.lock()) sender->acknowledge(kReleased, sequence_);
  }
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;

 private:
  const std::weak_ptr<LinkSender> sender_;
  const std::uint64_t sequence_;
};

LinkReceiver::LinkReceiver(LinkSurroundings& surroundings, std::shared_ptr<LinkEnds> ends,
                           std::shared_ptr<LinkSender> sender, ProcessAddress peer)
    : surroundings_(surroundings),
      ends_(std::move(ends)),
      sender_(std::move(sender)),
      peer_(std::move(peer)),
      reader_(ends_->in_control(), ends_->in_ring()) {
  ends_->in_control().reader_abilities.store(ends_->abilities, std::memory_order_release);
}

bool LinkReceiver::poll() {
  std::lock_guard lock(mutex_);
  if (closed_ || ending_.kind != LinkEnding::Kind::none) return false;
  int records = kPollRecords;
  bool worked = read_records(records);
  std::size_t budget = kPollBytes;
  // Between two slices of something big, what is small goes on.
  while (!fetches_.empty() && budget != 0 && ending_.kind == LinkEnding::Kind::none) {
    if (auto fetched = fetch_some(budget); !fetched) end(LinkEnding::Kind::broken, fetched.error());
    read_records(records);
    worked = true;
  }
  if (next_seen_ - order_.low() >= kMaxOvertaking && fetches_.empty() && !assembly_ &&
      ending_.kind == LinkEnding::Kind::none) {
    end(LinkEnding::Kind::broken, {ErrorCode::invalid_argument, "it left a frame out", {}});
  }
  fetching_.store(!fetches_.empty(), std::memory_order_relaxed);
  tell_writer();
  return worked;
}

// ---- records ------------------------------------------------------------------------------------

// Reads `most` records, which it counts down; false when there was none.
bool LinkReceiver::read_records(int& most) {
  bool worked = false;
  while (most > 0 && ending_.kind == LinkEnding::Kind::none && next_seen_ - order_.low() < kMaxOvertaking) {
    auto record = reader_.peek();
    if (!record) break;
    if (auto read = read_record(*record); !read) end(LinkEnding::Kind::broken, read.error());
    reader_.pop();
    --most;
    worked = true;
  }
  if (reader_.corrupt() && ending_.kind == LinkEnding::Kind::none) {
    end(LinkEnding::Kind::broken, {ErrorCode::invalid_argument, "its ring holds no records any more", {}});
  }
  return worked;
}

Result<void> LinkReceiver::read_record(const RingReader::Record& record) {
  switch (record.kind) {
    case kWhole:
      return read_whole(record.payload);
    case kAnnounced:
      return read_announced(record.payload);
    case kBegin:
      return begin_assembly(record.payload);
    case kFragment:
      return read_fragment(record.payload);
    case kTaken:
    case kReleased:
      return read_acknowledgement(static_cast<LinkRecord>(record.kind), record.payload);
    default:
      return malformed("a record of unknown kind");
  }
}

// The ring's bytes can change while they are read: what is checked is a copy.
Result<FrameHeader> LinkReceiver::read_header(std::span<const std::byte>& payload) const {
  std::byte copy[frame_header_bytes(kMaxParts)];
  if (payload.size() < frame_header_bytes(0)) return malformed("a frame without header");
  const auto parts = std::to_integer<std::size_t>(payload[3]);
  const std::size_t size = frame_header_bytes(parts);
  if (parts > kMaxParts || size > payload.size()) return malformed("a frame without header");
  std::memcpy(copy, payload.data(), size);
  payload = payload.subspan(size);
  return decode_frame_header({copy, size}, surroundings_.max_frame_bytes);
}

Result<void> LinkReceiver::read_whole(std::span<const std::byte> payload) {
  auto header = read_header(payload);
  if (!header) return tl::unexpected(header.error());
  if (header->total_bytes() != payload.size()) return malformed("its part sizes are not the frame's");
  Transport::Parts parts = cut(*header, Buffer::copy_of(payload));
  return take_in({std::move(*header), std::move(parts)});
}

Result<void> LinkReceiver::read_announced(std::span<const std::byte> payload) {
  auto header = read_header(payload);
  if (!header) return tl::unexpected(header.error());
  if ((ends_->abilities & kReadsMemory) == 0) return malformed("it announces memory that can't be read");
  const std::size_t count = header->part_sizes.size();
  if (payload.size() < count * sizeof(PartPlace)) return malformed("an announcement without places");
  Fetch fetch;
  fetch.places.resize(count);
  if (count != 0) std::memcpy(fetch.places.data(), payload.data(), count * sizeof(PartPlace));
  payload = payload.subspan(count * sizeof(PartPlace));
  std::size_t small = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (fetch.places[i].where == PartPlace::Where::here) small += header->part_sizes[i];
  }
  if (small != payload.size()) return malformed("its part sizes are not the announcement's");
  fetch.small = Buffer::copy_of(payload);
  next_seen_ = std::max(next_seen_, header->number.sequence + 1);
  fetch.header = std::move(*header);
  fetches_.push_back(std::move(fetch));
  return {};
}

Result<void> LinkReceiver::begin_assembly(std::span<const std::byte> payload) {
  if (assembly_) return malformed("a frame begins within another");
  auto header = read_header(payload);
  if (!header) return tl::unexpected(header.error());
  const std::size_t bytes = header->total_bytes();
  auto block = take(bytes);
  if (!block) return tl::unexpected(block.error());
  assembly_ = Assembly{std::move(*header), std::move(*block), 0, bytes};
  return {};
}

Result<void> LinkReceiver::read_fragment(std::span<const std::byte> payload) {
  if (!assembly_ || payload.empty() || payload.size() > assembly_->bytes - assembly_->filled) {
    return malformed("a fragment of no frame");
  }
  std::memcpy(assembly_->block.get() + assembly_->filled, payload.data(), payload.size());
  assembly_->filled += payload.size();
  if (assembly_->filled != assembly_->bytes) return {};
  Assembly whole = std::move(*assembly_);
  assembly_.reset();
  const std::span<const std::byte> bytes(whole.block.get(), whole.bytes);
  Transport::Parts parts = cut(whole.header, Buffer(std::move(whole.block), bytes));
  return take_in({std::move(whole.header), std::move(parts)});
}

Result<void> LinkReceiver::read_acknowledgement(LinkRecord kind, std::span<const std::byte> payload) {
  if (payload.size() != 8) return malformed("a malformed acknowledgement");
  std::uint64_t sequence = 0;
  std::memcpy(&sequence, payload.data(), 8);
  sender_->on_acknowledged(kind, sequence);
  return {};
}

// ---- parts that are elsewhere -------------------------------------------------------------------

Result<void> LinkReceiver::fetch_some(std::size_t& budget) {
  Fetch& fetch = fetches_.front();
  while (fetch.parts.size() < fetch.places.size()) {
    const PartPlace& place = fetch.places[fetch.parts.size()];
    const std::size_t size = fetch.header.part_sizes[fetch.parts.size()];
    if (place.where == PartPlace::Where::here) {
      fetch.parts.push_back(fetch.small.slice(fetch.in_small, size));
      fetch.in_small += size;
    } else if (place.where == PartPlace::Where::block) {
      if (auto borrowed = borrow(fetch, place, size); !borrowed) return borrowed;
    } else {
      auto complete = read_memory(fetch, place, size, budget);
      if (!complete) return tl::unexpected(complete.error());
      if (!*complete) return {};
    }
  }
  // Its process number may belong to somebody else once it has ended, and it may reuse the memory once it has
  // given us up; in both cases the socket hung up before.
  if (ends_->peer_is_gone()) return fail(ErrorCode::unavailable, "the process ended");
  Fetch whole = std::move(fetch);
  fetches_.pop_front();
  const bool lent = whole.loan != nullptr;
  if (!lent) sender_->acknowledge(kReleased, whole.header.number.sequence);
  return take_in({std::move(whole.header), std::move(whole.parts), lent});
}

Result<void> LinkReceiver::borrow(Fetch& fetch, const PartPlace& place, std::size_t size) {
  if ((ends_->abilities & kMapsBlocks) == 0) return malformed("it lends a block that can't be mapped");
  if (place.block_bytes > kMostBlockForPart * size) return malformed("it lends far more than the part needs");
  if (place.at > place.block_bytes || size > place.block_bytes - place.at) {
    return malformed("it lends more than the block has");
  }
  auto mapping = lent_memory_.map(place, *ends_);
  if (!mapping) return tl::unexpected(mapping.error());
  if (!fetch.loan) {
    fetch.loan = std::make_shared<Loan>(sender_, fetch.header.number.sequence);
  }
  struct Lent {
    LentMemory::Mapping mapping;
    std::shared_ptr<Loan> loan;
  };
  auto owner = std::make_shared<Lent>(Lent{*mapping, fetch.loan});
  fetch.parts.emplace_back(std::move(owner), (*mapping)->subspan(place.at, size));
  return {};
}

// True when the part is whole; false: there is more for another time.
Result<bool> LinkReceiver::read_memory(Fetch& fetch, const PartPlace& place, std::size_t size,
                                       std::size_t& budget) {
  if (!fetch.block) {
    auto block = take(size);
    if (!block) return tl::unexpected(block.error());
    fetch.block = std::move(*block);
  }
  std::size_t slice = std::min({kSliceBytes, budget, size - fetch.in_part});
  while (slice != 0) {
    const iovec to{fetch.block.get() + fetch.in_part, slice};
    const iovec from{reinterpret_cast<void*>(place.at + fetch.in_part), slice};
    const ssize_t count = ::process_vm_readv(ends_->pid, &to, 1, &from, 1, 0);
    if (count <= 0) {
      return fail(ErrorCode::unavailable, fmt::format("reading its memory: {}", std::strerror(errno)));
    }
    fetch.in_part += static_cast<std::size_t>(count);
    slice -= static_cast<std::size_t>(count);
    budget -= static_cast<std::size_t>(count);
  }
  if (fetch.in_part != size) return false;
  const std::span<const std::byte> bytes(fetch.block.get(), size);
  fetch.parts.emplace_back(std::exchange(fetch.block, nullptr), bytes);
  fetch.in_part = 0;
  return true;
}

// ---- frames -------------------------------------------------------------------------------------

Result<void> LinkReceiver::take_in(In frame) {
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

void LinkReceiver::handle(In& frame) {
  if (ending_.kind != LinkEnding::Kind::none) return;
  if (frame.header.type == FrameType::goodbye) {
    return end(LinkEnding::Kind::goodbye, {ErrorCode::unavailable, "the process ended", {}});
  }
  const auto channel = static_cast<Channel>(frame.header.channel);
  if (frame.header.type != FrameType::data ||
      (channel != Channel::actors && channel != Channel::collective)) {
    return end(LinkEnding::Kind::broken, {ErrorCode::invalid_argument, "a frame out of turn", {}});
  }
  if (frame.lent) sender_->acknowledge(kTaken, frame.header.number.sequence);
  if (surroundings_.closing) return;
  if (surroundings_.handlers.deliver(channel, peer_, std::move(frame.parts))) {
    surroundings_.delivered.fetch_add(1, std::memory_order_relaxed);
  } else {
    spdlog::debug("fabric: dropped a frame for channel {}, which nobody handles", frame.header.channel);
  }
}

void LinkReceiver::tell_writer() {
  full_fence();
  auto& asked = ends_->in_control().writer_waits;
  if (asked.load(std::memory_order_relaxed) != 0 && asked.exchange(0) != 0) ends_->bell->ring();
}

// ---- the end ------------------------------------------------------------------------------------

void LinkReceiver::end(LinkEnding::Kind kind, Error why) {
  ending_ = {kind, std::move(why)};
  surroundings_.attention.store(true);
  wake_by(surroundings_.wake_fd);
}

LinkEnding LinkReceiver::ending() {
  std::lock_guard lock(mutex_);
  return ending_;
}

void LinkReceiver::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  fetches_.clear();
  assembly_.reset();
}

}  // namespace ds::fabric
