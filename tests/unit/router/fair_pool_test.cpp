#include "actors/router/fair_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <string>

#include "tests/unit/router/comes_true.hpp"

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

/// Work of which it is known how it ended.
struct Known {
  std::atomic<int> run{0}, late{0}, gone{0}, crowded_out{0};
  WorkPtr work(std::size_t cost, Work::Clock::time_point until = Work::Clock::time_point::max()) {
    auto made = std::make_shared<Work>();
    made->turn = "a";
    made->cost = cost;
    made->until = until;
    made->run = [this](Work& own) { run += own.claim() ? 1 : 0; };
    made->give_up = [this](GivenUp why) {
      ++(why == GivenUp::late ? late : why == GivenUp::gone ? gone : crowded_out);
    };
    return made;
  }
};

TEST(FairPool, LetsWhatCostsLittleWaitForNothingLarge) {
  Gate gate;
  Known known;
  FairPool pool(1, {10, 100, 50});
  auto large = known.work(51);
  large->run = [task = gate.task()](Work&) { task(); };
  ASSERT_TRUE(pool.post(large));
  gate.wait_until_entered();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(pool.post(known.work(60)));
  EXPECT_TRUE(pool.post(known.work(50)));
  EXPECT_TRUE(comes_true([&] { return known.run == 1; })) << "it has a thread of its own";
  gate.open();
  EXPECT_TRUE(comes_true([&] { return known.run == 6; }));
}

TEST(FairPool, GivesUpWhatIsLateOrWhoseClientIsGoneThoughAllThreadsAreBusy) {
  Gate gate;
  Known running, waits, leaves;
  FairPool pool(1, {10, 100, 0});
  auto busy = running.work(1);
  busy->run = [task = gate.task(), &running](Work& own) {
    task();
    running.run += own.claim() ? 1 : 0;
  };
  ASSERT_TRUE(pool.post(busy));
  gate.wait_until_entered();
  auto left = leaves.work(1);
  const auto client = std::make_shared<gateway::ClientWatch>();
  left->client = client;
  EXPECT_TRUE(pool.post(left));
  EXPECT_TRUE(pool.post(waits.work(1, Work::Clock::now() + std::chrono::milliseconds(100))));
  client->set_gone();
  EXPECT_TRUE(comes_true([&] { return leaves.gone == 1; }));
  EXPECT_TRUE(comes_true([&] { return waits.late == 1; }));
  gate.open();
  EXPECT_TRUE(comes_true([&] { return running.run == 1; }));
  EXPECT_EQ(leaves.run + waits.run, 0);
}

TEST(FairPool, GivesUpInTimeWhatRunsTooLong) {
  Gate gate;
  Known known;
  FairPool pool(1, {10, 100, 0});
  auto busy = known.work(1);
  busy->run = [task = gate.task(), &known](Work& own) {
    task();
    if (!own.claim()) ++known.run;
  };
  busy->until = Work::Clock::now() + std::chrono::seconds(4);  // it has begun by then
  ASSERT_TRUE(pool.post(busy));
  gate.wait_until_entered();
  EXPECT_TRUE(comes_true([&] { return known.late == 1; })) << "though nothing else is to be done";
  gate.open();
  EXPECT_TRUE(comes_true([&] { return known.run == 1; })) << "who runs it hears that it was given up";
}

TEST(FairPool, GivesThePlaceOfTheCostliestUp) {
  Gate gate;
  Known known, cheap;
  FairPool pool(1, {2, 100, 0});
  auto busy = known.work(1);
  busy->run = [task = gate.task()](Work&) { task(); };
  ASSERT_TRUE(pool.post(busy));
  gate.wait_until_entered();
  EXPECT_TRUE(pool.post(known.work(70)));
  EXPECT_TRUE(pool.post(known.work(90)));
  EXPECT_FALSE(pool.post(known.work(95)));
  EXPECT_TRUE(pool.post(cheap.work(5)));
  EXPECT_EQ(known.crowded_out, 1);
  gate.open();
  EXPECT_TRUE(comes_true([&] { return known.run == 1 && cheap.run == 1; }));
}

}  // namespace
}  // namespace ds::router
