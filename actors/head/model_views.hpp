#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "scheduler/ledger/ledger.hpp"

namespace ds::head {

// What the API says of models and of the jobs that serve them. Pure.

/// `whole`: with all versions and what its tags pointed at; else the newest version alone.
nlohmann::json model_view(const scheduler::RegisteredModel& model, bool whole);
nlohmann::json version_view(const scheduler::RegisteredModel& model, const scheduler::ModelVersion& version);

/// Which versions of which model a `serve` job serves, with which shares, by how many replicas; null: it
/// serves none of the registry.
nlohmann::json served_view(const scheduler::JobRecord& job, const scheduler::Ledger& ledger);

/// In words, for the job's reason: ` of version 2; …`; empty: it serves none of the registry.
std::string served_text(const scheduler::JobRecord& job, const scheduler::VersionCounts& ready);

/// Why not all its replicas are what its tags point at.
std::vector<scheduler::Reason> rollout_reasons(const scheduler::JobRecord& job);

}  // namespace ds::head
