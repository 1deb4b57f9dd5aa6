#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "actors/gateway/http_server.hpp"
#include "scheduler/ledger/ledger.hpp"
#include "scheduler/spec/job_file.hpp"
#include "scheduler/spec/tenant_tree.hpp"
#include "storage/result.hpp"

namespace ds::head {

/// A job that may be accepted: its file is right, and so is what can be told of its data in a moment.
struct Submission {
  std::string key;  ///< idempotency key, may be empty
  std::string file, directory, text;
  scheduler::JobSpec spec;
  std::map<std::string, scheduler::Mark> marks{};  ///< where its fields stand in the file
};

/// The alternative is the answer to give.
using CheckedSubmission = std::variant<Submission, gateway::HttpResponse>;

/// A control body: a JSON object, of bounded depth and without a key twice.
Result<nlohmann::json> parse_body(const std::string& body);

/// The key that a client gave its submission; empty when it gave none.
std::string idempotency_key(const gateway::HttpRequest& request);

/// Checks the body of `POST /api/v1/jobs`. Reads the beginning of the data files, so it may block and never
/// runs on an actor's thread. The alternative is the answer to give. Throws nothing.
std::variant<Submission, gateway::HttpResponse> check_submission(const gateway::HttpRequest& request);

/// The ids of the jobs that the file names in `depends_on`; the alternative is the answer to give when one is
/// none or several. Pure.
std::variant<std::vector<std::string>, gateway::HttpResponse> resolve_dependencies(
    const Submission& submission, const scheduler::Ledger& ledger);

/// The answer to give when the job's tenant or queue is not known, or may never have what the job needs at
/// least. Pure.
std::optional<gateway::HttpResponse> check_tenant(const Submission& submission,
                                                  const scheduler::TenantTree& tenants);

}  // namespace ds::head
