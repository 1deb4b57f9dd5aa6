#include "tests/unit/head/head_watch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <variant>

namespace ds::head::test {

using namespace scheduler;

void HeadWatch::on_durable(const std::string& text) {
  events_.push_back(text);
  const auto event = event_from(text);
  ASSERT_TRUE(event) << text;
  std::string job;  // before a lease is gone
  const auto note_job = [&](std::uint64_t worker) {
    const auto lease = ledger_.leases().find(worker);
    if (lease != ledger_.leases().end()) job = lease->second.job;
  };
  if (const auto* one = std::get_if<LeaseReleasing>(&event->body)) note_job(one->worker);
  if (const auto* one = std::get_if<LeaseGranted>(&event->body)) job = one->job;
  if (const auto* one = std::get_if<WorkerCrashed>(&event->body)) job = one->job;
  if (const auto* one = std::get_if<JobRetried>(&event->body)) job = one->job;
  ASSERT_TRUE(ledger_.apply(*event)) << "a new head could not read it: " << text;
  if (!job.empty() && !gangs_[job].empty()) gangs_[job].rbegin()->second.has_cause_to_end = true;
  if (const auto* one = std::get_if<GenerationFormed>(&event->body)) gangs_[one->job][one->generation];
  if (std::holds_alternative<LeaseGranted>(event->body)) check_limits();
}

void HeadWatch::check_limits() const {
  std::map<std::string, std::uint32_t> on_node;
  std::map<std::string, std::uint64_t> of_tenant;
  for (const auto& [worker, lease] : ledger_.leases()) {
    on_node[lease.node] += lease.slots;
    of_tenant[lease.tenant] += lease.slots;
  }
  for (const auto& [node, slots] : on_node)
    EXPECT_LE(slots, slots_per_node_) << node << ": slots given twice";
  for (const auto& queue : tenants_.queues) {
    if (queue.depth != 1 || !queue.most()) continue;
    EXPECT_LE(of_tenant[queue.name], *queue.most()) << "more than tenant " << queue.name << " may have";
  }
}

void HeadWatch::on_start(const std::string& node, Program& program) {
  ++starts_;
  for (const auto& [worker, other] : alive_) {
    if (other.job != program.job) continue;
    EXPECT_EQ(other.generation, program.generation) << program.job << " runs twice at once";
    EXPECT_NE(other.rank, program.rank) << program.job << ": a rank runs twice at once";
  }
  auto& starts = gangs_[program.job];
  for (const auto& [generation, start] : starts) {
    if (generation >= program.generation || start.ranks == 0 || start.has_cause_to_end) continue;
    EXPECT_LT(start.started.size(), start.ranks)
        << program.job << " is started again as generation " << program.generation
        << " though nothing was wrong with generation " << generation << ", of which " << start.through.size()
        << " ranks are through";
  }
  Start& start = starts[program.generation];
  start.ranks = program.ranks;
  EXPECT_TRUE(start.started.insert(program.rank).second) << program.job << ": a rank is started twice";
  alive_[program.worker] = program;
  node_of_[program.worker] = node;
  used_[node] += program.slots;
  EXPECT_LE(used_[node], slots_per_node_)
      << node << " runs more than it has slots for when worker " << program.worker << " of " << program.job
      << " starts; the last events:\n"
      << last_events();
}

std::string HeadWatch::last_events() const {
  std::string text;
  for (std::size_t i = events_.size() - std::min<std::size_t>(events_.size(), 60); i < events_.size(); ++i)
    text += events_[i] + "\n";
  for (const auto& [worker, program] : alive_)
    text +=
        "worker " + std::to_string(worker) + " of " + program.job + " runs on " + node_of_.at(worker) + "\n";
  return text;
}

void HeadWatch::on_end(const Program& program) {
  if (alive_.erase(program.worker) == 1) used_[node_of_[program.worker]] -= program.slots;
  Start& start = gangs_[program.job][program.generation];
  if (program.was_stopped || !program.ends_cleanly) {
    start.has_cause_to_end = true;
  } else {
    start.through.insert(program.rank);
  }
}

void HeadWatch::on_lost(const Program& program) {
  if (alive_.erase(program.worker) == 1) used_[node_of_[program.worker]] -= program.slots;
  gangs_[program.job][program.generation].has_cause_to_end = true;
}

}  // namespace ds::head::test
