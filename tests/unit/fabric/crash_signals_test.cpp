#include "actors/fabric/crash_signals.hpp"

#include <gtest/gtest.h>
#include <signal.h>

namespace ds::fabric {
namespace {

/// Whether the process ends by it at once.
bool ends_at_once(int number) {
  struct sigaction action {};
  EXPECT_EQ(sigaction(number, nullptr, &action), 0);
  return action.sa_handler == SIG_DFL;
}

TEST(CrashSignals, EndTheProcessThoughUcxHandledThem) {
  if (ends_at_once(SIGSEGV)) GTEST_SKIP() << "UCX has been told to handle none (UCX_HANDLE_ERRORS)";
  let_crashes_end_the_process();
  for (const int number : {SIGILL, SIGSEGV, SIGBUS, SIGFPE}) EXPECT_TRUE(ends_at_once(number)) << number;
}

}  // namespace
}  // namespace ds::fabric
