#include "clients/job_submission.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <thread>

#include "clients/failure.hpp"
#include "clients/follow.hpp"
#include "clients/idempotency_key.hpp"
#include "clients/output.hpp"
#include "clients/printable.hpp"
#include "clients/spec_error_view.hpp"

namespace ds::clients {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMaxJobFileBytes = 64 << 10;  // what the head takes
constexpr std::size_t kMaxNameBytes = 48;
constexpr std::chrono::seconds kSubmitRetryTime{10};
constexpr std::chrono::seconds kPlanRetryTime{20};  // a head that has just started waits 15 s for its nodes
constexpr std::chrono::milliseconds kResubmitPause{250};

std::string read_all(std::istream& in) {
  std::string text(kMaxJobFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

/// What a file is, and who takes it.
struct FileKind {
  const char* name;
  const char* code;  ///< of what is wrong with it
  const char* usage;
};
constexpr FileKind kJob{"job file", "invalid_job", "ds-submit run -f FILE; - reads standard input"};
constexpr FileKind kTenants{"file of tenants", "invalid_tenants",
                            "ds-submit tenants --apply FILE; - reads standard input"};

void check_text(const JobFile& file, const FileKind& kind) {
  if (file.text.size() > kMaxJobFileBytes) {
    throw Failure(ExitCode::job_invalid, kind.code,
                  fmt::format("{}: a {} has at most 64 KiB", file.shown, kind.name),
                  "is this the right file?");
  }
  if (const auto at = find_invalid_utf8(file.text)) {
    const std::string_view before = std::string_view(file.text).substr(0, *at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t column = display_width(before.substr(before.rfind('\n') + 1)) + 1;  // npos + 1 is 0
    Failure failure(ExitCode::job_invalid, kind.code, file.shown + " is not UTF-8 text",
                    "save the file as UTF-8");
    failure.details.push_back({{"field", ""},
                               {"line", line},
                               {"column", column},
                               {"message", "not UTF-8 text"},
                               {"hint", failure.hint}});
    failure.rendered = format_spec_errors(failure.details, file.shown, before);
    throw failure;
  }
}

/// The program's name, as far as it may be a job's.
std::string name_after(const std::string& program) {
  std::string name;
  for (const char c : std::filesystem::path(program).filename().string()) {
    const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const bool fits = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');
    if (fits || !name.empty()) name += fits ? lower : '-';
  }
  return name.empty() ? "command" : name.substr(0, kMaxNameBytes);
}

JobFile read_file_of(const FileKind& kind, const std::string& path) {
  JobFile file;
  if (path == "-") {
    file.shown = file.name = "stdin";
    file.directory = std::filesystem::current_path().string();
    file.text = read_all(std::cin);
  } else {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      throw Failure(ExitCode::job_invalid, kind.code, path + " is a directory",
                    fmt::format("name the {} in it", kind.name));
    }
    std::ifstream in(path, std::ios::binary);
    if (!in) {
      throw Failure(ExitCode::job_invalid, kind.code,
                    fmt::format("cannot read {}: {}", path, std::strerror(errno)), kind.usage);
    }
    const auto whole = std::filesystem::absolute(path).lexically_normal();
    file.shown = path;
    file.name = whole.filename().string();
    file.directory = whole.parent_path().string();
    file.text = read_all(in);
  }
  check_text(file, kind);
  return file;
}

}  // namespace

JobFile read_job_file(const std::string& path) {
  return read_file_of(kJob, path);
}

JobFile read_tenants_file(const std::string& path) {
  return read_file_of(kTenants, path);
}

JobFile make_command_job(const std::vector<std::string>& arguments) {
  if (arguments.empty())
    throw Failure(ExitCode::usage, "usage", "no program given after --", "ds-submit -- ./train --lr 0.1");
  for (const auto& argument : arguments) {
    if (!find_invalid_utf8(argument)) continue;
    throw Failure(ExitCode::usage, "usage", "an argument of the program is not UTF-8 text",
                  "write a script that has it");
  }
  JobFile file;
  file.shown = file.name = "command line";
  file.directory = std::filesystem::current_path().string();
  // JSON is YAML. Nobody asked for another try.
  file.text = nlohmann::json{
      {"version", 1},
      {"kind", "command"},
      {"name", name_after(arguments.front())},
      {"restart", 0},
      {"run",
       arguments}}.dump();
  check_text(file, kJob);
  return file;
}

namespace {

nlohmann::json post_file(ApiClient& api, const std::string& path, const JobFile& file,
                         const nlohmann::json& body, const std::map<std::string, std::string>& headers,
                         std::chrono::milliseconds first_time, std::chrono::seconds retry_time) {
  std::optional<steady_clock::time_point>
      deadline;  // from the first try on, which may itself have taken long
  for (;;) {
    try {
      return api.post(path, body, headers, deadline ? answer_time_until(*deadline) : first_time);
    } catch (Failure& failure) {
      if (failure.exit_code == ExitCode::job_invalid && !failure.details.empty()) {
        failure.rendered = format_spec_errors(failure.details, file.shown, file.text, file.overrides);
        throw;
      }
      if (!may_pass(failure) || (deadline && steady_clock::now() >= *deadline)) throw;
      if (!deadline) {
        deadline = steady_clock::now() + retry_time;
        write_err(fmt::format("{}; trying for {} s\n", printable_line(failure.message), retry_time.count()));
      }
    }
    std::this_thread::sleep_for(kResubmitPause);
  }
}

nlohmann::json post_job_file(ApiClient& api, const std::string& path, const JobFile& file,
                             const std::map<std::string, std::string>& headers,
                             std::chrono::milliseconds first_time, std::chrono::seconds retry_time) {
  nlohmann::json body{{"file", file.name}, {"directory", file.directory}, {"text", file.text}};
  if (!file.tenant.given.empty()) body["tenant"] = file.tenant.given;
  if (!file.tenant.by_default.empty()) body["default_tenant"] = file.tenant.by_default;
  if (!file.overrides.empty()) body["set"] = file.overrides;
  return post_file(api, path, file, body, headers, first_time, retry_time);
}

}  // namespace

nlohmann::json apply_tenants(ApiClient& api, const JobFile& file) {
  return post_file(api, "/api/v1/tenants", file, {{"file", file.name}, {"text", file.text}}, {}, kAnswerTime,
                   kSubmitRetryTime);
}

nlohmann::json submit_job(ApiClient& api, const JobFile& file) {
  return post_job_file(api, "/api/v1/jobs", file, {{"Idempotency-Key", make_idempotency_key()}}, kAnswerTime,
                       kSubmitRetryTime);
}

nlohmann::json plan_job(ApiClient& api, const JobFile& file) {
  // The head makes one such plan at a time.
  return post_job_file(api, "/api/v1/plan", file, {}, kLongAnswerTime, kPlanRetryTime);
}

}  // namespace ds::clients
