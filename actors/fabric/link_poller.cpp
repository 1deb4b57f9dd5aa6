#include "actors/fabric/link_poller.hpp"

#include <algorithm>

namespace ds::fabric {
namespace {

constexpr int kMostRounds = 4096;

}  // namespace

void LinkPoller::add(std::shared_ptr<LocalLink> link) {
  std::lock_guard lock(links_mutex_);
  links_.push_back(std::move(link));
  count_ = links_.size();
  ++changes_;
}

void LinkPoller::remove(const LocalLink& link) {
  std::lock_guard lock(links_mutex_);
  std::erase_if(links_, [&](const auto& one) { return one.get() == &link; });
  count_ = links_.size();
  ++changes_;
}

// Under poll_mutex_. A copy, because links come and go while they are polled.
const LinkPoller::Links& LinkPoller::current() {
  if (changes_.load(std::memory_order_acquire) != seen_changes_) {
    std::lock_guard lock(links_mutex_);
    seen_ = links_;
    seen_changes_ = changes_;
  }
  return seen_;
}

bool LinkPoller::poll() {
  std::unique_lock lock(poll_mutex_, std::try_to_lock);
  if (!lock) return false;
  bool worked = false;
  for (const auto& link : current()) {
    if (!link->idle() && link->poll()) worked = true;
  }
  return worked;
}

void LinkPoller::drain(LocalLink& link) {
  std::lock_guard lock(poll_mutex_);
  // More than a ring and the frames announced in it can't be left of a process that has ended.
  for (int rounds = 0; rounds < kMostRounds && link.poll(); ++rounds) {
  }
}

bool LinkPoller::begin() {
  if (pollers_.fetch_add(1) == 0) page_.asleep.store(0, std::memory_order_relaxed);
  return count_.load(std::memory_order_relaxed) != 0;
}

bool LinkPoller::end() {
  if (pollers_.fetch_sub(1) != 1) return true;
  page_.asleep.store(1, std::memory_order_relaxed);
  full_fence();
  // Who polls may have looked just before something came, and the mutex is not fair: no waiting for it here.
  const std::unique_lock lock(poll_mutex_, std::try_to_lock);
  return lock &&
         std::all_of(current().begin(), current().end(), [](const auto& link) { return link->idle(); });
}

}  // namespace ds::fabric
