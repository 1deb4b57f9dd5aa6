#include "clients/exit_code.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

TEST(ExitCode, FollowsTheAnswerOfTheHead) {
  EXPECT_EQ(exit_code_for_answer(422, "invalid_job"), ExitCode::job_invalid);
  EXPECT_EQ(exit_code_for_answer(404, "not_found"), ExitCode::not_found);
  EXPECT_EQ(exit_code_for_answer(403, ""), ExitCode::not_allowed);
  EXPECT_EQ(exit_code_for_answer(429, "resource_exhausted"), ExitCode::quota);
  EXPECT_EQ(exit_code_for_answer(507, "resource_exhausted"), ExitCode::quota);
  EXPECT_EQ(exit_code_for_answer(504, "unavailable"), ExitCode::timed_out);
  EXPECT_EQ(exit_code_for_answer(503, "unavailable"), ExitCode::no_server);
  EXPECT_EQ(exit_code_for_answer(409, "conflict"), ExitCode::conflict);
  EXPECT_EQ(exit_code_for_answer(409, "ambiguous"), ExitCode::conflict);
  EXPECT_EQ(exit_code_for_answer(400, "bad_request"), ExitCode::usage);
  EXPECT_EQ(exit_code_for_answer(500, "internal"), ExitCode::unexpected);
  EXPECT_EQ(exit_code_for_answer(302, ""), ExitCode::unexpected);
}

TEST(ExitCode, IsZeroOnlyForAJobThatSucceeded) {
  EXPECT_EQ(static_cast<int>(exit_code_for_state("SUCCEEDED")), 0);
  EXPECT_EQ(static_cast<int>(exit_code_for_state("FAILED")), 100);
  EXPECT_EQ(static_cast<int>(exit_code_for_state("CANCELLED")), 103);
  for (const char* state :
       {"QUEUED", "STARTING", "RUNNING", "RESIZING", "PREEMPTED", "PAUSED", "", "SOMETHING_NEW"}) {
    EXPECT_EQ(static_cast<int>(exit_code_for_state(state)), 101) << state;
    EXPECT_FALSE(is_end_state(state)) << state;
  }
}

}  // namespace
}  // namespace ds::clients
