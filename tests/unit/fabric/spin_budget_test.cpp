#include <gtest/gtest.h>

#include "actors/fabric/spin_budget.hpp"

namespace ds::fabric {
namespace {

using namespace std::chrono_literals;

TEST(SpinBudget, ShrinksWhileThereIsNothingToDo) {
  SpinBudget spin;
  for (int i = 0; i < 20; ++i) spin.on_slept(10ms);
  EXPECT_EQ(spin.limit(), SpinBudget::kLeastSpin);
}

TEST(SpinBudget, GrowsBackWhenMessagesComeCloseTogetherThoughItSleepsBetweenThem) {
  SpinBudget spin;
  for (int i = 0; i < 20; ++i) spin.on_slept(10ms);
  for (int i = 0; i < 10; ++i) spin.on_slept(100us);
  EXPECT_EQ(spin.limit(), SpinBudget::kMostSpin);
}

TEST(SpinBudget, StaysLongWhileLookingPays) {
  SpinBudget spin;
  spin.on_slept(1s);
  for (int i = 0; i < 10; ++i) spin.on_found();
  EXPECT_EQ(spin.limit(), SpinBudget::kMostSpin);
}

}  // namespace
}  // namespace ds::fabric
