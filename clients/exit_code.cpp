#include "clients/exit_code.hpp"

namespace ds::clients {

ExitCode exit_code_for_answer(int http_status, std::string_view code) {
  if (code == "invalid_job") return ExitCode::job_invalid;
  if (code == "unplaceable") return ExitCode::unplaceable;
  switch (http_status) {
    case 400:
      return ExitCode::usage;
    case 401:
    case 403:
      return ExitCode::not_allowed;
    case 404:
      return ExitCode::not_found;
    case 408:
    case 504:
      return ExitCode::timed_out;
    case 409:
      return ExitCode::conflict;
    case 422:
      return ExitCode::job_invalid;
    case 429:
      return ExitCode::quota;
    case 503:  // with an error body it is a head that lives and says what is the matter
      return code.empty() ? ExitCode::no_server : ExitCode::unexpected;
    default:
      return ExitCode::unexpected;
  }
}

ExitCode exit_code_for_state(std::string_view state) {
  if (state == "SUCCEEDED") return ExitCode::done;
  if (state == "FAILED") return ExitCode::job_failed;
  if (state == "CANCELLED") return ExitCode::job_cancelled;
  return ExitCode::not_finished;
}

bool is_end_state(std::string_view state) {
  return state == "SUCCEEDED" || state == "FAILED" || state == "CANCELLED";
}

}  // namespace ds::clients
