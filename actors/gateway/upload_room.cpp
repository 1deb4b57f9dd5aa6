#include "actors/gateway/upload_room.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <memory>
#include <mutex>
#include <utility>

#include "actors/gateway/session.hpp"

namespace ds::gateway {
namespace {

constexpr std::size_t kRoomStep = 1 << 20;  // so much room at a time is taken for a large body

}  // namespace

std::vector<std::size_t> choose_who_gives_room(std::span<const Upload> uploads, std::size_t missing,
                                               std::chrono::steady_clock::time_point still_since) {
  std::vector<std::size_t> still;
  for (std::size_t i = 0; i < uploads.size(); ++i) {
    if (uploads[i].room > 0 && uploads[i].fed_at <= still_since) still.push_back(i);
  }
  std::ranges::stable_sort(still, {}, [&](std::size_t i) { return uploads[i].fed_at; });
  std::size_t given = 0;
  std::vector<std::size_t> chosen;
  for (const std::size_t i : still) {
    if (given >= missing) break;
    given += uploads[i].room;
    chosen.push_back(i);
  }
  if (given < missing) chosen.clear();
  return chosen;
}

/// Whether there would be room now for a body that is announced. Nothing is taken: who announces much and
/// sends nothing must not keep others out, nor drive them out.
bool Session::has_room(std::size_t bytes) {
  if (bytes <= core_->options.max_body_bytes) return true;
  Sessions others;  // not released under the lock, which their destructors take
  const std::lock_guard lock(core_->mutex);
  const std::size_t wanted = core_->large_bytes + bytes;
  if (wanted <= core_->options.max_large_bytes) return true;
  return !choose_who_gives_room(wanted - core_->options.max_large_bytes, others).empty();
}

/// For a body of which so much has come; where there is none, of bodies that stand still.
bool Session::make_room(std::size_t bytes) {
  if (bytes <= core_->options.max_body_bytes) return true;
  Sessions others;  // as above
  const std::lock_guard lock(core_->mutex);
  if (bytes <= room_) return true;
  const std::size_t whole = parser_->content_length().value_or(limit_);
  const std::size_t wanted = std::min(whole, (bytes / kRoomStep + 1) * kRoomStep);
  const std::size_t taken = core_->large_bytes + wanted - room_;
  if (taken > core_->options.max_large_bytes) {
    const auto chosen = choose_who_gives_room(taken - core_->options.max_large_bytes, others);
    if (chosen.empty()) return false;
    for (const std::size_t i : chosen) others[i]->give_room_up();
  }
  core_->large_bytes += wanted - room_;
  room_ = wanted;
  return true;
}

void Session::note_fed(std::size_t bytes) {
  if (bytes - fed_bytes_ < HttpServerOptions::kLeastFed) return;
  fed_bytes_ = bytes;
  fed_at_ = std::chrono::steady_clock::now();
}

/// Their places in `others`; empty: nobody would. The core's lock is held, so `others` has to outlive it.
std::vector<std::size_t> Session::choose_who_gives_room(std::size_t missing, Sessions& others) const {
  if (core_->stopping) return {};
  std::vector<Upload> uploads;
  for (Session* session : core_->sessions) {
    auto alive = session == this || session->room_ == 0 ? nullptr : session->weak_from_this().lock();
    if (!alive) continue;
    uploads.push_back({session->room_, session->fed_at_});
    others.push_back(std::move(alive));
  }
  return gateway::choose_who_gives_room(uploads, missing,
                                        std::chrono::steady_clock::now() - core_->options.still_time);
}

/// From any thread, with the core's lock held. A body that comes on before its own thread knows of it has to
/// take its room again.
void Session::give_room_up() {
  core_->large_bytes -= room_.exchange(0);
  boost::asio::post(loop_.io, [self = shared_from_this()] {
    if (self->phase_ != Phase::body) return;
    {
      const std::lock_guard lock(self->core_->mutex);
      if (self->room_ > 0) return;
    }
    self->gives_room_ = true;
    boost::system::error_code ignored;
    self->socket_.cancel(ignored);
  });
}

void Session::refuse_large() {
  refuse(503, "unavailable", "too many large requests are under way", "try again in a moment");
}

void Session::give_room_back() {
  if (room_ == 0) return;
  const std::lock_guard lock(core_->mutex);
  core_->large_bytes -= room_.exchange(0);
}

}  // namespace ds::gateway
