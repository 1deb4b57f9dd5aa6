#pragma once

#include <chrono>
#include <cstddef>

#include "actors/fabric/busy_pace.hpp"

namespace ds::fabric {

/// The calling thread has had so many requests at a time. While these are many (`BusyPace`) the thread
/// doesn't take the processor from another one when it wakes (SCHED_BATCH); its share of processor time is
/// the same. 0: nothing has happened; a thread that has other work, too, says so now and then.
///
/// A thread with another policy than the usual one, of its own or by who started the program, is left as it
/// is.
///
/// Whether it is so now. One that may have nothing to do for long then says 0 after `kCalmAfter`: it would be
/// as patient with whatever comes next.
bool note_round(std::size_t requests);
inline constexpr std::chrono::milliseconds kCalmAfter = BusyPace::kMemory + std::chrono::milliseconds(1);

}  // namespace ds::fabric
