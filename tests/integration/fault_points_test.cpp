// The head kills itself at a record of its journal or a piece of a snapshot, before or after that is durable,
// and so does the next, and the next, at each of the first steps of its life once: jobs of users' programs
// and one that trains, with preemptions and drains, paused, cancelled and changed by their owners, are
// neither lost nor started twice, and the weights are those of an undisturbed run. DS_SEED repeats a run's
// choices, DS_FAULT_POINTS says how many heads die (24, and up to as many again until some died between
// pieces). Each single record of a run is tried in `head_simulation_test`.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <numeric>
#include <regex>
#include <set>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

constexpr int kEpochs = 40;
constexpr std::uint64_t kUsualDeaths = 24;
constexpr std::uint64_t kLongestLife = 30;        ///< in steps; twice as long where it is to have a snapshot
constexpr int kCutSnapshots = 3;                  ///< heads that are to die between two pieces
constexpr std::size_t kBusy = 3, kMostJobs = 12;  ///< jobs that have not ended: wanted, and at most
constexpr std::chrono::seconds kIdle{2};

class FaultPoints : public TwoNodes {
 protected:
  std::uint64_t pick(std::uint64_t count) { return random_() % count; }
  std::filesystem::path work() const { return cluster_.path() / "work"; }

  /// It says when it starts, when it is through, and when another start of it has not ended.
  std::filesystem::path write_command(const std::string& name) {
    static const std::vector<std::string> kShapes{"workers: 1\n",         "workers: 1\n",
                                                  "workers: 2\n",         "workers: {min: 1, max: 2}\n",
                                                  "priority: critical\n", "preemptible: false\n"};
    std::filesystem::create_directories(work());
    const auto file = work() / (name + ".yaml");
    std::ofstream(file)
        << "version: 1\nkind: command\nname: " << name << "\nresources: {memory: 64Mi}\n"
        << kShapes[pick(kShapes.size())]
        << "run: |\n  here=running-$DS_JOB-$RANK\n"
           "  trap 'rmdir $here; exit 1' TERM\n"
           "  mkdir $here || echo $DS_JOB >> twice\n  echo $DS_JOB $DS_GENERATION $RANK >> starts\n"
        << "  sleep 0." << 1 + pick(9) << "\n  echo $DS_JOB >> through\n  rmdir $here\n";
    return file;
  }

  void start_doomed_head(std::uint64_t step, bool before) {
    const auto at = std::to_string(step) + (before ? ":before" : ":after");
    deaths_ += at + " ";
    std::filesystem::remove(cluster_.path() / "head/address");
    cluster_.head() = Process({program("ds-head").string(), "--data-dir", (cluster_.path() / "head").string(),
                               "--listen", cluster_.address()},
                              cluster_.path() / "head.log", {{"DS_HEAD_DIE_AT", at}});
  }
  bool is_dead() { return !is_running(cluster_.head().pid()); }

  /// What a client does who does not know whether it was heard: it looks first, and what it has cancelled or
  /// paused it wants after all. How many have not ended.
  std::size_t submit_what_is_not_there() {
    const auto list = cluster_.json({"list"});
    if (!list.is_array()) return kMostJobs;
    std::set<std::string> there;
    std::size_t left = 0;
    for (const auto& job : list) {
      const std::string name = job.at("name"), state = job.at("state");
      there.insert(name);
      left += state == "SUCCEEDED" ? 0 : 1;
      if (state == "CANCELLED" && !is_dead()) cluster_.submit({"retry", name});
      if (state == "PAUSED" && !is_dead()) cluster_.submit({"resume", name});
    }
    for (const auto& [name, file] : wanted_) {
      if (is_dead()) return kMostJobs;
      if (there.contains(name)) continue;
      ++left;
      cluster_.submit({"submit", "-f", file.string()});
    }
    return left;
  }

  void want_another() {
    const auto name = "job-" + std::to_string(wanted_.size());
    wanted_[name] = write_command(name);
    last_wanted_ = std::chrono::steady_clock::now();
  }

  /// Owners change jobs of users' programs, whether they run or not.
  void change_one() {
    const auto name = "job-" + std::to_string(pick(wanted_.size() - 1));
    static const std::vector<std::vector<std::string>> kChanges{
        {"pause"}, {"cancel"}, {"priority", "high"}, {"priority", "low"}};
    auto change = kChanges[pick(kChanges.size())];
    change.insert(change.begin() + 1, name);
    cluster_.submit(change);
  }

  /// One life of a head: things happen until it dies by itself.
  void live_and_die(std::uint64_t step, bool before) {
    start_doomed_head(step, before);
    want_another();
    const bool drains = pick(3) == 0;
    const std::string closes = pick(2) == 0 ? "drain" : "cordon";
    const bool has_died = wait_until([&] {
      if (is_dead()) return true;
      const auto left = submit_what_is_not_there();
      const bool is_idle = std::chrono::steady_clock::now() - last_wanted_ > kIdle;
      if (left < kBusy || (is_idle && left < kMostJobs)) want_another();
      if (!is_dead() && drains) cluster_.submit({pick(2) == 0 ? closes : "undrain", "node-2"});
      if (!is_dead() && !drains && left >= kMostJobs) cluster_.submit({"undrain", "node-2"});
      if (!is_dead() && pick(2) == 0) change_one();
      look();
      return is_dead();
    });
    EXPECT_TRUE(has_died) << "it outlived its fault point" << context();
    cluster_.head().kill_and_wait();
  }

  void look() {
    const auto nodes = is_dead() ? nlohmann::json() : cluster_.json({"nodes"});
    if (!nodes.is_array()) return;
    for (const auto& node : nodes)
      EXPECT_LE(node.at("slots_used"), 2) << "slots given twice: " << node << context();
  }
  std::string context() const { return "\nseed " + std::to_string(seed_) + ", deaths at " + deaths_; }

  /// Heads that died with one piece of a snapshot written and another not.
  int cut_snapshots() const {
    static const std::regex kCut(
        "killed by itself at step [0-9]+, (after a snapshot's first piece|before a snapshot's last piece|"
        "(before|after) a piece of a snapshot)");
    return static_cast<int>(std::ranges::count_if(
        lines(cluster_.path() / "head.log"), [](const auto& line) { return std::regex_search(line, kCut); }));
  }

  static std::vector<std::string> lines(const std::filesystem::path& file) {
    std::ifstream stream(file);
    std::vector<std::string> all;
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    return all;
  }

  std::map<std::string, std::filesystem::path> wanted_;  ///< by name
  std::string deaths_;
  std::chrono::steady_clock::time_point last_wanted_;
};

TEST_F(FaultPoints, LoseNoJobStartNoneTwiceAndLeaveNoTraceInTheWeights) {
  const auto train = [&](const std::string& name) {
    return write_job(cluster_.path() / "data" / name, name, kEpochs, 1, 2);
  };
  const auto alone = cluster_.submit_job(train("alone"));
  ASSERT_TRUE(cluster_.wait_for_state(alone, "SUCCEEDED")) << cluster_.logs();
  const auto weights = cluster_.exported_weights(alone);
  wanted_["busy"] = train("busy");
  cluster_.head().kill_and_wait();

  const auto deaths = number_of("DS_FAULT_POINTS", kUsualDeaths);
  std::vector<std::uint64_t> steps(deaths);
  std::iota(steps.begin(), steps.end(), 1);
  std::ranges::shuffle(steps, random_);
  for (const auto step : steps) {
    if (HasFailure()) break;
    live_and_die(1 + (step - 1) % kLongestLife, pick(2) == 0);
  }
  for (std::uint64_t i = 0; i < deaths && cut_snapshots() < kCutSnapshots && !HasFailure(); ++i)
    live_and_die(kLongestLife + pick(kLongestLife), pick(2) == 0);

  cluster_.start_head();
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  cluster_.submit({"undrain", "node-2"});
  submit_what_is_not_there();
  std::map<std::string, std::string> ids;
  for (const auto& job : cluster_.json({"list"})) {
    const std::string name = job.at("name"), id = job.at("id");
    EXPECT_TRUE(ids.emplace(name, id).second) << name << " is there twice" << context();
  }
  for (const auto& [name, file] : wanted_) {
    ASSERT_TRUE(ids.contains(name)) << name << " was lost" << context();
    ASSERT_TRUE(cluster_.wait_for_state(ids[name], "SUCCEEDED"))
        << cluster_.status(ids[name]) << context() << cluster_.logs();
  }
  EXPECT_EQ(lines(work() / "twice"), std::vector<std::string>{}) << context();
  std::map<std::string, int> starts;
  for (const auto& start : lines(work() / "starts")) EXPECT_EQ(++starts[start], 1) << start << context();
  EXPECT_EQ(cluster_.status(ids["busy"]).at("restarts"), 0) << context();
  EXPECT_TRUE(cluster_.exported_weights(ids["busy"]) == weights) << context();
  if (deaths >= kUsualDeaths) {
    EXPECT_GE(cut_snapshots(), kCutSnapshots) << "hardly any head died between the pieces of a snapshot";
  }
  RecordProperty("cut_snapshots", cut_snapshots());
  RecordProperty("deaths", deaths_);
}

TEST(FaultPoint, IsRefusedWhenItIsNone) {
  TemporaryFolder folder;
  for (const std::string wrong : {"", "0", "soon", "3:never"}) {
    const auto outcome = run_program({program("ds-head").string(), "--data-dir",
                                      (folder.path() / "head").string(), "--listen", "127.0.0.1:0"},
                                     {{"DS_HEAD_DIE_AT", wrong}});
    EXPECT_EQ(outcome.code, 1) << wrong;
    EXPECT_NE(outcome.err.find("DS_HEAD_DIE_AT: \"" + wrong + "\" is no point to die at"), std::string::npos)
        << outcome.err;
  }
}

}  // namespace
}  // namespace ds::tests
