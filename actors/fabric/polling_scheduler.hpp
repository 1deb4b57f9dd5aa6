#pragma once

#include <atomic>
#include <caf/execution_unit.hpp>
#include <caf/policy/unprofiled.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/coordinator.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

#include "actors/fabric/spin_budget.hpp"

namespace ds::fabric {

class Transport;

/// CAF's scheduler with one difference to its `sharing` policy: one of the idle threads polls the transport,
/// so that a message from another process of this host runs its actor on the thread that received it.
///
/// A message then costs no wake-up at all while both processes are busy with each other. The thread that
/// polls gives the processor to others between its looks, gives up after `SpinBudget::limit` and sleeps; the
/// transport's progress thread receives then, as it does while all threads run actors.
class PollingShare : public caf::policy::unprofiled {
 public:
  class coordinator_data {
   public:
    explicit coordinator_data(caf::scheduler::abstract_coordinator*) {}

    /// The transport to poll from here on; null: none. Waits until nobody polls the one before.
    void set_transport(std::shared_ptr<Transport> transport);

    void enqueue(caf::resumable* job);
    caf::resumable* dequeue(caf::execution_unit* worker);
    caf::resumable* try_dequeue();

   private:
    caf::resumable* poll(caf::execution_unit* worker, SpinBudget::Duration limit);
    caf::resumable* take();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<caf::resumable*> jobs_;
    std::size_t sleepers_ = 0;
    bool somebody_polls_ = false;
    std::atomic<std::size_t> waiting_jobs_{0};
    std::shared_ptr<Transport> transport_;
    SpinBudget spin_;
  };

  struct worker_data {
    explicit worker_data(caf::scheduler::abstract_coordinator*) {}
  };

  template <class Coordinator>
  void central_enqueue(Coordinator* self, caf::resumable* job) {
    d(self).enqueue(job);
  }
  template <class Worker>
  void external_enqueue(Worker* self, caf::resumable* job) {
    d(self->parent()).enqueue(job);
  }
  template <class Worker>
  void internal_enqueue(Worker* self, caf::resumable* job) {
    d(self->parent()).enqueue(job);
  }
  template <class Worker>
  void resume_job_later(Worker* self, caf::resumable* job) {
    d(self->parent()).enqueue(job);
  }
  template <class Worker>
  caf::resumable* dequeue(Worker* self) {
    return d(self->parent()).dequeue(self);
  }
  template <class Worker, class Function>
  void foreach_resumable(Worker*, Function) {}
  template <class Coordinator, class Function>
  void foreach_central_resumable(Coordinator* self, Function function) {
    while (caf::resumable* job = d(self).try_dequeue()) function(job);
  }
};

using PollingScheduler = caf::scheduler::coordinator<PollingShare>;

/// The worker that polls on this thread, so that the actor it wakes runs here; else null.
caf::execution_unit* polling_worker();

}  // namespace ds::fabric
