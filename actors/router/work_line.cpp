#include "actors/router/work_line.hpp"

#include <algorithm>

namespace ds::router {
namespace {

std::size_t cost_of(const WorkPtr& work) {
  return work->cost;
}

}  // namespace

WorkLine::Entry WorkLine::add(WorkPtr work) {
  auto line = std::ranges::find(lines_, work->turn, &Line::turn);
  Entry entry;
  if (line != lines_.end() && line->waiting.size() >= bounds_.each) {
    auto& waiting = line->waiting;
    // Of equals the newest: the others have waited longer for nothing.
    const auto costliest = std::ranges::max_element(waiting.rbegin(), waiting.rend(), {}, cost_of);
    if ((*costliest)->cost <= work->cost || !(*costliest)->give_up) return entry;
    entry.crowded_out = *costliest;
    waiting.erase(std::next(costliest).base());
    --waiting_;
  } else if (line != lines_.end() && waiting_ >= bounds_.all) {
    return entry;
  }
  if (line == lines_.end()) line = lines_.insert(line, {work->turn, {}});
  line->waiting.push_back(std::move(work));
  ++waiting_;
  entry.has_place = true;
  return entry;
}

WorkPtr WorkLine::take() {
  if (lines_.empty()) return nullptr;
  const auto line = lines_.begin();
  auto& waiting = line->waiting;
  const auto next = line->oldest_is_next ? waiting.begin() : std::ranges::min_element(waiting, {}, cost_of);
  line->oldest_is_next = !line->oldest_is_next;
  WorkPtr work = std::move(*next);
  waiting.erase(next);
  --waiting_;
  if (waiting.empty()) {
    lines_.erase(line);
  } else {
    lines_.splice(lines_.end(), lines_, line);
  }
  return work;
}

void WorkLine::take_over(Work::Clock::time_point now, Ended& ended) {
  for (auto line = lines_.begin(); line != lines_.end();) {
    waiting_ -= std::erase_if(line->waiting, [&](const WorkPtr& work) {
      const auto why = work->is_over(now);
      if (why) ended.emplace_back(work, *why);
      return why.has_value();
    });
    line = line->waiting.empty() ? lines_.erase(line) : std::next(line);
  }
}

}  // namespace ds::router
