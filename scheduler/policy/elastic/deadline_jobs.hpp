#pragma once

#include <span>

#include "scheduler/policy/elastic/elastic_policy.hpp"

namespace ds::scheduler {

/// Decides about jobs that all have deadlines: newcomers are admitted in the order of submission, or refused,
/// and those admitted get what `Promises` gives them. They are packed onto nodes as long as a restart for
/// that costs none its deadline; a job that could not bear one stays where it is, and others are split. Pure.
Decision plan_deadline_jobs(const ElasticCluster& cluster, std::span<const ElasticJob> jobs, double now_s);

}  // namespace ds::scheduler
