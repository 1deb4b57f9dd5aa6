#include "actors/router/fair_pool.hpp"

#include <algorithm>
#include <utility>

namespace ds::router {
namespace {

/// How often work is looked for that need not be done any more.
constexpr std::chrono::milliseconds kLookPause{50};

}  // namespace

FairPool::FairPool(std::size_t threads, Bounds bounds)
    : quick_cost_(bounds.quick),
      quick_{WorkLine({bounds.each, bounds.all}), {}},
      slow_{WorkLine({bounds.each, bounds.all}), {}} {
  const bool has_slow = quick_cost_ < std::numeric_limits<std::size_t>::max();
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { run(quick_); });
    if (has_slow) threads_.emplace_back([this] { run(slow_); });
  }
}

FairPool::~FairPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  quick_.wake.notify_all();
  slow_.wake.notify_all();
  for (auto& thread : threads_) thread.join();
}

bool FairPool::post(WorkPtr work) {
  Lane& lane = work->cost <= quick_cost_ ? quick_ : slow_;
  WorkLine::Entry entry;
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return false;
    entry = lane.line.add(std::move(work));
  }
  if (entry.crowded_out) entry.crowded_out->end(GivenUp::crowded_out);
  if (!entry.has_place) return false;
  lane.wake.notify_one();
  if (&lane == &slow_) quick_.wake.notify_one();  // to look after it
  return true;
}

bool FairPool::post(const std::string& name, Task task) {
  auto work = std::make_shared<Work>();
  work->turn = name;
  work->run = [task = std::move(task)](Work&) { task(); };
  return post(std::move(work));
}

void FairPool::run(Lane& lane) {
  const bool looks = &lane == &quick_;  // as what is quick is soon done
  std::unique_lock lock(mutex_);
  while (true) {
    if (looks) look(lock);
    WorkPtr work = lane.line.take();
    if (work == nullptr) {
      if (ending_) return;
      if (looks && (!slow_.line.empty() || !running_.empty())) {
        lane.wake.wait_for(lock, kLookPause);
      } else {
        lane.wake.wait(lock);
      }
      continue;
    }
    running_.push_back(work);
    lock.unlock();
    if (const auto why = work->is_over(Work::Clock::now())) {
      work->end(*why);
    } else {
      work->run(*work);
    }
    lock.lock();
    std::erase(running_, work);
    lock.unlock();
    work.reset();  // what it held may take long to be let go
    lock.lock();
  }
}

/// Gives up what need not be done any more; the lock is held, but not meanwhile.
void FairPool::look(std::unique_lock<std::mutex>& lock) {
  const auto now = Work::Clock::now();
  if (now < next_look_) return;
  next_look_ = now + kLookPause;
  WorkLine::Ended ended;
  quick_.line.take_over(now, ended);
  slow_.line.take_over(now, ended);
  for (const WorkPtr& work : running_) {
    if (work->until <= now && !work->is_claimed) ended.emplace_back(work, GivenUp::late);
  }
  if (ended.empty()) return;
  lock.unlock();
  for (const auto& [work, why] : ended) work->end(why);
  ended.clear();
  lock.lock();
}

}  // namespace ds::router
