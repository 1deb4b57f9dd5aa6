// Jobs that run users' programs (`kind: command`), on real processes.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class CommandJobs : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.start_head();
    cluster_.start_node("node-1", 2);
    ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
  }

  /// A job file in a folder of its own; the program's working directory is that folder.
  std::filesystem::path job(const std::string& rest) {
    const auto folder = cluster_.path() / "work";
    std::filesystem::create_directories(folder);
    const auto file = folder / "job.yaml";
    std::ofstream(file) << "version: 1\nkind: command\nname: job\nresources: {memory: 64Mi}\n" << rest;
    return file;
  }

  std::string log_of(const std::string& id) const { return cluster_.submit({"logs", id}).out; }
  std::string reason_of(const std::string& id) const { return cluster_.status(id).at("reason"); }
  bool all_slots_are_free() const {
    return wait_until([&] {
      const auto nodes = cluster_.json({"nodes"});
      return nodes.is_array() &&
             std::ranges::all_of(nodes, [](const auto& node) { return node.at("slots_used") == 0; });
    });
  }

  /// A script that ignores SIGTERM, as what it starts does, one of which leaves its session; it writes all
  /// process ids to `pids`.
  static constexpr const char* kStubborn =
      "run: |\n"
      "  trap '' TERM\n"
      "  setsid sleep 1000 &\n  a=$!\n  sleep 1000 &\n  echo $$ $a $! > pids.new; mv pids.new pids\n"
      "  while :; do sleep 1; done\n";

  std::vector<int> wait_for_pids() const {
    const auto file = cluster_.path() / "work" / "pids";
    EXPECT_TRUE(wait_until([&] { return std::filesystem::exists(file); })) << cluster_.logs();
    std::vector<int> pids;
    std::istringstream numbers(text_of(file));
    for (int pid = 0; numbers >> pid;) pids.push_back(pid);
    EXPECT_EQ(pids.size(), 3U);
    std::filesystem::remove(file);
    return pids;
  }
  static bool all_end(const std::vector<int>& pids) {
    return wait_until([&] { return std::ranges::none_of(pids, is_running); });
  }

  Cluster cluster_;
};

/// Nobody knew of its end when the limit was over.
TEST_F(CommandJobs, HaveSucceededIfTheyEndedWithinTheirLimitThoughNoHeadRan) {
  const auto id = cluster_.submit_job(
      job("workers: 2\ntime_limit: 8s\nrun: 'while [ ! -e go ]; do sleep 0.1; done; touch done-$RANK'\n"));
  ASSERT_TRUE(cluster_.wait_for_state(id, "RUNNING")) << cluster_.logs();
  const auto is_over = std::chrono::steady_clock::now() + std::chrono::seconds(8);
  cluster_.head().kill_and_wait();
  const auto folder = cluster_.path() / "work";
  std::ofstream(folder / "go") << "go";
  ASSERT_TRUE(wait_until([&] {
    return std::filesystem::exists(folder / "done-0") && std::filesystem::exists(folder / "done-1");
  })) << cluster_.logs();
  ASSERT_TRUE(wait_until([&] { return std::chrono::steady_clock::now() > is_over; }));
  cluster_.start_head();
  EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << reason_of(id) << cluster_.logs();
}

TEST_F(CommandJobs, FindTheirPlaceInTheEnvironment) {
  cluster_.start_node("node-2", 1);
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  const auto id = cluster_.submit_job(
      job("workers: 3\nenv: {GREETING: \"hello there\"}\n"
          "run: echo \"$RANK/$WORLD_SIZE $LOCAL_RANK/$LOCAL_WORLD_SIZE $NODE_RANK $MASTER_ADDR:$MASTER_PORT "
          "<$CUDA_VISIBLE_DEVICES> $DS_JOB $DS_GENERATION $GREETING $PWD\" > place-$RANK\n"));
  ASSERT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(reason_of(id), "all 3 ranks: exit code 0");
  std::set<std::string> masters, places;
  const auto folder = (cluster_.path() / "work").string();
  for (int rank = 0; rank < 3; ++rank) {
    std::istringstream words(text_of(cluster_.path() / "work" / ("place-" + std::to_string(rank))));
    std::string world, local, node, master, rest;
    words >> world >> local >> node >> master;
    std::getline(words, rest);
    EXPECT_EQ(world, std::to_string(rank) + "/3");
    EXPECT_EQ(rest, " <> " + id + " 1 hello there " + folder);
    masters.insert(master);
    places.insert(local + " " + node);
  }
  ASSERT_EQ(masters.size(), 1U);
  EXPECT_EQ(masters.begin()->rfind("127.0.0.1:", 0), 0U) << *masters.begin();
  EXPECT_GT(std::stoi(masters.begin()->substr(10)), 1024);
  // Two ranks share the node of two slots, whichever of the nodes comes first.
  const bool big_first = places == std::set<std::string>{"0/2 0", "1/2 0", "0/1 1"};
  const bool small_first = places == std::set<std::string>{"0/1 0", "0/2 1", "1/2 1"};
  EXPECT_TRUE(big_first || small_first);
}

TEST_F(CommandJobs, RunTheirSetupFirstAndInTheSameShell) {
  const auto id =
      cluster_.submit_job(job("setup: |\n  export FROM_SETUP=yes\n  mkdir -p inner\n  cd inner\nrun: [sh, "
                              "-c, 'echo $FROM_SETUP $PWD']\n"));
  ASSERT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(log_of(id), "yes " + (cluster_.path() / "work/inner").string() + "\n");
  const auto bad = cluster_.submit_job(job("restart: 0\nsetup: exit 9\nrun: echo never\n"));
  ASSERT_TRUE(cluster_.wait_for_state(bad, "FAILED")) << cluster_.status(bad);
  EXPECT_NE(reason_of(bad).find("exit code 9"), std::string::npos) << reason_of(bad);
  EXPECT_EQ(log_of(bad).find("never"), std::string::npos);
}

TEST_F(CommandJobs, StartAgainTogetherWhenARankCrashes) {
  // Rank 1 crashes in the first generation; the other would wait for ever.
  const auto id = cluster_.submit_job(job(
      "workers: 2\nrun: |\n  echo $RANK >> started-$DS_GENERATION\n"
      "  if [ $DS_GENERATION = 1 ]; then\n    while [ $RANK = 1 ]; do grep -q 0 started-1 && exit 7; done\n"
      "    sleep 1000\n  fi\n"));
  ASSERT_TRUE(wait_until([&] { return cluster_.status(id).at("restarts") == 1; })) << cluster_.logs();
  ASSERT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(cluster_.status(id).at("generation"), 2);
  for (const std::string generation : {"1", "2"}) {
    auto ranks = lines_of(text_of(cluster_.path() / "work" / ("started-" + generation)));
    std::ranges::sort(ranks);
    EXPECT_EQ(ranks, (std::vector<std::string>{"0", "1"}));
  }
  EXPECT_TRUE(all_slots_are_free());
}

TEST_F(CommandJobs, FailWithTheExitCodeOrSignalWhenTheyCrashTooOften) {
  const auto code = cluster_.submit_job(job("restart: 1\nrun: echo last words; exit 42\n"));
  const auto signal = cluster_.submit_job(job("restart: 0\nrun: kill -SEGV $$\n"));
  ASSERT_TRUE(cluster_.wait_for_state(signal, "FAILED")) << cluster_.status(signal);
  EXPECT_NE(reason_of(signal).find("killed by signal 11 (Segmentation fault)"), std::string::npos)
      << reason_of(signal);
  ASSERT_TRUE(cluster_.wait_for_state(code, "FAILED")) << cluster_.status(code);
  EXPECT_NE(reason_of(code).find("rank 0 on node node-1 ended: exit code 42, crash 2 (restart: 1)"),
            std::string::npos)
      << reason_of(code);
  EXPECT_EQ(log_of(code), "last words\nlast words\n");
  EXPECT_TRUE(all_slots_are_free());
}

TEST_F(CommandJobs, LeaveNothingWhenTheyAreCancelledThoughTheirChildrenIgnoreSigterm) {
  const auto id = cluster_.submit_job(job(kStubborn));
  const auto pids = wait_for_pids();
  ASSERT_TRUE(std::ranges::all_of(pids, is_running));
  EXPECT_EQ(cluster_.submit({"cancel", id}).code, 0);
  EXPECT_EQ(cluster_.status(id).at("state"), "CANCELLED");
  EXPECT_TRUE(all_end(pids)) << cluster_.logs();
  EXPECT_TRUE(all_slots_are_free());
  EXPECT_EQ(cluster_.status(id).at("state"), "CANCELLED");
}

TEST_F(CommandJobs, HaveTimeToEndByThemselvesWhenTheyAreCancelled) {
  const auto id = cluster_.submit_job(job(
      "run: |\n  trap 'echo saved > saved; exit 0' TERM\n  touch ready\n  while :; do sleep 0.1; done\n"));
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(cluster_.path() / "work/ready"); }));
  EXPECT_EQ(cluster_.submit({"cancel", id}).code, 0);
  EXPECT_TRUE(wait_until([&] { return text_of(cluster_.path() / "work/saved") == "saved\n"; }));
  EXPECT_TRUE(all_slots_are_free());
}

TEST_F(CommandJobs, StartAgainWhenTheyAreKilled) {
  const auto id = cluster_.submit_job(job(kStubborn));
  const auto pids = wait_for_pids();
  const auto workers = cluster_.worker_pids(id);
  ASSERT_EQ(workers, std::vector<int>{pids.front()});
  kill(pids.front(), SIGKILL);
  EXPECT_TRUE(all_end(pids));
  const auto again = wait_for_pids();
  EXPECT_EQ(cluster_.status(id).at("generation"), 2);
  EXPECT_EQ(cluster_.submit({"cancel", id}).code, 0);
  EXPECT_TRUE(all_end(again));
}

TEST_F(CommandJobs, AreLostWithTheirNodeAndStartAgainElsewhere) {
  const auto id = cluster_.submit_job(job(std::string("restart: 0\n") + kStubborn));
  const auto pids = wait_for_pids();
  cluster_.node("node-1").kill_and_wait();
  EXPECT_TRUE(all_end(pids)) << "the agent's end is theirs";
  cluster_.start_node("node-2", 1);
  const auto again = wait_for_pids();
  EXPECT_EQ(cluster_.status(id).at("restarts"), 0) << "losing a node is no crash";
  EXPECT_EQ(cluster_.submit({"cancel", id}).code, 0);
  EXPECT_TRUE(all_end(again));
}

TEST_F(CommandJobs, GiveTheirSlotsBackWhileThereIsNoRoomForALostRank) {
  cluster_.start_node("node-2", 1);
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  const auto id = cluster_.submit_job(job(
      "workers: 3\nrun: |\n  [ $DS_GENERATION = 2 ] && exit 0\n  touch ready-$RANK\n  exec sleep 1000\n"));
  ASSERT_TRUE(wait_until([&] {
    return std::filesystem::exists(cluster_.path() / "work/ready-0") &&
           std::filesystem::exists(cluster_.path() / "work/ready-1") &&
           std::filesystem::exists(cluster_.path() / "work/ready-2");
  })) << cluster_.logs();
  cluster_.node("node-2").kill_and_wait();
  EXPECT_TRUE(wait_until([&] { return cluster_.status(id).at("workers").empty(); })) << cluster_.logs();
  EXPECT_TRUE(all_slots_are_free());
  const auto nodes = cluster_.json({"nodes"});
  ASSERT_EQ(nodes.size(), 2U) << nodes;
  EXPECT_EQ(nodes.at(1).at("state"), "DOWN");
  const auto why = cluster_.submit({"why", id}).out;
  EXPECT_EQ(why.find("never_fits"), std::string::npos) << "the node may come back: " << why;
  cluster_.forget_node("node-2");
  cluster_.start_node("node-2", 1);
  EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(cluster_.status(id).at("restarts"), 0);
}

TEST_F(CommandJobs, HaveTimeToEndByThemselvesWhenTheirNodeIsToldToEnd) {
  const auto id =
      cluster_.submit_job(job("restart: 0\nrun: |\n  [ $DS_GENERATION = 2 ] && exit 0\n  trap 'sleep 1; echo "
                              "saved > saved; exit 0' TERM\n"
                              "  touch ready\n  while :; do sleep 0.1; done\n"));
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(cluster_.path() / "work/ready"); }));
  cluster_.node("node-1").signal(SIGTERM);
  EXPECT_EQ(cluster_.node("node-1").wait(), 0);
  EXPECT_EQ(text_of(cluster_.path() / "work/saved"), "saved\n");
  cluster_.start_node("node-2", 1);
  EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(cluster_.status(id).at("restarts"), 0) << "it was interrupted, it did not crash";
  EXPECT_EQ(cluster_.status(id).at("generation"), 2) << "nor was it through";
}

TEST_F(CommandJobs, OfSeveralNodesCountNoCrashWhenOneOfTheseEnds) {
  cluster_.start_node("node-2", 1);
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  // The rank that is not told to end sees that the other is about to, and fails.
  const auto id =
      cluster_.submit_job(job("restart: 0\nworkers: 3\nrun: |\n  [ $DS_GENERATION = 2 ] && exit 0\n"
                              "  trap 'touch told; sleep 3; exit 0' TERM\n"
                              "  touch ready-$RANK\n  while [ ! -e told ]; do sleep 0.1; done\n  exit 1\n"));
  ASSERT_TRUE(wait_until([&] {
    return std::filesystem::exists(cluster_.path() / "work/ready-0") &&
           std::filesystem::exists(cluster_.path() / "work/ready-1") &&
           std::filesystem::exists(cluster_.path() / "work/ready-2");
  })) << cluster_.logs();
  cluster_.node("node-1").signal(SIGTERM);
  EXPECT_EQ(cluster_.node("node-1").wait(), 0);
  cluster_.start_node("node-3", 2);
  EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(cluster_.status(id).at("restarts"), 0);
}

TEST_F(CommandJobs, CountNoCrashWhenTheirNodeEndsWhileNoHeadIsThere) {
  // One rank ends at once, the other when the next head is there.
  const auto id =
      cluster_.submit_job(job("restart: 0\nworkers: 2\nrun: |\n  [ $DS_GENERATION -ge 2 ] && exit 0\n"
                              "  trap '[ $RANK = 1 ] && sleep 6; exit 1' TERM\n"
                              "  touch ready-$RANK\n  while :; do sleep 0.1; done\n"));
  ASSERT_TRUE(wait_until([&] {
    return std::filesystem::exists(cluster_.path() / "work/ready-0") &&
           std::filesystem::exists(cluster_.path() / "work/ready-1");
  })) << cluster_.logs();
  ASSERT_TRUE(cluster_.wait_for_state(id, "RUNNING")) << cluster_.logs();
  cluster_.head().kill_and_wait();
  cluster_.node("node-1").signal(SIGTERM);
  cluster_.start_head();
  EXPECT_EQ(cluster_.node("node-1").wait(), 0);
  cluster_.start_node("node-2", 2);
  EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(cluster_.status(id).at("restarts"), 0);
}

TEST_F(CommandJobs, RunOnWhenANodeEndsWhereOnlyAFinishedRankWas) {
  cluster_.start_node("node-2", 1);
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  const auto id =
      cluster_.submit_job(job("restart: 0\nworkers: 3\nrun: |\n  [ $LOCAL_WORLD_SIZE = 1 ] && exit 0\n"
                              "  echo $DS_GENERATION >> runs\n  while [ ! -e go ]; do sleep 0.1; done\n"));
  ASSERT_TRUE(wait_until([&] {
    return text_of(cluster_.path() / "node-2.log").find("ended: exit code 0") != std::string::npos;
  })) << cluster_.logs();
  ASSERT_TRUE(wait_until([&] { return text_of(cluster_.path() / "work/runs") == "1\n1\n"; }));
  cluster_.node("node-2").signal(SIGTERM);
  EXPECT_EQ(cluster_.node("node-2").wait(), 0);
  std::ofstream(cluster_.path() / "work/go") << "\n";
  EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(text_of(cluster_.path() / "work/runs"), "1\n1\n") << "nothing was done again";
}

TEST_F(CommandJobs, HaveTheirCharactersKeptWholeWhereverTheyAreWritten) {
  const auto run = cluster_.submit(
      {"--", "sh", "-c",
       "printf 'na\\303'; sleep 0.5; printf '\\257ve \\342\\202'; sleep 0.5; printf '\\254 \\377\\n'"});
  EXPECT_EQ(run.out, "na\xC3\xAFve \xE2\x82\xAC \\xFF\n") << run.err;
}

TEST_F(CommandJobs, GoOnWhileTheHeadIsKilledAndAreNotStartedTwice) {
  const auto runs = cluster_.submit_job(
      job("run: |\n  echo $DS_GENERATION >> runs\n  while [ ! -e go ]; do sleep 0.1; done\n"));
  const auto ends =
      cluster_.submit_job(job("run: |\n  echo $DS_GENERATION >> ends\n  sleep 1; touch over\n"));
  ASSERT_TRUE(cluster_.wait_for_state(runs, "RUNNING")) << cluster_.logs();
  ASSERT_TRUE(cluster_.wait_for_state(ends, "RUNNING")) << cluster_.logs();
  const auto pids = cluster_.worker_pids(runs);
  cluster_.head().kill_and_wait();
  // One ends while there is no head: its exit is told to the next.
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(cluster_.path() / "work/over"); }));
  cluster_.start_head();
  EXPECT_TRUE(cluster_.wait_for_state(ends, "SUCCEEDED")) << cluster_.status(ends) << cluster_.logs();
  EXPECT_TRUE(cluster_.wait_for_state(runs, "RUNNING")) << cluster_.status(runs) << cluster_.logs();
  EXPECT_EQ(cluster_.worker_pids(runs), pids);
  std::ofstream(cluster_.path() / "work/go") << "\n";
  EXPECT_TRUE(cluster_.wait_for_state(runs, "SUCCEEDED")) << cluster_.status(runs) << cluster_.logs();
  EXPECT_EQ(text_of(cluster_.path() / "work/runs"), "1\n");
  EXPECT_EQ(text_of(cluster_.path() / "work/ends"), "1\n");
}

TEST_F(CommandJobs, DoNotStartARankThatIsThroughAgainBecauseTheHeadIsKilled) {
  const auto id =
      cluster_.submit_job(job("workers: 2\nrun: |\n  echo $RANK >> ranks\n  [ $RANK = 0 ] && exit 0\n"
                              "  while [ ! -e go ]; do sleep 0.1; done\n"));
  ASSERT_TRUE(cluster_.wait_for_state(id, "RUNNING")) << cluster_.logs();
  ASSERT_TRUE(wait_until([&] { return lines_of(text_of(cluster_.path() / "work/ranks")).size() == 2; }));
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
  std::ofstream(cluster_.path() / "work/go") << "\n";
  EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(lines_of(text_of(cluster_.path() / "work/ranks")).size(), 2U);
}

TEST_F(CommandJobs, AreNeitherLostNorStartedTwiceThoughTheHeadIsKilledAgainAndAgain) {
  const auto file = job("run: echo $DS_JOB >> runs; sleep 0.2\n");
  std::set<std::string> ids;
  for (int i = 0; i < 40; ++i) ids.insert(cluster_.submit_job(file));
  const auto runs = [&] { return lines_of(text_of(cluster_.path() / "work/runs")); };
  for (std::size_t kills = 1; kills <= 4; ++kills) {
    EXPECT_TRUE(wait_until([&] { return runs().size() >= 6 * kills; })) << cluster_.logs();
    cluster_.head().kill_and_wait();
    cluster_.start_head();
  }
  for (const auto& id : ids) EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id);
  const auto all = runs();
  EXPECT_EQ(all.size(), ids.size());
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()), ids);
}

TEST_F(CommandJobs, StartAgainWithMoreWorkersWhenThereAreSlots) {
  const auto id =
      cluster_.submit_job(job("workers: {min: 1, max: 3}\nrun: |\n  echo $WORLD_SIZE >> sizes\n"
                              "  [ $WORLD_SIZE = 3 ] && exit 0\n  exec sleep 1000\n"));
  ASSERT_TRUE(cluster_.wait_for_state(id, "RUNNING")) << cluster_.logs();
  cluster_.start_node("node-2", 1);
  EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(cluster_.status(id).at("restarts"), 0);
  EXPECT_EQ(text_of(cluster_.path() / "work/sizes"), "2\n2\n3\n3\n3\n");
  EXPECT_TRUE(all_slots_are_free());
}

TEST_F(CommandJobs, RunFromTheCommandLine) {
  const auto hello = cluster_.submit({"--", "sh", "-c", "echo out; echo \"$1\"", "sh", "--lr  0.1"});
  EXPECT_EQ(hello.code, 0) << hello.err << cluster_.logs();
  EXPECT_EQ(hello.out, "out\n--lr  0.1\n") << "nothing but what it printed";
  EXPECT_NE(hello.err.find("SUCCEEDED"), std::string::npos);
  const auto bad = cluster_.submit({"--", "false"});
  EXPECT_EQ(bad.code, 100) << bad.err;
  EXPECT_NE(bad.err.find("FAILED: rank 0 on node node-1 ended: exit code 1"), std::string::npos) << bad.err;
  const auto none = cluster_.submit({"--", "./no-such-program"});
  EXPECT_EQ(none.code, 100);
  EXPECT_NE(none.out.find("cannot start ./no-such-program: No such file or directory"), std::string::npos)
      << none.out;
  EXPECT_EQ(cluster_.submit({"--"}).code, 2);
  const auto list = cluster_.json({"list"});
  ASSERT_EQ(list.size(), 3U);
  for (const auto& one : list) EXPECT_EQ(one.at("kind"), "command");
  EXPECT_EQ(cluster_.submit({"export", "sh", "-o", (cluster_.path() / "model").string()}).code, 10);
}

TEST_F(CommandJobs, HaveTheirOutputKeptToTheByteOrByWholeLines) {
  const auto alone = cluster_.submit({"--", "sh", "-c", "printf 'a'; sleep 0.3; printf 'b\\n\\nc'"});
  EXPECT_EQ(alone.out, "ab\n\nc") << alone.err;
  const auto id = cluster_.submit_job(job("workers: 2\nrun: printf a; sleep 0.3; printf 'b\\nc'\n"));
  ASSERT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id);
  auto lines = lines_of(log_of(id));
  std::ranges::sort(lines);
  EXPECT_EQ(lines, (std::vector<std::string>{"[rank 0] ab", "[rank 0] c", "[rank 1] ab", "[rank 1] c"}));
}

TEST_F(CommandJobs, HaveAllTheirOutputInTheLogWhenTheyHaveEnded) {
  const auto run = cluster_.submit({"--", "sh", "-c", "seq 1 100000"});
  EXPECT_EQ(run.code, 0) << run.err;
  const auto lines = lines_of(run.out);
  ASSERT_EQ(lines.size(), 100'000U);
  EXPECT_EQ(lines.back(), "100000");
}

}  // namespace
}  // namespace ds::tests
