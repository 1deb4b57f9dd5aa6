// Jobs that were paused, and are promised a moment to start anew when they are resumed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/unit/scheduler/random_deadlines.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

/// A future in which owners pause jobs with a promise, and resume them: these keep their place in the order
/// of submission, and what is left of their time.
class Pauses : public Deadlines {
 public:
  using Deadlines::Deadlines;

  void pause_any() {
    std::vector<std::string> jobs;
    for (const Demand& one : cluster_.demands) {
      if (one.has_promise) jobs.push_back(one.job);
    }
    if (jobs.empty()) return;
    const std::string job = jobs[below(random_, jobs.size())];
    Demand paused = cluster_.demand(job);
    if (const auto since = since_.find(job); since != since_.end()) {
      left_[job] -= cluster_.now_ms - since->second;
      paused.lasts_ms = std::max<std::int64_t>(1, paused.ends_ms - cluster_.now_ms);
      since_.erase(since);
    }
    paused.ends_ms = 0;
    paused.has_promise = paused.is_young = false;
    cluster_.end_job(job);
    promised_.erase(job);
    started_.erase(job);
    paused_.push_back(std::move(paused));
  }

  /// As the head does: nobody is promised anything whose turn would come before one that was promised its
  /// start meanwhile.
  void resume_any() {
    if (paused_.empty()) return;
    const auto which = paused_.begin() + static_cast<std::ptrdiff_t>(below(random_, paused_.size()));
    const Demand resumed = *which;
    paused_.erase(which);
    cluster_.demands.push_back(resumed);
    const bool is_before_another = std::ranges::any_of(cluster_.demands, [&](const Demand& one) {
      return one.has_promise && cluster_.live(one.job) == 0 && one.order > resumed.order;
    });
    tell_who_is_young();
    const auto at_ms = is_before_another ? std::nullopt : promise(cluster_, resumed.job);
    if (at_ms) {
      promised_.emplace(resumed.job, *at_ms);
      ++renewed_;
      renewed_to_wait_ += *at_ms > cluster_.now_ms ? 1 : 0;
      settle();
    } else {
      cluster_.demands.back() = resumed;
      ++refused_again_;
    }
  }

  std::vector<Demand> paused_;
  std::size_t renewed_ = 0, renewed_to_wait_ = 0, refused_again_ = 0;
};

TEST(DeadlineResume, APromiseThatIsGivenAnewIsKeptAndBreaksNoOther) {
  std::size_t renewed = 0, renewed_to_wait = 0, refused_again = 0;
  const Seeds seeds(1200);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Pauses future(seed);
    if (seed % 2 == 1) future.share(seed % 4 == 1);
    for (int i = 0; i < 6; ++i) future.submit_any();
    int arrivals = 20;
    do {
      future.settle();
      ASSERT_NO_FATAL_FAILURE(future.check(seed));
      if (arrivals-- > 0) future.submit_any();
      if (between(future.random_, 0, 3) == 0) future.pause_any();
      if (between(future.random_, 0, 1) == 0) future.resume_any();
      if (seed % 3 == 0) future.disturb();
      future.settle();
      ASSERT_NO_FATAL_FAILURE(future.check(seed));
    } while (future.go_on());
    renewed += future.renewed_;
    renewed_to_wait += future.renewed_to_wait_;
    refused_again += future.refused_again_;
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(renewed, 300U);
  EXPECT_GT(renewed_to_wait, 50U);
  EXPECT_GT(refused_again, 50U);
}

}  // namespace
}  // namespace ds::scheduler
