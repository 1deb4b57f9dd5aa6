#include "actors/collective/shared_group.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <cstring>
#include <optional>
#include <string_view>

#include "actors/collective/shared_operation.hpp"

namespace ds::collective {

SharedGroup::SharedGroup(std::vector<std::uint32_t> ranks, std::uint32_t me, GroupPlan plan,
                         std::shared_ptr<SharedSegment> control, std::vector<Neighbour> neighbours,
                         std::shared_ptr<SegmentPool> pool)
    : ranks_(std::move(ranks)),
      me_(me),
      plan_(std::move(plan)),
      own_(std::move(control)),
      neighbours_(std::move(neighbours)),
      pool_(std::move(pool)),
      waiting_(static_cast<std::uint32_t>(ranks_.size())),
      known_(ranks_.size()) {
  for (std::uint32_t member = 0; member < size(); ++member) {
    const auto& segment = member == me_ ? own_ : neighbours_[member].control;
    controls_.push_back(reinterpret_cast<ControlHeader*>(segment->bytes().data()));
  }
}

/// Asks the communicator first: what ends the gang knows best why.
class SharedGroup::Watch final : public Interruption {
 public:
  Watch(const SharedGroup& group, Interruption& outer) : group_(group), outer_(outer) {}
  std::optional<Error> interrupted() override {
    if (std::optional<Error> why = outer_.interrupted()) return why;
    return group_.lost_neighbour();
  }

 private:
  const SharedGroup& group_;
  Interruption& outer_;
};

Result<void> SharedGroup::run(const Task& task, Interruption& interruption) {
  Watch watch(*this, interruption);
  if (task.failure) write_error(*task.failure);
  const Result<std::uint32_t> slot = take_slot(watch);
  if (!slot) return tl::unexpected(slot.error());
  Result<void> done = SharedOperation(*this, task, *slot, watch).run();
  free_slot(*slot);
  return done;
}

void SharedGroup::abort(const Error& why) {
  write_error(why);
  control(me_).aborted.store(1, std::memory_order_release);
}

std::optional<Error> SharedGroup::lost_neighbour() const {
  std::array<pollfd, kMaxGroup> sockets;
  std::array<std::uint32_t, kMaxGroup> members{};
  nfds_t count = 0;
  for (std::uint32_t member = 0; member < size(); ++member) {
    if (member == me_) continue;
    if (control(member).aborted.load(std::memory_order_acquire) != 0) return read_error(member);
    members[count] = member;
    sockets[count++] = {neighbours_[member].socket.descriptor(), 0, 0};
  }
  if (poll(sockets.data(), count, 0) <= 0) return std::nullopt;
  for (nfds_t i = 0; i < count; ++i) {
    if ((sockets[i].revents & (POLLHUP | POLLERR)) == 0) continue;
    return Error{ErrorCode::unavailable,
                 fmt::format("rank {} is gone: its process ended or it left the gang", ranks_[members[i]]),
                 {}};
  }
  return std::nullopt;
}

void SharedGroup::write_error(const Error& why) {
  const std::lock_guard lock(error_mutex_);
  if (error_written_) return;  // peers may be reading it; the first reason stays
  error_written_ = true;
  ControlHeader& own = control(me_);
  const std::string_view message = std::string_view(why.message).substr(0, ControlHeader::kTextBytes / 2);
  const std::string_view hint = std::string_view(why.hint).substr(0, ControlHeader::kTextBytes / 2);
  own.error_code = static_cast<std::uint32_t>(why.code);
  own.message_bytes = static_cast<std::uint32_t>(message.size());
  own.hint_bytes = static_cast<std::uint32_t>(hint.size());
  message.copy(own.texts, message.size());
  hint.copy(own.texts + message.size(), hint.size());
}

Error SharedGroup::read_error(std::uint32_t member) const {
  const ControlHeader& from = control(member);
  const std::size_t message = std::min<std::size_t>(from.message_bytes, ControlHeader::kTextBytes / 2);
  const std::size_t hint = std::min<std::size_t>(from.hint_bytes, ControlHeader::kTextBytes / 2);
  const auto code = std::min(from.error_code, static_cast<std::uint32_t>(ErrorCode::internal));
  return {static_cast<ErrorCode>(code), std::string(from.texts, message),
          std::string(from.texts + message, hint)};
}

Result<std::uint32_t> SharedGroup::take_slot(Interruption& interruption) {
  std::uint32_t slot = 0;
  if (try_take_slot(slot)) return slot;
  // All are held by operations, or by ones that peers are not yet done with; those end by themselves.
  Result<void> free = waiting_.until(control(me_).posted, interruption, [&] { return try_take_slot(slot); });
  if (!free) return tl::unexpected(free.error());
  return slot;
}

bool SharedGroup::try_take_slot(std::uint32_t& slot) {
  const auto acknowledged = [&](std::uint32_t at) {
    for (std::uint32_t member = 0; member < size(); ++member) {
      if (member == me_) continue;
      const auto& uses = control(me_).slots[at].acknowledged[member];
      if (uses.load(std::memory_order_acquire) != uses_[at]) return false;
    }
    return true;
  };
  const std::lock_guard lock(slots_mutex_);
  // The lowest, so that few are used and their memory stays in the caches.
  for (std::uint32_t at = 0; at < kMaxOperationsInFlight; ++at) {
    if (busy_[at] || !acknowledged(at)) continue;
    busy_[at] = true;
    ++uses_[at];
    control(me_).slots[at].use = uses_[at];
    slot = at;
    return true;
  }
  return false;
}

void SharedGroup::free_slot(std::uint32_t slot) {
  const std::lock_guard lock(slots_mutex_);
  busy_[slot] = false;
}

Result<void> SharedGroup::announce() {
  const std::lock_guard lock(segments_mutex_);
  for (const std::size_t count = pool_->count(); announced_ < count; ++announced_) {
    const auto segment = pool_->at(announced_);
    const Result<fabric::OwnedFd> memory = segment->duplicate();
    if (!memory) return tl::unexpected(memory.error());
    for (std::uint32_t member = 0; member < size(); ++member) {
      if (member == me_) continue;
      Result<void> sent = neighbours_[member].socket.send(*memory, static_cast<std::uint32_t>(announced_),
                                                          segment->bytes().size());
      if (!sent) return sent;
    }
  }
  return {};
}

Result<std::byte*> SharedGroup::resolve(std::uint32_t member, const SegmentPlace& place, std::size_t bytes) {
  const std::lock_guard lock(segments_mutex_);
  auto& known = known_[member];
  // It was sent before anything could name it.
  while (known.size() <= place.segment) {
    const Result<SentSegment> sent = neighbours_[member].socket.receive(std::chrono::milliseconds(0));
    if (!sent) return tl::unexpected(sent.error());
    if (sent->number != known.size() || known.size() == SegmentPool::kMaxSegments)
      return fail(ErrorCode::internal, fmt::format("rank {} sent a segment out of turn", ranks_[member]));
    auto segment = SharedSegment::open(sent->memory, sent->bytes);
    if (!segment) return tl::unexpected(segment.error());
    // Page tables only, the pages are there; better now than one fault after another.
    if (Result<void> touched = (*segment)->touch((*segment)->bytes().size()); !touched)
      return tl::unexpected(touched.error());
    known.push_back(*std::move(segment));
  }
  const std::span<std::byte> memory = known[place.segment]->bytes();
  if (place.offset > memory.size() || bytes > memory.size() - place.offset)
    return fail(ErrorCode::internal,
                fmt::format("rank {} named memory that it does not share", ranks_[member]));
  return memory.data() + place.offset;
}

}  // namespace ds::collective
