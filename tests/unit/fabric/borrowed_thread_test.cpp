#include "actors/fabric/borrowed_thread.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <caf/actor_system_config.hpp>
#include <caf/all.hpp>
#include <functional>
#include <future>
#include <thread>
#include <vector>

#include "actors/fabric/fabric.hpp"

namespace ds::fabric::test {

struct Act {
  std::function<void()> action;
};

}  // namespace ds::fabric::test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::fabric::test::Act)

namespace ds::fabric {
namespace {

using test::Act;

class BorrowedThreads : public ::testing::Test {
 protected:
  struct Config : caf::actor_system_config {
    Config() { configure(*this); }
  };
  BorrowedThreads() : system_(config_), here_(system_) {
    const int none = 0;  // CAF's spawn without arguments trips over the library's assertions
    actor_ = system_.spawn(
        [](caf::event_based_actor*, int) { return caf::behavior{[](const Act& act) { act.action(); }}; },
        none);
  }
  void send(std::function<void()> action) { here_.send(actor_, caf::make_message(Act{std::move(action)})); }

  Config config_;
  caf::actor_system system_;
  BorrowedThread here_;
  caf::actor actor_;
};

TEST_F(BorrowedThreads, RunAnActorThatIsIdle) {
  caf::scoped_actor self(system_);
  for (int i = 0; i < 3; ++i) {
    // An actor that is new, or has just been run, may be with a thread of CAF's for a moment.
    std::thread::id ran_on;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (ran_on != std::this_thread::get_id() && std::chrono::steady_clock::now() < deadline) {
      std::promise<std::thread::id> ran;
      send([&] { ran.set_value(std::this_thread::get_id()); });
      ran_on = ran.get_future().get();
    }
    EXPECT_EQ(ran_on, std::this_thread::get_id());
  }
}

TEST_F(BorrowedThreads, LeaveAnActorThatIsBusyToTheThreadThatRunsIt) {
  std::promise<void> begun, go_on;
  std::promise<std::thread::id> next;
  std::thread other([&] {
    send([&] {
      begun.set_value();
      go_on.get_future().wait();
    });
  });
  begun.get_future().wait();
  send([&] { next.set_value(std::this_thread::get_id()); });  // doesn't wait
  go_on.set_value();
  EXPECT_NE(next.get_future().get(), std::this_thread::get_id());
  other.join();
}

TEST_F(BorrowedThreads, LoseNothingAndNeverRunAnActorTwiceAtATime) {
  constexpr int kEach = 5000;
  std::atomic<int> inside{0}, done{0}, together{0};
  std::promise<void> all;
  std::vector<std::thread> senders;
  for (int thread = 0; thread < 4; ++thread) {
    senders.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        send([&] {
          if (++inside != 1) ++together;
          --inside;
          if (++done == 4 * kEach) all.set_value();
        });
      }
    });
  }
  for (auto& sender : senders) sender.join();
  EXPECT_EQ(all.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_EQ(done, 4 * kEach);
  EXPECT_EQ(together, 0);
}

}  // namespace
}  // namespace ds::fabric
