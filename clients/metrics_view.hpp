#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "clients/exposition.hpp"

namespace ds::clients {

/// What is measured of a job, of the head's answer about it: its newest numbers, its evaluations, how fast it
/// is at which size; of a job that serves a model also the samples about that. Pure, as all here.
nlohmann::json job_metrics(const nlohmann::json& job, std::span<const Sample> samples);
/// Of the document that `job_metrics` makes: a line for each number, then tables.
std::string format_job_metrics(const nlohmann::json& metrics, bool coloured);

/// Of all jobs: `{"jobs","samples"}`, the newest numbers of each, and all samples of the head.
nlohmann::json cluster_metrics(const nlohmann::json& jobs, std::span<const Sample> samples);
/// Of the document that `cluster_metrics` makes; jobs of which nothing is measured are left out.
std::string format_cluster_metrics(const nlohmann::json& metrics, bool coloured);

}  // namespace ds::clients
