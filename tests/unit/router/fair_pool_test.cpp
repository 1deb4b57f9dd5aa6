#include "actors/router/fair_pool.hpp"

#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <string>

namespace ds::router {
namespace {

/// What was done, in its order.
class Done {
 public:
  FairPool::Task task(const std::string& what) {
    return [this, what] {
      const std::lock_guard lock(mutex_);
      order_ += what;
    };
  }
  std::string order() const {
    const std::lock_guard lock(mutex_);
    return order_;
  }

 private:
  mutable std::mutex mutex_;
  std::string order_;
};

/// Keeps a thread of the pool busy until it is let go.
class Gate {
 public:
  FairPool::Task task() {
    return [this] {
      entered_.set_value();
      open_.get_future().wait();
    };
  }
  void wait_until_entered() { entered_.get_future().wait(); }
  void open() { open_.set_value(); }

 private:
  std::promise<void> entered_, open_;
};

TEST(FairPool, LetsNamesTakeTurnsAndKeepsTheOrderOfEach) {
  Done done;
  Gate gate;
  {
    FairPool pool(1, {10, 100});
    ASSERT_TRUE(pool.post("gate", gate.task()));
    gate.wait_until_entered();
    for (const char* what : {"a1 ", "a2 ", "a3 ", "a4 "}) EXPECT_TRUE(pool.post("a", done.task(what)));
    for (const char* what : {"b1 ", "b2 "}) EXPECT_TRUE(pool.post("b", done.task(what)));
    EXPECT_TRUE(pool.post("c", done.task("c1 ")));
    gate.open();
  }
  EXPECT_EQ(done.order(), "a1 b1 c1 a2 b2 a3 a4 ");
}

TEST(FairPool, RefusesWhatANameOrAllHaveTooMuchOf) {
  Done done;
  Gate gate;
  {
    FairPool pool(1, {2, 3});
    ASSERT_TRUE(pool.post("gate", gate.task()));
    gate.wait_until_entered();
    EXPECT_TRUE(pool.post("a", done.task("a1 ")));
    EXPECT_TRUE(pool.post("a", done.task("a2 ")));
    EXPECT_FALSE(pool.post("a", done.task("a3 "))) << "one name has all it may have";
    EXPECT_TRUE(pool.post("b", done.task("b1 ")));
    EXPECT_FALSE(pool.post("b", done.task("b2 "))) << "all together have";
    EXPECT_TRUE(pool.post("c", done.task("c1 "))) << "nobody is kept out by what others have";
    gate.open();
  }
  EXPECT_EQ(done.order(), "a1 b1 c1 a2 ");
}

TEST(FairPool, WorksOnSeveralThingsAtOnce) {
  Gate first, second;
  FairPool pool(2, {10, 10});
  ASSERT_TRUE(pool.post("a", first.task()));
  ASSERT_TRUE(pool.post("a", second.task()));
  first.wait_until_entered();
  second.wait_until_entered();
  first.open();
  second.open();
}

}  // namespace
}  // namespace ds::router
