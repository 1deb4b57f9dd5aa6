#include "actors/head/assigned_job.hpp"

#include <spdlog/spdlog.h>

#include <utility>
#include <variant>
#include <vector>

#include "scheduler/spec/job_file.hpp"

namespace ds::head {

Result<scheduler::JobSpec> read_assigned_job(const messages::AssignJob& job) {
  auto parsed = scheduler::parse_job_file(job.text, job.directory);
  if (auto* file = std::get_if<scheduler::ParsedJob>(&parsed)) return std::move(file->spec);
  const auto& first = std::get<std::vector<scheduler::SpecError>>(parsed).front();
  return fail(ErrorCode::invalid_argument, scheduler::format_spec_error(first, job.file));
}

std::string log_end(const Error& why) {
  auto text = why.hint.empty() ? why.message : why.message + " (" + why.hint + ")";
  spdlog::error("{}", text);
  return text;
}

}  // namespace ds::head
