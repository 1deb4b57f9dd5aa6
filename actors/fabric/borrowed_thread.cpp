#include "actors/fabric/borrowed_thread.hpp"

#include <caf/actor_cast.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <utility>

namespace ds::fabric {
namespace {

/// Where this thread takes an actor that it woke; null: it takes none.
thread_local caf::resumable** this_thread_takes = nullptr;

}  // namespace

void BorrowedThread::exec_later(caf::resumable* job) {
  if (this_thread_takes != nullptr && *this_thread_takes == nullptr) {
    *this_thread_takes = job;
  } else {
    system().scheduler().enqueue(job);
  }
}

void BorrowedThread::send(const caf::actor& actor, caf::message content) {
  auto message = caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, std::move(content));
  if (auto* job = give(caf::actor_cast<caf::strong_actor_ptr>(actor), std::move(message))) run(job);
}

caf::resumable* BorrowedThread::give(const caf::strong_actor_ptr& actor, caf::mailbox_element_ptr message) {
  caf::resumable* job = nullptr;
  struct Taking {
    explicit Taking(caf::resumable** where) { this_thread_takes = where; }
    ~Taking() { this_thread_takes = nullptr; }
  };
  const Taking taking(&job);
  actor->enqueue(std::move(message), this);
  return job;
}

void BorrowedThread::run(caf::resumable* job) {
  // As CAF's own threads do it.
  if (job->resume(this, kMostMessages) == caf::resumable::resume_later) {
    system().scheduler().enqueue(job);
  } else {
    caf::intrusive_ptr_release(job);
  }
}

}  // namespace ds::fabric
