#pragma once

#include <cstddef>

namespace ds::fabric {

/// The calling thread has had so many requests at a time. While these are many (`BusyPace`) the thread
/// doesn't take the processor from another one when it wakes (SCHED_BATCH); its share of processor time is
/// the same. 0: nothing has happened; a thread that has other work, too, says so now and then.
///
/// A thread with another policy than the usual one, of its own or by who started the program, is left as it
/// is.
void note_round(std::size_t requests);

}  // namespace ds::fabric
