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
  return job == jobs_.end() || !job->second.command || job->second.command->may_run(lease.worker);
}

void Head::on_node_lost(const std::string& name, const Node& node, std::chrono::milliseconds unheard_for) {
  const auto wait = std::max(std::chrono::milliseconds(0), parts_.node_term + kTermMargin - unheard_for);
  CutOff entry{name, node.process, now_ms() + wait.count(), {}, node.entry.pretends};
  std::vector<std::uint64_t> gone;
  for (const auto& lease : ledger_.leases_on(name)) {
    if (is_cut_off(lease.worker)) continue;
    may_run_unheard(lease) ? void(entry.workers.insert(lease.worker)) : gone.push_back(lease.worker);
  }
  if (!entry.workers.empty()) cut_off(std::move(entry), node.sign_of_life, wait);
  end_leases(gone, fmt::format("node {} is down", name));
}

void Head::cut_off(CutOff entry, const std::string& sign_of_life, std::chrono::milliseconds wait) {
  const auto number = ++cut_offs_;
  const std::string name = entry.node;
  cut_off_.emplace(number, std::move(entry));
  delayed_send(this, wait, Run{[name, number](Head& head) {
                 head.end_cut_off(number, fmt::format("nothing was heard of node {} for too long", name));
               }});
  if (wait > kTellAfter)
    delayed_send(this, kTellAfter, Run{[number](Head& head) { head.tell_cut_off(number); }});
  if (sign_of_life.empty()) return;
  parts_.watch_port(sign_of_life, wait, [self = caf::actor_cast<caf::actor>(this), name, number] {
    caf::anon_send(self, Run{[name, number](Head& head) {
                     head.end_cut_off(number, fmt::format("node {} is down", name));
                   }});
  });
}

/// People see why a job seems to hang.
void Head::tell_cut_off(std::uint64_t number) {
  const auto found = cut_off_.find(number);
  if (found == cut_off_.end()) return;
  const auto& [name, process, until_ms, workers, pretends] = found->second;
  const auto why = fmt::format("nothing is heard of node {}; what ran there starts elsewhere in {} s", name,
                               (until_ms - now_ms()) / 1000);
  std::set<std::string> jobs;
  for (const auto worker : workers) {
    const auto lease = ledger_.leases().find(worker);
    if (lease != ledger_.leases().end()) jobs.insert(lease->second.job);
  }
  for (const auto& job : jobs) {
    const auto state = ledger_.find(job)->state;
    if (state == JobState::running) set_state(job, state, "head", why);
  }
}

void Head::end_cut_off(std::uint64_t number, const std::string& why) {
  const auto found = cut_off_.find(number);
  if (found == cut_off_.end()) return;
  const std::vector<std::uint64_t> workers(found->second.workers.begin(), found->second.workers.end());
  const std::string name = found->second.node;
  cut_off_.erase(found);
  spdlog::info("{}: {} of its programs have ended", why, workers.size());
  end_leases(workers, why);
  on_node_changed(name);
}

/// It is back, with all that still runs there: unless it is another that has taken the name, or may be.
void Head::on_node_back(const messages::NodeHello& hello) {
  for (auto one = cut_off_.begin(); one != cut_off_.end();) {
    auto& [name, process, until_ms, workers, pretends] = one->second;
    if (name == hello.name)
      for (const auto& running : hello.running) workers.erase(running.worker);
    // Nothing of another process that pretended runs anywhere: what this one does not have is gone. Of one
    // that only a former head knew it is taken from the one that comes.
    const bool has_pretended = pretends || (process == 0 && hello.pretends);
    const bool is_same = process == hello.agent.process.id || has_pretended;
    const bool is_known = name == hello.name && (is_same || workers.empty());
    one = is_known ? cut_off_.erase(one) : std::next(one);
  }
}

bool Head::is_cut_off(std::uint64_t worker) const {
  return std::ranges::any_of(cut_off_, [&](const auto& one) { return one.second.workers.contains(worker); });
}

bool Head::is_partly_cut_off(const std::string& job) const {
  return !cut_off_.empty() && std::ranges::any_of(ledger_.leases_of(job), [this](const Lease& lease) {
    return is_cut_off(lease.worker);
  });
}

std::int64_t Head::cut_off_until_ms(const std::string& node) const {
  std::int64_t until_ms = 0;
  for (const auto& [number, entry] : cut_off_) {
    if (entry.node == node) until_ms = std::max(until_ms, entry.until_ms);
  }
  return until_ms;
}

}  // namespace ds::head
