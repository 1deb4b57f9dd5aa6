#include "storage/identifier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "storage/log/log_store.hpp"

namespace ds::storage {

bool is_job_id(std::string_view job) {
  constexpr std::size_t kMaxSize = 127;
  const auto is_letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (job.empty() || job.size() > kMaxSize || !is_letter_or_digit(job.front())) return false;
  return std::all_of(job.begin(), job.end(),
                     [&](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
}

Result<void> require_job_id(std::string_view job) {
  if (is_job_id(job)) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("\"{}\" is not a job id", escape_control_characters(job.substr(0, 80))),
              "A job id begins with a letter a-z or a digit and goes on with those, '.', '_' and '-'.");
}

}  // namespace ds::storage
