#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "clients/api_client.hpp"

namespace ds::clients {

/// Whose a job, or a request, is.
struct TenantChoice {
  std::string given;       ///< option `--tenant`: goes before what a job file says; empty when not given
  std::string by_default;  ///< `DS_TENANT`: where nothing else says it; may be empty

  const std::string& of_request() const { return given.empty() ? by_default : given; }
};

/// A job file as it is sent.
struct JobFile {
  std::string shown;      ///< as the user named it, for errors; `stdin` for `-`
  std::string name;       ///< without its directory
  std::string directory;  ///< absolute; what relative paths in the file are taken from
  std::string text;       ///< UTF-8
  TenantChoice tenant = {};
  std::vector<std::string> overrides = {};  ///< `PATH=VALUE`: fields that are other than the file says
};

/// Reads `path`, or standard input for `-`. Throws `Failure` with `job_invalid` when it cannot be read, is
/// larger than 64 KiB, or is not UTF-8 (naming line and column).
JobFile read_job_file(const std::string& path);
/// The same of a file of tenants.
JobFile read_tenants_file(const std::string& path);

/// A job that runs `arguments` (a program and what it gets) in the current directory, on one worker, without
/// another try when it fails. Throws `Failure` with `usage` when they can't stand in a job file.
JobFile make_command_job(const std::vector<std::string>& arguments);

/// Submits and returns `{"id","name","state"}`. A head that cannot be reached, is too busy or too slow is
/// tried again for 10 s with the same idempotency key, so that a lost answer makes no second job. A job file
/// that the head refuses ends in a `Failure` whose message shows each error with its line.
nlohmann::json submit_job(ApiClient& api, const JobFile& file);

/// Asks for these tenants in the place of those that there are, and returns them as `GET /api/v1/tenants`
/// does. Tried again as a submission is; a file that the head refuses ends as there.
nlohmann::json apply_tenants(ApiClient& api, const JobFile& file);

/// Asks what would become of the job if it were submitted now. Errors as for `submit_job`, but a head
/// that waits for its nodes takes longer: it is tried again for 20 s.
nlohmann::json plan_job(ApiClient& api, const JobFile& file);

}  // namespace ds::clients
