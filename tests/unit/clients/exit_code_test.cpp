#include "clients/exit_code.hpp"

#include <gtest/gtest.h>

#include "clients/failure.hpp"

namespace ds::clients {
namespace {

TEST(ExitCode, FollowsTheAnswerOfTheHead) {
  EXPECT_EQ(exit_code_for_answer(422, "invalid_job"), ExitCode::job_invalid);
  EXPECT_EQ(exit_code_for_answer(404, "not_found"), ExitCode::not_found);
  EXPECT_EQ(exit_code_for_answer(403, ""), ExitCode::not_allowed);
  EXPECT_EQ(exit_code_for_answer(429, "resource_exhausted"), ExitCode::quota);
  EXPECT_EQ(exit_code_for_answer(507, "resource_exhausted"), ExitCode::unexpected);
  EXPECT_EQ(exit_code_for_answer(504, "deadline_exceeded"), ExitCode::timed_out);
  EXPECT_EQ(exit_code_for_answer(503, "unavailable"), ExitCode::unexpected);
  EXPECT_EQ(exit_code_for_answer(503, "unplaceable"), ExitCode::unplaceable);
  EXPECT_EQ(exit_code_for_answer(503, ""), ExitCode::no_server);  // something in front of a head that is away
  EXPECT_EQ(exit_code_for_answer(409, "conflict"), ExitCode::conflict);
  EXPECT_EQ(exit_code_for_answer(409, "ambiguous"), ExitCode::conflict);
  EXPECT_EQ(exit_code_for_answer(400, "bad_request"), ExitCode::usage);
  EXPECT_EQ(exit_code_for_answer(500, "internal"), ExitCode::unexpected);
  EXPECT_EQ(exit_code_for_answer(302, ""), ExitCode::unexpected);
}

TEST(ExitCode, LeavesWhatMayPassToAnotherTry) {
  const auto failure = [](int status, const std::string& code) {
    return Failure(exit_code_for_answer(status, code), code, "");
  };
  EXPECT_TRUE(may_pass(failure(503, "unavailable")));
  EXPECT_TRUE(may_pass(failure(504, "deadline_exceeded")));
  EXPECT_TRUE(may_pass(Failure(ExitCode::no_server, "no_server", "")));
  EXPECT_FALSE(may_pass(failure(503, "unplaceable")));
  EXPECT_FALSE(may_pass(failure(507, "resource_exhausted")));
  EXPECT_FALSE(may_pass(failure(422, "invalid_job")));
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
