#include "actors/fabric/polling_scheduler.hpp"

#include <sched.h>

#include <utility>

#include "actors/fabric/transport.hpp"

namespace ds::fabric {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLooksBetweenYields = 8;

thread_local caf::execution_unit* this_thread_polls_for = nullptr;

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

caf::execution_unit* polling_worker() {
  return this_thread_polls_for;
}

void PollingShare::coordinator_data::set_transport(std::shared_ptr<Transport> transport) {
  std::unique_lock lock(mutex_);
  while (somebody_polls_) {
    lock.unlock();
    sched_yield();
    lock.lock();
  }
  transport_ = std::move(transport);
}

void PollingShare::coordinator_data::enqueue(caf::resumable* job) {
  bool wakes = false;
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(job);
    waiting_jobs_.store(jobs_.size(), std::memory_order_release);
    // Who polls sees the first job by itself.
    wakes = sleepers_ != 0 && !(somebody_polls_ && jobs_.size() == 1);
  }
  if (wakes) changed_.notify_one();
}

// Under mutex_.
caf::resumable* PollingShare::coordinator_data::take() {
  if (jobs_.empty()) return nullptr;
  caf::resumable* job = jobs_.front();
  jobs_.pop_front();
  waiting_jobs_.store(jobs_.size(), std::memory_order_relaxed);
  if (!jobs_.empty() && sleepers_ != 0) changed_.notify_one();
  return job;
}

caf::resumable* PollingShare::coordinator_data::try_dequeue() {
  std::lock_guard lock(mutex_);
  return take();
}

caf::resumable* PollingShare::coordinator_data::dequeue(caf::execution_unit* worker) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (caf::resumable* job = take()) return job;
    const bool polls = transport_ && !somebody_polls_;
    if (polls) {
      somebody_polls_ = true;
      const SpinBudget::Duration limit = spin_.limit();
      lock.unlock();
      caf::resumable* job = poll(worker, limit);
      if (job != nullptr) return job;
      lock.lock();
      if (!jobs_.empty()) continue;
    }
    const auto asleep = Clock::now();
    ++sleepers_;
    changed_.wait(lock, [this] { return !jobs_.empty(); });
    --sleepers_;
    if (polls) spin_.on_slept(Clock::now() - asleep);
  }
}

// Looks for work until there is some or it does not pay any more; then nobody polls.
caf::resumable* PollingShare::coordinator_data::poll(caf::execution_unit* worker,
                                                     SpinBudget::Duration limit) {
  this_thread_polls_for = worker;
  const bool pays = transport_->begin_polling();
  const auto until = Clock::now() + limit;
  for (int look = 1; pays && waiting_jobs_.load(std::memory_order_acquire) == 0; ++look) {
    if (transport_->poll()) continue;
    if (look % kLooksBetweenYields == 0) {
      if (Clock::now() >= until) break;
      sched_yield();
    } else {
      pause_briefly();
    }
  }
  this_thread_polls_for = nullptr;
  transport_->end_polling();
  std::lock_guard lock(mutex_);
  somebody_polls_ = false;
  caf::resumable* job = take();
  if (job != nullptr) spin_.on_found();
  return job;
}

}  // namespace ds::fabric
