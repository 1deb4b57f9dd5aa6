// Whatever is killed, stopped, slowed down, added and taken away: what the workers recorded shows one pass
// over the samples an epoch, each sample once.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <thread>

#include "tests/integration/slow_down.hpp"
#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

constexpr std::uint64_t kSamples = 2'000;  // of write_job
constexpr std::size_t kMostNodes = 3;

enum class Fault { kill, stop, slow_down, join, leave };

const char* name_of(Fault fault) {
  static constexpr std::array kNames{"kill", "stop", "slow-down", "join", "leave"};
  return kNames.at(static_cast<std::size_t>(fault));
}

class AuditedJob : public TwoNodes {
 protected:
  AuditedJob() { cluster_.grow_by_gain(); }

  /// `role`: which processes are hurt beside the workers; empty: none.
  void submit(const std::string& strategy, int shards, const std::string& role) {
    const auto file = write_job(cluster_.path() / "data", "audited", 1'000'000, 1, 4, strategy);
    std::ifstream stream(file);
    std::string text(std::istreambuf_iterator<char>(stream), {});
    text.insert(text.find("  transforms:"), "  shards: " + std::to_string(shards) + "\n");
    std::ofstream(file) << text << "audit: true\nrestart: 1000\nvalidate: {every: 1000 epochs}\n";
    role_ = role;
    job_ = cluster_.submit_job(file);
    ASSERT_TRUE(cluster_.wait_for_step(job_, 1)) << cluster_.logs();
  }

  /// Disturbs the job so many times, lets it go on for an epoch, ends it and has it audited.
  void disturb_and_audit(std::uint64_t faults);
  /// The job has ended.
  void expect_clean_audit(std::uint64_t per_epoch);

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  /// Drawn without putting back, so that every kind comes to every role before one comes again.
  std::pair<Fault, std::string> draw() {
    if (deck_.empty()) {
      deck_ = {{Fault::join, ""}, {Fault::leave, ""}};
      for (const auto fault : {Fault::kill, Fault::stop, Fault::slow_down}) {
        deck_.emplace_back(fault, "worker");
        if (!role_.empty()) deck_.emplace_back(fault, role_);
      }
      std::ranges::shuffle(deck_, random_);
    }
    const auto drawn = deck_.back();
    deck_.pop_back();
    return drawn;
  }

  void add_node() {
    nodes_.push_back("node-" + std::to_string(++last_node_));
    cluster_.start_node(nodes_.back(), 2);
  }

  void remove_node(bool kill) {
    const auto chosen = nodes_.begin() + static_cast<std::ptrdiff_t>(below(nodes_.size()));
    if (kill) {
      cluster_.node(*chosen).kill_and_wait();
    } else {
      cluster_.node(*chosen).signal(SIGTERM);
      EXPECT_EQ(cluster_.node(*chosen).wait(), 0);
    }
    cluster_.forget_node(*chosen);
    nodes_.erase(chosen);
  }

  /// A process of the role, at random; one that has just gone is none.
  int choose(const std::string& role) {
    std::vector<int> pids;
    EXPECT_TRUE(wait_until([&] {
      pids = role == "worker" ? cluster_.worker_pids(job_) : cluster_.role_pids(job_, role);
      std::erase_if(pids, [](int pid) { return !is_running(pid); });
      return !pids.empty();
    })) << "no "
        << role << cluster_.logs();
    return pids.empty() ? 0 : pids[below(pids.size())];
  }

  /// Does it to a process that is there, and returns while it lasts where it is a slow-down.
  void hurt(Fault fault, const std::string& role);
  /// Something bad, and training that goes on.
  void disturb();

  std::uint64_t step() const {
    const auto now = cluster_.status(job_);
    return now.is_object() ? now.at("step").get<std::uint64_t>() : 0;
  }

  std::vector<std::string> nodes_{"node-1", "node-2"};
  int last_node_ = 2;
  std::string job_, role_;
  std::vector<std::pair<Fault, std::string>> deck_;
  std::map<std::pair<Fault, std::string>, std::uint64_t> done_;
  std::unique_ptr<SlowDown> slow_down_;
};

void AuditedJob::hurt(Fault fault, const std::string& role) {
  while (true) {
    const int pid = choose(role);
    ASSERT_NE(pid, 0);
    if (fault == Fault::slow_down) {
      slow_down_ = std::make_unique<SlowDown>(pid);
      if (!slow_down_->has_begun()) continue;  // it ended meanwhile
    } else if (kill(pid, fault == Fault::stop ? SIGSTOP : SIGKILL) != 0) {
      continue;
    }
    ++done_[{fault, role}];
    if (fault != Fault::stop) return;
    std::this_thread::sleep_for(std::chrono::seconds(2));  // that long is the fault
    kill(pid, SIGCONT);
    return;
  }
}

void AuditedJob::disturb() {
  const auto [fault, role] = draw();
  // What servers hold is there twice. Whoever may lose one of them by this waits until it is again.
  if (role_ == "server") {
    ASSERT_TRUE(has_whole_servers(job_)) << "seed " << seed_ << cluster_.logs();
  }
  if (!role.empty()) {
    ASSERT_NO_FATAL_FAILURE(hurt(fault, role));
  } else if (nodes_.size() > 1 && (fault == Fault::leave || nodes_.size() == kMostNodes)) {
    remove_node(below(2) == 0);
    ++done_[{Fault::leave, role}];
  } else {
    add_node();
    ++done_[{Fault::join, role}];
  }
  ASSERT_TRUE(cluster_.wait_for_step(job_, step() + 1 + below(60))) << "seed " << seed_ << cluster_.logs();
  if (slow_down_) slow_down_->wait();
  slow_down_.reset();
}

void AuditedJob::disturb_and_audit(std::uint64_t faults) {
  for (std::uint64_t fault = 0; fault < faults; ++fault) {
    SCOPED_TRACE("fault " + std::to_string(fault));
    ASSERT_NO_FATAL_FAILURE(disturb());
  }
  const auto end = cluster_.status(job_);
  const auto per_epoch = end.at("steps_per_epoch").get<std::uint64_t>();
  ASSERT_TRUE(cluster_.wait_for_step(job_, end.at("step").get<std::uint64_t>() + per_epoch));
  ASSERT_EQ(cluster_.submit({"cancel", job_}).code, 0);
  ASSERT_TRUE(cluster_.wait_for_state(job_, "CANCELLED")) << cluster_.logs();

  expect_clean_audit(per_epoch);
  const auto times_of = [&](Fault fault, const std::string& role) {
    const auto found = done_.find({fault, role});
    return found == done_.end() ? 0 : found->second;
  };
  EXPECT_GT(end.at("generation").get<std::uint64_t>(),
            (times_of(Fault::kill, "worker") + times_of(Fault::kill, "server")) / 2)
      << "the faults did not disturb the gang";
  if (faults >= 2 + 3 * (role_.empty() ? 1U : 2U)) {
    for (const auto fault : {Fault::kill, Fault::stop, Fault::slow_down}) {
      for (const auto& role : {std::string("worker"), role_.empty() ? "worker" : role_})
        EXPECT_GT(times_of(fault, role), 0U) << name_of(fault) << " of a " << role << " never happened";
    }
  }
  std::cout << faults << " faults, generation " << end.at("generation") << ", seed " << seed_;
  for (const auto& [what, times] : done_)
    std::cout << "; " << name_of(what.first) << (what.second.empty() ? "" : " ") << what.second << ": "
              << times;
  std::cout << '\n';
}

void AuditedJob::expect_clean_audit(std::uint64_t per_epoch) {
  const auto committed = step();
  const auto outcome = cluster_.submit({"audit", job_, "-o", "json"});
  const auto audit = nlohmann::json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(audit.is_object()) << outcome.out << outcome.err;
  EXPECT_EQ(outcome.code, 0) << "seed " << seed_ << "\n" << outcome.out;
  EXPECT_GE(audit.at("steps").get<std::uint64_t>(), committed);
  std::uint64_t whole = 0;
  for (const auto& epoch : audit.at("epochs")) {
    EXPECT_EQ(epoch.at("twice"), 0) << epoch;
    if (!epoch.at("whole").get<bool>()) continue;
    ++whole;
    EXPECT_EQ(epoch.at("once"), kSamples) << epoch;
    EXPECT_EQ(epoch.at("missing"), 0) << epoch;
  }
  EXPECT_EQ(whole, audit.at("steps").get<std::uint64_t>() / per_epoch)
      << "only the last epoch may be cut off";
  std::cout << audit.at("steps") << " committed steps, " << whole << " whole epochs\n";
}

TEST_F(AuditedJob, TakesEachSampleOnceAnEpochWhateverHappens) {
  submit("allreduce", 0, "");
  disturb_and_audit(number_of("DS_AUDIT_FAULTS", 10));
}

TEST_F(AuditedJob, TakesEachSampleOnceAnEpochWhenDataShardsMakeTheBatches) {
  submit("allreduce", 2, "shard");
  disturb_and_audit(number_of("DS_AUDIT_FAULTS", 8));
}

TEST_F(AuditedJob, TakesEachSampleOnceAnEpochWhenParameterServersCommitTheSteps) {
  submit("parameter_server\nservers: 2\nreplicas: 1", 0, "server");
  disturb_and_audit(number_of("DS_AUDIT_FAULTS", 8));
}

}  // namespace
}  // namespace ds::tests
