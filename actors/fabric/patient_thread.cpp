#include "actors/fabric/patient_thread.hpp"

#include <sched.h>

namespace ds::fabric {
namespace {

/// Of this thread; the process's main thread has the process's number.
void change_policy(int from, int to) {
  const sched_param normal{};
  if (sched_getscheduler(0) == from) sched_setscheduler(0, to, &normal);
}

}  // namespace

bool note_round(std::size_t requests) {
  static thread_local BusyPace pace;
  const bool was_busy = pace.is_busy();
  pace.on_round(requests, BusyPace::Clock::now());
  if (pace.is_busy() != was_busy)
    was_busy ? change_policy(SCHED_BATCH, SCHED_OTHER) : change_policy(SCHED_OTHER, SCHED_BATCH);
  return pace.is_busy();
}

}  // namespace ds::fabric
