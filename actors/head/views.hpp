#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/gateway/http_server.hpp"
#include "scheduler/ledger/ledger.hpp"
#include "scheduler/policy/room.hpp"
#include "scheduler/spec/job_file.hpp"
#include "scheduler/spec/tenant_tree.hpp"
#include "storage/checkpoint/checkpoint_store.hpp"
#include "storage/result.hpp"

namespace ds::head {

/// What is known of a running job beyond the ledger; lost with the head and told again by the workers.
struct LiveJob {
  std::uint64_t step = 0;
  double loss = 0;
  double samples_per_second = 0;
  std::uint64_t skipped_steps = 0, bad_records = 0;
  double noise_scale = 0;  ///< of the gradient, in samples; 0: not known
  bool has_loss = false;
  std::map<std::string, double> phase_seconds;
};

/// A node that is registered now.
struct NodeEntry {
  std::string name, address, state = "UP";
  std::int32_t pid = 0;
  std::uint32_t slots = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<std::string> gpus;  ///< names, by device
  std::uint32_t cores = 0;        ///< that its workers may run on
  bool pretends = false;          ///< it starts no programs and says it does
  std::string reason{};           ///< why nothing new goes there; empty: it may

  /// Jobs are given those from the first on that are of its kind: a node offers one kind.
  std::uint32_t usable_gpus() const;
  /// Whether they are among these, and of a kind that a job asks for. None are.
  bool has_devices(std::span<const std::uint32_t> devices, std::string_view kind) const;
  std::string gpu_kind() const { return gpus.empty() ? std::string() : gpus.front(); }
};

// The documents of `clients/openapi.yaml`. Pure.

/// `pids`: by worker, as far as known. `whole`: with workers and evaluations, as for one job.
nlohmann::json job_view(const scheduler::JobRecord& job, const LiveJob* live, const std::string& wait_reason,
                        const scheduler::Ledger& ledger, const std::map<std::uint64_t, std::int32_t>& pids,
                        bool whole);
/// Whether a job has all labels that the query of a list of jobs names: `label.team=search`.
bool has_wanted_labels(const std::map<std::string, std::string>& labels,
                       const std::map<std::string, std::string>& query);
/// What else that query may ask for.
struct JobFilter {
  std::set<scheduler::JobState> states;  ///< one of these; none: any
  std::string tenant;                    ///< empty: any
  bool active = false;                   ///< only those that have not ended
};
/// `state=QUEUED,RUNNING`, `tenant=nlp`, `active=true`. Errors: `invalid_argument`.
Result<JobFilter> read_job_filter(const std::map<std::string, std::string>& query);
bool is_wanted(const scheduler::JobRecord& job, const JobFilter& filter);
nlohmann::json node_view(const NodeEntry& node, scheduler::SlotCount slots_used, std::size_t gpus_used);
/// All queues but the root, parents before children; without tenants one called `default` for everybody. Then
/// those that are named no more and have jobs still.
/// `cluster`: what the nodes have together.
nlohmann::json tenants_view(const scheduler::TenantTree& tenants, const scheduler::Ledger& ledger,
                            const scheduler::Room& cluster, std::int64_t now_ms);
/// In hours.
nlohmann::json use_view(const scheduler::Use& use);
/// What each queue has used up to `now_ms`, all of them (empty `tenant`) or those of one tenant. `since_ms`:
/// from the beginning of its day (UTC) on; 0: since counting began. Errors: `invalid_argument` where it is
/// not known for so long.
Result<nlohmann::json> usage_view(const scheduler::UseAccounts& accounts, std::int64_t since_ms,
                                  const std::string& tenant, std::int64_t now_ms);
nlohmann::json checkpoints_view(std::span<const storage::CheckpointEntry> entries,
                                const scheduler::Goal& goal);
nlohmann::json reasons_view(std::span<const scheduler::Reason> reasons);
nlohmann::json why_view(const scheduler::JobRecord& job, std::span<const scheduler::Reason> reasons);
nlohmann::json events_view(const scheduler::History::Page& page);

/// For a method that the route does not take.
gateway::HttpResponse wrong_method(const char* allowed);
gateway::HttpResponse json_response(const nlohmann::json& document, int status = 200);
/// The HTTP answer for a failure: the status follows from the code.
gateway::HttpResponse error_response(const Error& error);
gateway::HttpResponse invalid_job_response(std::span<const scheduler::SpecError> errors,
                                           const std::string& file);
gateway::HttpResponse invalid_tenants_response(std::span<const scheduler::SpecError> errors,
                                               const std::string& file);

}  // namespace ds::head
