#include "actors/replica/model_thread.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <thread>

#include "actors/fabric/patient_thread.hpp"

namespace ds::replica {
namespace {

TEST(ModelThreads, TakeTheProcessorLikeOthersOnceTheyHaveNothingToDo) {
  if (sched_getscheduler(0) != SCHED_OTHER) GTEST_SKIP() << "whoever started this chose another policy";
  ModelThread thread;
  std::promise<pid_t> busy;
  thread.post([&] {
    for (int i = 0; i < 20; ++i) fabric::note_round(10);
    EXPECT_EQ(sched_getscheduler(0), SCHED_BATCH);
    busy.set_value(static_cast<pid_t>(syscall(SYS_gettid)));
  });
  const auto number = busy.get_future().get();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (sched_getscheduler(number) != SCHED_OTHER && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(sched_getscheduler(number), SCHED_OTHER);
  std::promise<void> works;
  thread.post([&] { works.set_value(); });
  works.get_future().wait();
}

}  // namespace
}  // namespace ds::replica
