#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "actors/gateway/http_server.hpp"
#include "scheduler/ledger/ledger.hpp"
#include "scheduler/spec/job_file.hpp"
#include "scheduler/spec/tenant_tree.hpp"
#include "storage/checkpoint/checkpoint_store.hpp"
#include "storage/result.hpp"

namespace ds::head {

/// A job that may be accepted: its file is right, and so is what can be told of its data in a moment.
struct Submission {
  std::string key;  ///< idempotency key, may be empty
  std::string file, directory;
  std::string text;  ///< of the file, with what the client said beside it
  scheduler::JobSpec spec;
  std::map<std::string, scheduler::Mark> marks{};  ///< where its fields stand in the file as the user has it
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

/// The answer to give when a job serves under the name already. Pure.
std::optional<gateway::HttpResponse> check_endpoint(const std::string& name, const scheduler::Ledger& ledger);

/// The job that serves the submission's file already, as an equal job file said; null: there is none. Pure.
const scheduler::JobRecord* find_same_server(const Submission& submission, const scheduler::Ledger& ledger);

/// The id of the job whose checkpoint a `serve` job names; the alternative is the answer to give. Pure.
std::variant<std::string, gateway::HttpResponse> resolve_checkpoint_job(const Submission& submission,
                                                                        const scheduler::Ledger& ledger);

/// The id of the training job that has this name or id. Pure.
std::variant<std::string, scheduler::ModelFault> find_training_job(const std::string& name,
                                                                   const scheduler::Ledger& ledger);

/// The versions of the registry that a `serve` job serves, none for one that serves no such; the alternative
/// is the answer to give when there are none. Pure.
std::variant<std::vector<scheduler::ServedLine>, gateway::HttpResponse> resolve_model(
    const Submission& submission, const scheduler::Ledger& ledger);

/// The step of the checkpoint that is named, of those that there are. Where none has been measured the best
/// is the newest. Pure. Errors: `not_found`.
Result<std::uint64_t> choose_step(std::span<const storage::CheckpointEntry> entries,
                                  const scheduler::Goal& goal, const scheduler::ServedSource& source);

/// The answer to a job whose field is wrong. Pure.
gateway::HttpResponse refuse_field(const Submission& submission, const std::string& field,
                                   const std::string& message, const std::string& hint);

/// The answer to give when the job's tenant or queue is not known, or may never have what the job needs at
/// least. Pure.
std::optional<gateway::HttpResponse> check_tenant(const Submission& submission,
                                                  const scheduler::TenantTree& tenants);

}  // namespace ds::head
