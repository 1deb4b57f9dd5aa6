// Nodes that are not heard of any more, and the users' programs that may still run there.
#include <fmt/format.h>

#include <algorithm>

#include "actors/head/head_actor.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

/// Between the end of a node's term and the start of its programs elsewhere: they get SIGTERM and
/// `node::kFencedGrace`, and clocks may differ a little.
constexpr std::chrono::milliseconds kTermMargin{10'000};
/// A node that was killed is known to be gone sooner, and nobody need read of it.
constexpr std::chrono::milliseconds kTellAfter{1'000};

}  // namespace

/// A training job's workers need not be waited for: what they do without the head counts for nothing.
bool Head::may_run_unheard(const Lease& lease) const {
  if (parts_.node_term.count() == 0 || !is_command(lease.job)) return false;
  const auto job = jobs_.find(lease.job);
  return job == jobs_.end() || !job->second.command || job->second.command->is_alive(lease.worker);
}

void Head::on_node_lost(const std::string& name, std::uint64_t process, const std::string& address,
                        std::chrono::milliseconds unheard_for) {
  std::vector<std::uint64_t> gone;
  std::set<std::uint64_t> may_run;
  for (const auto& lease : ledger_.leases_on(name)) {
    may_run_unheard(lease) ? void(may_run.insert(lease.worker)) : gone.push_back(lease.worker);
  }
  if (!may_run.empty()) cut_off(name, process, address, std::move(may_run), unheard_for);
  end_leases(gone, fmt::format("node {} is down", name));
}

void Head::cut_off(const std::string& name, std::uint64_t process, const std::string& address,
                   std::set<std::uint64_t> workers, std::chrono::milliseconds unheard_for) {
  const auto wait = std::max(std::chrono::milliseconds(0), parts_.node_term + kTermMargin - unheard_for);
  const auto number = ++cut_offs_;
  auto& entry = cut_off_[name];
  entry.workers.merge(std::move(workers));
  entry.number = number;
  entry.process = process;
  entry.until_ms = now_ms() + wait.count();
  delayed_send(this, wait, Run{[name, number](Head& head) {
                 head.end_cut_off(name, number,
                                  fmt::format("nothing was heard of node {} for too long", name));
               }});
  if (wait > kTellAfter)
    delayed_send(this, kTellAfter, Run{[name, number](Head& head) { head.tell_cut_off(name, number); }});
  if (address.empty()) return;
  parts_.watch_port(address, wait, [self = caf::actor_cast<caf::actor>(this), name, number] {
    caf::anon_send(self, Run{[name, number](Head& head) {
                     head.end_cut_off(name, number, fmt::format("node {} is down", name));
                   }});
  });
}

/// People see why a job seems to hang.
void Head::tell_cut_off(const std::string& name, std::uint64_t number) {
  const auto found = cut_off_.find(name);
  if (found == cut_off_.end() || found->second.number != number) return;
  const auto why = fmt::format("nothing is heard of node {}; what ran there starts elsewhere in {} s", name,
                               (found->second.until_ms - now_ms()) / 1000);
  std::set<std::string> jobs;
  for (const auto worker : found->second.workers) {
    const auto lease = ledger_.leases().find(worker);
    if (lease != ledger_.leases().end()) jobs.insert(lease->second.job);
  }
  for (const auto& job : jobs) {
    const auto state = ledger_.find(job)->state;
    if (state == JobState::running) set_state(job, state, "head", why);
  }
}

void Head::end_cut_off(const std::string& name, std::uint64_t number, const std::string& why) {
  const auto found = cut_off_.find(name);
  if (found == cut_off_.end() || found->second.number != number) return;
  const std::vector<std::uint64_t> workers(found->second.workers.begin(), found->second.workers.end());
  cut_off_.erase(found);
  spdlog::info("{}: {} of its programs have ended", why, workers.size());
  end_leases(workers, why);
  on_nodes_changed();
}

/// It is back, with all that still runs there: unless it is another that has taken the name, or may be.
void Head::on_node_back(const messages::NodeHello& hello) {
  const auto found = cut_off_.find(hello.name);
  if (found == cut_off_.end()) return;
  auto& workers = found->second.workers;
  if (found->second.process == hello.agent.process.id) workers.clear();
  for (const auto& running : hello.running) workers.erase(running.worker);
  if (workers.empty()) cut_off_.erase(found);
}

/// It belongs to a program of a process of that name which may still be there.
bool Head::is_cut_off(const Lease& lease) const {
  const auto found = cut_off_.find(lease.node);
  return found != cut_off_.end() && found->second.workers.contains(lease.worker);
}

}  // namespace ds::head
