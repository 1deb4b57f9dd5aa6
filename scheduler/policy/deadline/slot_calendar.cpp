#include "scheduler/policy/deadline/slot_calendar.hpp"

#include <algorithm>
#include <limits>

namespace ds::scheduler {
namespace {

/// A job is not promised slots for more rounds than this in a row, which is longer than any can run.
constexpr std::uint64_t kForEver = std::uint64_t{1} << 40;

}  // namespace

void SlotCalendar::split(std::uint64_t at) {
  const auto above =
      std::upper_bound(spans_.begin(), spans_.end(), at,
                       [](std::uint64_t round, const Span& span) { return round < span.from; });
  const Span before = *std::prev(above);
  if (before.from != at) spans_.insert(above, {at, before.free});
}

bool SlotCalendar::take(const Promise& promise) {
  const std::vector<Span> unchanged = spans_;
  for (Stretch stretch : promise) {
    stretch.from = std::max(stretch.from, clock_.now);
    if (stretch.from >= stretch.to) continue;
    split(stretch.from);
    split(stretch.to);
    for (Span& span : spans_) {
      if (span.from < stretch.from || span.from >= stretch.to) continue;
      if (span.free < stretch.slots) {
        spans_ = unchanged;
        return false;
      }
      span.free -= stretch.slots;
    }
  }
  // Of equal spans in a row the first is enough.
  spans_.erase(std::unique(spans_.begin(), spans_.end(),
                           [](const Span& a, const Span& b) { return a.free == b.free; }),
               spans_.end());
  return true;
}

Promise SlotCalendar::fill(const DeadlineJob& job, std::uint32_t most) const {
  Promise promise;
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    const DeadlineSize* size = find_size(job, std::min(most, spans_[i].free));
    if (size == nullptr) continue;
    const std::uint64_t to = i + 1 < spans_.size() ? spans_[i + 1].from : spans_[i].from + kForEver;
    if (!promise.empty() && promise.back().to == spans_[i].from && promise.back().slots == size->slots) {
      promise.back().to = to;
    } else {
      promise.push_back({spans_[i].from, to, size->slots});
    }
  }
  const auto end = forecast(job, promise, clock_);
  return end ? trim(promise, clock_, end->rounds) : Promise{};
}

}  // namespace ds::scheduler
