#include "tests/unit/head/head_watch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
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
  if (const auto* one = std::get_if<WorkerCrashed>(&event->body)) {
    EXPECT_FALSE(cut_off_.contains({one->worker, ledger_.find(one->job)->generation}))
        << "what ended because its node was cut off counts as a crash";
  }
  // It may be through; who can't hear of its node has to start it again.
  if (const auto* one = std::get_if<LeaseEnded>(&event->body);
      one != nullptr && is_unheard_member(one->worker))
    note_job(one->worker);
  if (const auto* one = std::get_if<JobRetried>(&event->body)) job = one->job;
  ASSERT_TRUE(ledger_.apply(*event)) << "a new head could not read it: " << text;
  if (!job.empty() && !gangs_[job].empty()) gangs_[job].rbegin()->second.has_cause_to_end = true;
  ++kinds_[event->body.index()];
  if (std::holds_alternative<DeadlinePromised>(event->body)) ++promises_;
  if (const auto* one = std::get_if<JobForgotten>(&event->body)) forgotten_.insert(one->job);
  if (const auto* one = std::get_if<GenerationFormed>(&event->body)) gangs_[one->job][one->generation];
  if (const auto* one = std::get_if<LeaseGranted>(&event->body))
    check_limits(ledger_.leases().at(one->worker).tenant);
}

bool HeadWatch::is_unheard_member(std::uint64_t worker) const {
  const auto lease = ledger_.leases().find(worker);
  if (lease == ledger_.leases().end() || !unheard_.contains(lease->second.node)) return false;
  return std::ranges::find(ledger_.find(lease->second.job)->members, worker) !=
         ledger_.find(lease->second.job)->members.end();
}

void HeadWatch::check_limits(const std::string& granted_to) const {
  std::map<std::string, SlotCount> on_node, of_tenant;
  for (const auto& [worker, lease] : ledger_.leases()) {
    on_node[lease.node] += lease.slots;
    of_tenant[lease.tenant] += lease.slots;
  }
  std::set<std::pair<std::string, std::uint32_t>> devices;
  for (const auto& [worker, lease] : ledger_.leases()) {
    for (const auto device : lease.devices)
      EXPECT_TRUE(devices.emplace(lease.node, device).second)
          << lease.node << ": GPU " << device << " given twice";
  }
  for (const auto& [node, slots] : on_node)
    EXPECT_LE(slots, slots_per_node_) << node << ": slots given twice";
  for (const auto& queue : ledger_.tenants().queues) {
    // Others may have more since their quotas became less.
    if (queue.depth != 1 || !queue.most() || queue.name != granted_to) continue;
    EXPECT_LE(of_tenant[queue.name], *queue.most()) << "more than tenant " << queue.name << " may have";
  }
}

namespace {

std::set<std::string> devices_of(const Program& program) {
  std::set<std::string> devices;
  std::istringstream list(program.devices);
  for (std::string device; std::getline(list, device, ',');) devices.insert(device);
  return devices;
}

}  // namespace

/// As many as its job asks for, and none that another program there can see.
void HeadWatch::check_devices(const std::string& node, const Program& program) {
  const auto devices = devices_of(program);
  const auto* job = ledger_.find(program.job);
  ASSERT_NE(job, nullptr);
  EXPECT_EQ(devices.size(), job->spec->resources.gpus) << program.job << " sees " << program.devices;
  starts_with_gpus_ += devices.empty() ? 0 : 1;
  for (const auto& [worker, other] : alive_) {
    if (node_of_.at(worker) != node) continue;
    for (const auto& device : devices_of(other))
      EXPECT_FALSE(devices.contains(device)) << program.job << " and " << other.job << " both see GPU "
                                             << device << " of " << node << "; the last events:\n"
                                             << last_events();
  }
}

void HeadWatch::on_start(const std::string& node, Program& program) {
  ++starts_;
  program.slots = ledger_.find(program.job)->spec->resources.cpus;
  starts_with_parts_ += program.slots.is_whole() ? 0 : 1;
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
  take_slots(node, program);
}

void HeadWatch::on_worker_start(const std::string& node, Program& worker) {
  ++trainers_;
  worker.slots = ledger_.find(worker.job)->spec->resources.cpus;
  EXPECT_FALSE(alive_.contains(worker.worker)) << "worker " << worker.worker << " is started twice";
  EXPECT_TRUE(started_.insert(worker.worker).second) << "a number is used twice";
  take_slots(node, worker);
}

void HeadWatch::on_worker_end(const Program& worker) {
  if (alive_.erase(worker.worker) == 1) used_[node_of_[worker.worker]] -= worker.slots;
}

/// From now on until it ends.
void HeadWatch::take_slots(const std::string& node, Program& program) {
  check_devices(node, program);
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
  if (program.is_fenced) cut_off_.emplace(program.worker, program.generation);
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
