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

/// The applications by name, as `read_applications` gives them, for each kind of GPU.
using ApplicationsByKind = std::vector<std::map<std::string, ApplicationProfile>>;

/// The lines of a Pollux or Sia workload in the order of submission; `applications`, of which there is at
/// least one kind, must outlive them. Refusals name `file:line:column`.
Read<std::vector<PolluxSubmission>> read_pollux_workload(const std::filesystem::path& file,
                                                         const ApplicationsByKind& applications);

struct ElasticFlowWorkload {
  std::vector<ElasticFlowSubmission> jobs;  ///< in the order of submission, times counted from the first one
  double first_s = 0;                       ///< when that was, by the file's clock
};

/// `models` must outlive the jobs. Refusals name `file:line:column`.
Read<ElasticFlowWorkload> read_elasticflow_workload(const std::filesystem::path& file,
                                                    const std::map<std::string, ThroughputTable>& models);

struct NamedCluster {
  scheduler::ElasticCluster cluster;
  std::vector<std::string> kinds;  ///< names of its kinds of GPU; empty when none were given
};

/// `16x4`: nodes, and slots of each; at most 65,536 and 64. With kinds of GPU `6x4:aws+3x8:rtx`, at most 16.
Read<NamedCluster> parse_cluster(std::string_view text);

}  // namespace ds::simulator
