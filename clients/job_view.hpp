#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace ds::clients {

/// The head's answers as a person reads them; each ends with a newline. Pure: `now_ms` is milliseconds since
/// 1970.
std::string format_jobs(const nlohmann::json& jobs, std::int64_t now_ms, bool coloured);
std::string format_job(const nlohmann::json& job, std::int64_t now_ms, bool coloured);
std::string format_nodes(const nlohmann::json& nodes, bool coloured);
std::string format_tenants(const nlohmann::json& tenants, bool coloured);
/// Of these, what runs of those that are named no more: a warning, a line each; empty: nothing does.
std::string format_removed(const nlohmann::json& tenants);
std::string format_checkpoints(const nlohmann::json& checkpoints, bool coloured);
/// Of the answer of `plan`.
std::string format_plan(const nlohmann::json& plan, bool coloured);
std::string format_why(const nlohmann::json& why, bool coloured);
/// What to type to come back to a job that one no longer waits for.
std::string ways_back(const std::string& id);

}  // namespace ds::clients
