#include "scheduler/policy/deadline/promises.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "scheduler/policy/deadline/slot_calendar.hpp"

namespace ds::scheduler {
namespace {

constexpr double kRoundS = 60;

DeadlineJob make_job(std::span<const DeadlineSize> sizes, double steps_left, double deadline_s) {
  DeadlineJob job;
  job.sizes = sizes;
  job.steps_left = steps_left;
  job.deadline_s = deadline_s;
  return job;
}

/// A few jobs on a few slots, whose deadlines are some rounds away.
struct Small {
  std::uint32_t total = 1;
  std::vector<std::vector<DeadlineSize>> sizes;
  std::vector<DeadlineJob> jobs;

  explicit Small(std::uint64_t seed, std::uint32_t most_jobs, std::uint32_t most_rounds) {
    std::mt19937_64 random(seed);
    const auto pick = [&](std::uint32_t low, std::uint32_t high) {
      return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
    };
    total = pick(1, 4);
    const double restart_s = pick(0, 2) * 10;
    const std::uint32_t count = pick(1, most_jobs);
    for (std::uint32_t i = 0; i < count; ++i) {
      std::vector<DeadlineSize> options{{1, 1, restart_s}};
      for (std::uint32_t slots = 2; slots <= 4 && pick(0, 2) > 0; slots *= 2)
        options.push_back({slots, options.back().steps_per_s * (1.1 + 0.1 * pick(0, 9)), restart_s});
      sizes.push_back(options);
      jobs.push_back(make_job({}, 10.0 * pick(1, 20), 60.0 * pick(1, most_rounds) + pick(0, 59)));
    }
    for (std::uint32_t i = 0; i < count; ++i) jobs[i].sizes = sizes[i];
  }
};

/// A job after a round on `slots`; it is done when no steps are left.
DeadlineJob after_round(DeadlineJob job, std::uint32_t slots) {
  const DeadlineSize* size = find_size(job, slots);
  if (size == nullptr) {
    job.slots = 0;
    return job;
  }
  const double standing_s = job.slots == size->slots ? job.standing_s : size->restart_s;
  job.slots = size->slots;
  job.standing_s = std::max(0.0, standing_s - kRoundS);
  job.steps_left -= std::max(0.0, kRoundS - standing_s) * size->steps_per_s;
  return job;
}

double end_s(const DeadlineJob& job, std::uint32_t slots, std::uint64_t round) {
  const DeadlineSize* size = find_size(job, slots);
  const double standing_s = job.slots == size->slots ? job.standing_s : size->restart_s;
  return static_cast<double>(round) * kRoundS + standing_s + job.steps_left / size->steps_per_s;
}

/// Whether any division of the slots, round by round, ends all jobs in time: every one is tried.
bool can_all_be_in_time(std::vector<DeadlineJob> jobs, std::uint32_t total, std::uint64_t round) {
  std::erase_if(jobs, [](const DeadlineJob& job) { return job.steps_left <= 1e-9; });
  if (jobs.empty()) return true;
  for (const DeadlineJob& job : jobs) {
    if (static_cast<double>(round) * kRoundS >= job.deadline_s) return false;
  }
  std::vector<DeadlineJob> next;
  const std::function<bool(std::size_t, std::uint32_t)> divide = [&](std::size_t i, std::uint32_t left) {
    if (i == jobs.size()) return can_all_be_in_time(next, total, round + 1);
    for (std::uint32_t slots = 0; slots <= left; slots = slots == 0 ? 1 : 2 * slots) {
      if (slots > 0 && find_size(jobs[i], slots)->slots != slots) break;
      DeadlineJob after = after_round(jobs[i], slots);
      if (after.steps_left <= 1e-9 && end_s(jobs[i], slots, round) >= jobs[i].deadline_s) continue;
      next.push_back(after);
      const bool is_possible = divide(i + 1, left - slots);
      next.pop_back();
      if (is_possible) return true;
    }
    return false;
  };
  return divide(0, total);
}

struct Admitted {
  std::size_t jobs = 0;
  std::size_t refused = 0;
  std::size_t needlessly = 0;  ///< refused though all could have been kept
};

Admitted admit_all(const Small& small) {
  Promises promises(small.total, {0, kRoundS}, {}, {});
  Admitted admitted;
  for (const DeadlineJob& job : small.jobs) {
    std::vector<DeadlineJob> all = promises.jobs();
    all.push_back(job);
    const bool is_possible = can_all_be_in_time(all, small.total, 0);
    const DeadlineAnswer answer = promises.admit(job);
    EXPECT_TRUE(!answer.promise || is_possible) << "what no schedule can keep was promised";
    EXPECT_TRUE(answer.promise || answer.earliest_s) << "any job can end some time";
    admitted.jobs += answer.promise.has_value();
    admitted.refused += !answer.promise;
    admitted.needlessly += !answer.promise && is_possible;
  }
  return admitted;
}

TEST(Promises, WhatIsPromisedCanBeKeptAndLittleIsRefusedThatCould) {
  Admitted sum;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Admitted admitted = admit_all(Small(seed, 3, 4));
    sum.jobs += admitted.jobs;
    sum.refused += admitted.refused;
    sum.needlessly += admitted.needlessly;
  }
  EXPECT_GT(sum.jobs, 300U);
  EXPECT_GT(sum.refused, 100U);
  EXPECT_LT(sum.needlessly, sum.jobs / 20) << "of " << sum.jobs << " admitted, " << sum.refused << " refused";
}

TEST(Promises, AreKeptRoundByRoundWhileOthersComeAndSlotsAreShared) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Small small(seed, 12, 30);
    std::vector<DeadlineJob> running;
    std::vector<Promise> given;
    std::size_t next = 0;
    for (std::uint64_t round = 0; next < small.jobs.size() || !running.empty(); ++round) {
      ASSERT_LT(round, 1000U);
      Promises promises(small.total, {round, kRoundS}, running, given);
      promises.renew();
      if (next < small.jobs.size() && (seed + round) % 3 != 0) {
        DeadlineJob job = small.jobs[next++];
        job.deadline_s += static_cast<double>(round) * kRoundS;
        promises.admit(job);
      }
      running = promises.jobs();
      given = promises.promises();
      const auto shares = promises.share_round();
      std::uint32_t taken = 0;
      for (std::size_t i = 0; i < running.size(); ++i) {
        taken += shares[i];
        const DeadlineJob after = after_round(running[i], shares[i]);
        if (after.steps_left <= 1e-9) {
          EXPECT_LT(end_s(running[i], shares[i], round), running[i].deadline_s);
        } else {
          EXPECT_LT(static_cast<double>(round + 1) * kRoundS, running[i].deadline_s);
        }
        running[i] = after;
      }
      EXPECT_LE(taken, small.total);
      for (std::size_t i = running.size(); i-- > 0;) {
        if (running[i].steps_left > 1e-9) continue;
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
        given.erase(given.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
  }
}

TEST(Promises, ARefusedJobIsAdmittedWithTheEarliestDeadlineThatItWasTold) {
  std::size_t refused = 0;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Small small(seed, 6, 6);
    Promises promises(small.total, {0, kRoundS}, {}, {});
    for (DeadlineJob job : small.jobs) {
      const DeadlineAnswer answer = promises.admit(job);
      if (answer.promise) continue;
      ++refused;
      ASSERT_TRUE(answer.earliest_s);
      EXPECT_GT(*answer.earliest_s, job.deadline_s);
      job.deadline_s = *answer.earliest_s;
      EXPECT_TRUE(promises.admit(job).promise);
    }
  }
  EXPECT_GT(refused, 200U);
}

TEST(Promises, TheCheapestShareInTimeIsPromisedAndIdleSlotsGoWhereTheySaveMost) {
  const std::vector<DeadlineSize> poor{{1, 1, 0}, {2, 1.2, 0}};
  const std::vector<DeadlineSize> good{{1, 1, 0}, {2, 1.9, 0}};
  Promises promises(3, {0, kRoundS}, {}, {});
  EXPECT_EQ(promises.admit(make_job(poor, 300, 1000)).promise, (Promise{{0, 5, 1}}));
  EXPECT_EQ(promises.admit(make_job(good, 300, 1100)).promise, (Promise{{0, 5, 1}}));
  EXPECT_EQ(promises.share_round(), (std::vector<std::uint32_t>{1, 2}));
}

TEST(Promises, ATightJobGoesBeforeALooseOneThatCameEarlier) {
  const std::vector<DeadlineSize> one{{1, 1, 0}};
  Promises promises(1, {0, kRoundS}, {}, {});
  ASSERT_TRUE(promises.admit(make_job(one, 120, 1000)).promise);
  EXPECT_EQ(promises.admit(make_job(one, 120, 130)).promise, (Promise{{0, 2, 1}}));
  EXPECT_EQ(promises.promises().front(), (Promise{{2, 4, 1}}));
  const DeadlineAnswer answer = promises.admit(make_job(one, 120, 200));
  EXPECT_FALSE(answer.promise);
  EXPECT_EQ(answer.earliest_s, 241);  // in between
}

TEST(SlotCalendar, GivesWhatIsFreeAndNothingTwice) {
  const std::vector<DeadlineSize> sizes{{1, 1, 0}, {2, 2, 0}};
  SlotCalendar calendar(3, {10, kRoundS});
  EXPECT_FALSE(calendar.take({{10, 12, 4}}));
  ASSERT_TRUE(calendar.take({{10, 12, 2}, {14, 15, 3}}));
  EXPECT_EQ(calendar.free_now(), 1U);
  EXPECT_FALSE(calendar.take({{9, 11, 1}, {11, 15, 1}}));
  EXPECT_EQ(calendar.fill(make_job(sizes, 500, 0), 2), (Promise{{10, 12, 1}, {12, 14, 2}, {15, 17, 2}}));
  EXPECT_EQ(calendar.fill(make_job(sizes, 500, 0), 1), (Promise{{10, 14, 1}, {15, 20, 1}}));
}

}  // namespace
}  // namespace ds::scheduler
