#include "actors/fabric/crash_signals.hpp"

#include <signal.h>
#include <ucs/debug/debug.h>

#include <initializer_list>

namespace ds::fabric {

void let_crashes_end_the_process() {
  for (const int number : {SIGILL, SIGSEGV, SIGBUS, SIGFPE}) ucs_debug_disable_signal(number);
}

}  // namespace ds::fabric
