#pragma once

#include <string_view>

namespace ds::clients {

/// What `ds-submit` ends with. Scripts rely on the numbers; they never change.
enum class ExitCode {
  done = 0,  ///< and the job SUCCEEDED, where it was waited for
  unexpected = 1,
  usage = 2,
  job_invalid = 3,  ///< the job file is wrong or cannot be read
  not_found = 4,
  not_allowed = 5,
  quota = 6,  ///< a bound of the cluster refused it
  unplaceable = 7,
  timed_out = 8,
  no_server = 9,
  conflict = 10,
  job_failed = 100,
  not_finished = 101,
  job_cancelled = 103,
  interrupted = 130,
};

/// For an answer of the head that is not a success. `code` is the word in its error body and decides where
/// one status stands for several things; empty when there was none.
ExitCode exit_code_for_answer(int http_status, std::string_view code);

/// For a job that was followed and is now in `state`.
ExitCode exit_code_for_state(std::string_view state);

/// SUCCEEDED, FAILED and CANCELLED never change again.
bool is_end_state(std::string_view state);

}  // namespace ds::clients
