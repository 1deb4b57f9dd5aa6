#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "clients/exit_code.hpp"
#include "clients/job_filter.hpp"
#include "clients/job_submission.hpp"
#include "clients/local_cluster.hpp"
#include "clients/output.hpp"

namespace ds::clients {

/// What every command gets from the command line.
struct CommandContext {
  std::string head;   ///< option `--head`; empty when not given
  bool json = false;  ///< `-o json` or `-o yaml`: one document on standard output
  bool yaml = false;  ///< which of the two
  TenantChoice tenant;
  std::vector<std::string> overrides;  ///< options `--set`
  Terminal terminal;
  std::chrono::seconds patience{60};  ///< how long a head may be away while something is followed
};

/// To standard output, in the form that was asked for.
void write_document(const CommandContext& context, const nlohmann::json& document);

// The commands of `ds-submit`. Each writes its result to standard output, talk to standard error, and throws
// `Failure`.
ExitCode run_job(const CommandContext& context, const std::string& file);
/// Submits a job that runs a program in the current directory once, and follows it.
ExitCode run_command(const CommandContext& context, const std::vector<std::string>& arguments);
ExitCode submit_job_file(const CommandContext& context, const std::string& file);
/// What would become of the job if it were submitted now. `unplaceable` or `quota` when it could never start.
ExitCode plan_job_file(const CommandContext& context, const std::string& file);
ExitCode list_jobs(const CommandContext& context, const JobFilter& filter);
ExitCode show_job(const CommandContext& context, const std::string& job);
ExitCode show_logs(const CommandContext& context, const std::string& job, bool follow);
/// What happened to a job, or lately in the cluster (empty `job`).
ExitCode show_events(const CommandContext& context, const std::string& job, bool follow);
/// What is measured of a job, or of all (empty `job`) and by the head.
ExitCode show_metrics(const CommandContext& context, const std::string& job);
/// `wanted`: a state, or `done` for any that is an end. Waits for ever without a `timeout`.
ExitCode wait_for_job(const CommandContext& context, const std::string& job, const std::string& wanted,
                      std::optional<std::chrono::milliseconds> timeout);
/// `verb`: `cancel`, `pause`, `resume` or `retry`, as in the API.
ExitCode change_job(const CommandContext& context, const std::string& job, const std::string& verb);
/// `value`: a word or a number.
ExitCode set_priority(const CommandContext& context, const std::string& job, const std::string& value);
/// `workers`: `MIN:MAX`, or one number for both.
ExitCode scale_job(const CommandContext& context, const std::string& job, const std::string& workers);
/// `verb`: `drain`, `cordon` or `undrain`.
ExitCode change_node(const CommandContext& context, const std::string& node, const std::string& verb);
ExitCode list_nodes(const CommandContext& context);
/// `apply` (empty: none): a file that says what they may use from now on.
ExitCode show_tenants(const CommandContext& context, const std::string& apply);
/// What `usage` is asked for.
struct UsageOptions {
  std::string tenant;  ///< empty: all
  std::string since;   ///< as `parse_since` takes it; empty: since counting began
  bool jobs = false;   ///< by job, not by queue
};
ExitCode show_usage(const CommandContext& context, const UsageOptions& options);
ExitCode list_checkpoints(const CommandContext& context, const std::string& job);
ExitCode explain_wait(const CommandContext& context, const std::string& job);
/// `step` 0: the newest checkpoint.
ExitCode export_job(const CommandContext& context, const std::string& job, const std::string& format,
                    std::uint64_t step, const std::string& file);
/// Checks what the workers of a job with `audit: true` recorded. Empty `folder`: where the head says they do.
ExitCode audit_job(const CommandContext& context, const std::string& job, const std::string& folder);
/// Models of the registry, or one with its versions.
ExitCode show_models(const CommandContext& context, const std::string& model);
/// `from`: `ckpt:JOB@best` or `file:PATH`. `tag` (empty: none) points at the version then.
ExitCode register_model(const CommandContext& context, const std::string& model, const std::string& from,
                        const std::string& tag);
/// `what`: NAME, or NAME@VERSION.
ExitCode unregister_model(const CommandContext& context, const std::string& what);
/// `what`: `NAME`, `NAME@VERSION` or `NAME@TAG`.
ExitCode promote_model(const CommandContext& context, const std::string& what, const std::string& tag);
/// `from`: the version that the tag points at; empty: whichever it is when the model is read.
ExitCode roll_model_back(const CommandContext& context, const std::string& model, const std::string& tag,
                         const std::string& from);
/// Asks a model that a `serve` job serves: for texts, or tensors given as `NAME=JSON`.
ExitCode predict(const CommandContext& context, const std::string& model,
                 const std::vector<std::string>& texts, const std::vector<std::string>& tensors);
/// `field` (empty: the root) of the format of job files. Asks no head.
ExitCode explain(const CommandContext& context, const std::string& field);
/// The format as JSON Schema. Asks no head.
ExitCode show_schema(const CommandContext& context);
/// Looks at what commonly goes wrong, here and at the head; `unexpected` when something has to be done.
ExitCode examine(const CommandContext& context);
ExitCode show_version(const CommandContext& context);

/// `tenants`: the file that says what they may use; empty: as last time.
ExitCode bring_up(const CommandContext& context, const ShapeOptions& options, const std::string& tenants);
ExitCode take_down(const CommandContext& context, bool purge);

}  // namespace ds::clients
