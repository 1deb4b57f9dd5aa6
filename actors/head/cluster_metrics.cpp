#include "actors/head/cluster_metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "actors/serving/metrics_writer.hpp"
#include "scheduler/policy/queue_use.hpp"
#include "scheduler/policy/shares.hpp"
#include "scheduler/spec/queue_index.hpp"

namespace ds::head {
namespace {

using scheduler::TenantTree;
using serving::MetricsWriter;

template <std::size_t kBounds>
void write(MetricsWriter& out, const TimeHistogram<kBounds>& histogram) {
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBounds; ++i) {
    seen += histogram.counts[i];
    out.bucket({}, fmt::format("{}", histogram.bounds_s[i]), seen);
  }
  seen += histogram.counts[kBounds];
  out.bucket({}, "+Inf", seen);
  out.add("_sum", {}, histogram.sum_s);
  out.add("_count", {}, seen);
}

void write_jobs(MetricsWriter& out, const scheduler::Ledger& ledger, const WaitCounts& waits) {
  out.family("ds_jobs", "gauge", "Jobs by kind, state and tenant.");
  for (const auto& [group, count] : ledger.counts().groups()) {
    const auto& [kind, state, tenant] = group;
    out.add("",
            fmt::format("kind=\"{}\",state=\"{}\",tenant=\"{}\"", to_string(kind), to_string(state), tenant),
            count);
  }
  WaitCounts pending = waits;
  std::uint64_t known = 0;
  for (const auto& [reason, count] : waits) known += count;
  if (const auto all = ledger.counts().waiting(); all > known) pending["unknown"] = all - known;
  out.family("ds_pending_jobs", "gauge",
             "Jobs that wait, by the first reason that ds-submit why gives; unknown: about to start, or not "
             "looked at, because more than 1,000 wait before them.");
  for (const auto& [reason, count] : pending) out.add("", fmt::format("reason=\"{}\"", reason), count);
}

void write_queues(MetricsWriter& out, const scheduler::Ledger& ledger, const TenantTree& tenants,
                  const scheduler::Room& cluster) {
  const scheduler::QueueIndex index(tenants);
  scheduler::QueueUse use(tenants, cluster);
  for (const auto& [worker, lease] : ledger.leases()) {
    if (lease.role != scheduler::Role::worker) continue;
    use.add(index.find(lease.tenant, lease.queue).value_or(TenantTree::kRoot),
            {lease.slots, lease.memory_bytes, lease.devices.size()});
  }
  const scheduler::Shares shares(tenants, index, {}, cluster);
  const std::size_t first = tenants.has_tenants() ? 1 : 0;
  const auto label = [&](std::size_t i) {
    return fmt::format("queue=\"{}\"", i == TenantTree::kRoot ? "default" : tenants.full_name(i));
  };
  out.family("ds_tenant_slots", "gauge", "Slots that a queue, with those below it, has and is guaranteed.");
  for (std::size_t i = first; i < tenants.queues.size(); ++i) {
    out.add("", label(i) + ",what=\"used\"", number_text(use.slots(i)));
    out.add("", label(i) + ",what=\"guaranteed\"", tenants[i].guaranteed);
  }
  out.family("ds_tenant_gpus", "gauge", "GPUs that a queue, with those below it, has.");
  for (std::size_t i = first; i < tenants.queues.size(); ++i) out.add("", label(i), use.used(i).gpus);
  out.family("ds_tenant_guaranteed_gpus", "gauge", "GPUs that a queue, with those below it, is guaranteed.");
  for (std::size_t i = first; i < tenants.queues.size(); ++i)
    out.add("", label(i), tenants[i].guaranteed_gpus);
  out.family("ds_tenant_share_ratio", "gauge", "Of the cluster that a queue has: of what it has most of.");
  for (std::size_t i = first; i < tenants.queues.size(); ++i)
    out.add("", label(i), shares.of(use, i) * tenants[i].weight);
}

scheduler::Room write_nodes(MetricsWriter& out, const scheduler::Ledger& ledger,
                            std::span<const NodeEntry> nodes) {
  scheduler::Room cluster;
  std::map<std::string_view, std::uint64_t> states;
  for (const NodeEntry& node : nodes) {
    ++states[node.state];
    cluster = plus(cluster, {node.slots, node.memory_bytes, node.usable_gpus()});
  }
  scheduler::SlotCount slots;
  std::uint64_t gpus = 0;
  for (const auto& [worker, lease] : ledger.leases()) {
    slots += lease.slots;
    gpus += lease.devices.size();
  }
  out.family("ds_nodes", "gauge", "Nodes by state.");
  for (const auto& [state, count] : states) out.add("", fmt::format("state=\"{}\"", state), count);
  out.family("ds_slots", "gauge", "Slots of all nodes, and those that are leased.");
  out.add("", "what=\"total\"", number_text(cluster.slots));
  out.add("", "what=\"used\"", number_text(slots));
  out.family("ds_gpus", "gauge", "GPUs of all nodes, and those that are leased.");
  out.add("", "what=\"total\"", cluster.gpus);
  out.add("", "what=\"used\"", gpus);
  return cluster;
}

}  // namespace

std::string cluster_metrics(const scheduler::Ledger& ledger, std::span<const NodeEntry> nodes,
                            const HeadCounters& counters, const WaitCounts& waits) {
  MetricsWriter out;
  write_jobs(out, ledger, waits);
  out.family("ds_job_wait_seconds", "histogram", "From a job's submission to its first start.");
  write(out, counters.job_wait);
  out.family("ds_sched_cycle_seconds", "histogram", "What one round of scheduling takes.");
  write(out, counters.cycle);
  out.family("ds_preemptions_total", "counter",
             "Jobs that lost all workers, and workers that left jobs which go on, by why.");
  out.add("", "cause=\"preempted\"", counters.preempted);
  out.add("", "cause=\"shrunk\"", counters.shrunk);
  out.add("", "cause=\"drained\"", counters.drained);
  const auto cluster = write_nodes(out, ledger, nodes);
  write_queues(out, ledger, ledger.tenants(), cluster);
  out.family("ds_checkpoint_bytes_total", "counter", "Bytes of the checkpoints that were saved.");
  out.add("", {}, counters.checkpoint_bytes);
  return out.take();
}

}  // namespace ds::head
