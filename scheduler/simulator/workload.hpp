#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/simulator/application_profile.hpp"
#include "scheduler/simulator/elasticflow_job.hpp"
#include "scheduler/simulator/pollux_job.hpp"
#include "scheduler/simulator/throughput_table.hpp"

namespace ds::simulator {

/// The lines of a Pollux workload in the order of submission; `applications` must outlive them. Refusals
/// name `file:line:column`.
Read<std::vector<PolluxSubmission>> read_pollux_workload(
    const std::filesystem::path& file, const std::map<std::string, ApplicationProfile>& applications);

/// The lines of an ElasticFlow workload in the order of submission, their times counted from the first one;
/// `models` must outlive them. Refusals name `file:line:column`.
Read<std::vector<ElasticFlowSubmission>> read_elasticflow_workload(
    const std::filesystem::path& file, const std::map<std::string, ThroughputTable>& models);

/// `16x4`: nodes, and slots of each; at most 65,536 and 64.
Read<scheduler::ElasticCluster> parse_cluster(std::string_view text);

}  // namespace ds::simulator
