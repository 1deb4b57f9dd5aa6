#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "scheduler/simulator/simulation.hpp"

namespace ds::simulator {

/// Linear between the two nearest of the sorted values, as NumPy's; `values` is not empty.
double percentile(std::vector<double> values, double percent);

/// What came out, in the fields of `ds-sim --json`:
/// `jobs`; `average_jct_s`, `p50_jct_s`, `p90_jct_s`, `p99_jct_s` from submission to end; `makespan_s`;
/// `gpu_hours` held, standing still included; `restarts`, starts included;
/// `worst_finish_time_ratio`: job completion time / (run time alone on what was asked for x max(1, jobs /
/// slots)), as Shockwave (NSDI 2023) publishes it; `unfair_share`: of the jobs, those
/// whose ratio is above 1.05; `deadlines_met` where there are deadlines: jobs that ended
/// by theirs and not after, as ElasticFlow's authors count, and, if the policy answers for them, of these
/// `admitted`, `refused`, `late` (admitted and not met), and `refusals`, each with `job`, `deadline_s` and
/// the `earliest_s` that would have been accepted; `allocated_share` and `utilisation`: slots held, and slots
/// making steps, of all until the last end; `decision_ms_p50`, `decision_ms_p99` when they were measured.
nlohmann::ordered_json to_json(const Outcome& outcome);

/// The same for a person, a line each.
std::string to_table(const nlohmann::ordered_json& report);

}  // namespace ds::simulator
