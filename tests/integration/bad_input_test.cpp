// Everything a user can get wrong: a clear error, an exit code other than 0, and nothing broken.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <regex>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

void write_file(const std::filesystem::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary) << content;
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

class BadInput : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.start_head();
    cluster_.start_node("node-1", 2);
    ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
    file_ = write_job(folder(), "intents", 1, 1, 2);
    good_ = read_file(file_);
  }

  /// Each test ends with a good job that still succeeds.
  void TearDown() override {
    write_job(folder(), "intents", 1, 1, 2);
    const auto run = cluster_.submit({"run", "-f", file_.string()});
    EXPECT_EQ(run.code, 0) << "the cluster is broken: " << run.err << cluster_.logs();
  }

  std::filesystem::path folder() { return cluster_.path() / "data"; }
  Outcome run() { return cluster_.submit({"run", "-f", file_.string()}); }
  Outcome run(const std::string& text) {
    write_file(file_, text);
    return run();
  }

  /// The job file is refused with exit code 3 and a text that matches `pattern`; nothing was submitted.
  void expect_refused(const std::string& text, const std::string& pattern) {
    const auto jobs = cluster_.json({"list"}).size();
    const auto outcome = run(text);
    EXPECT_EQ(outcome.code, 3) << outcome.err;
    EXPECT_TRUE(std::regex_search(outcome.err, std::regex(pattern))) << pattern << "\n" << outcome.err;
    EXPECT_EQ(cluster_.json({"list"}).size(), jobs);
  }

  /// With other training data the job is refused, or fails, with a text that matches `pattern`.
  void expect_data_error(const std::string& csv, int code, const std::string& pattern) {
    write_file(folder() / "train.csv", csv);
    const auto outcome = run(good_);
    EXPECT_EQ(outcome.code, code) << outcome.out << outcome.err;
    EXPECT_TRUE(std::regex_search(outcome.out + outcome.err, std::regex(pattern))) << pattern << "\n"
                                                                                   << outcome.err;
  }

  Cluster cluster_;
  std::filesystem::path file_;
  std::string good_;
};

TEST_F(BadInput, JobFilesAreRefusedWithTheirPlace) {
  expect_refused(good_ + "labels: [1, 2\n", "intents.yaml:[0-9]+:[0-9]+: ");
  expect_refused(replaced(good_, "lr: 1e-3", "lr: fast"),
                 "intents.yaml:14:30: optimizer.lr: expected a number, got \"fast\"");
  expect_refused(replaced(good_, "workers:", "wrokers:"), "intents.yaml:5:1: wrokers: .*\n(.*\n)*.*workers");
  expect_refused(replaced(good_, "global: 32", "global: [32]"), "intents.yaml:13:17: batch.global");
  expect_refused(replaced(good_, "min: 1, max: 2", "min: 3, max: 2"), "intents.yaml:5:[0-9]+: workers");
  expect_refused("", "intents.yaml");
}

TEST_F(BadInput, MissingFilesAreNamed) {
  expect_refused(replaced(good_, "source: train.csv", "source: nowhere.csv"),
                 "intents.yaml:8:[0-9]+: data.train.*nowhere.csv");
  const auto outcome = cluster_.submit({"run", "-f", (folder() / "nowhere.yaml").string()});
  EXPECT_NE(outcome.code, 0);
  EXPECT_NE(outcome.err.find("nowhere.yaml"), std::string::npos);
}

TEST_F(BadInput, UnusableDataIsRefusedAtSubmit) {
  expect_data_error("", 3, "train.csv.*empty");
  expect_data_error("text,subject\na,b\n", 3, "topic(.*\n)*.*subject");
}

TEST_F(BadInput, DamagedRowsAreFoundByTheJobAndNamed) {
  const auto header = std::string("text,topic\n");
  expect_data_error(header + "one,weather\ntwo,music\nthree,weather,more\n", 100, "train.csv:4:");
  expect_data_error(header + "one,weather\ntwo,music\n\xff\xfe,music\n", 100, "train.csv:4:1.*UTF-8");
  expect_data_error(header + "one,weather\ntwo,music\n\"never closed,music\n", 100, "train.csv:4:");
}

TEST_F(BadInput, QuotedRowsOverSeveralLinesAreRead) {
  std::string csv = "text,topic\n";
  for (int i = 0; i < 100; ++i) csv += "\"a \"\"quoted\"\" word,\nrain\",weather\r\n\"plain, song\",music\n";
  write_file(folder() / "train.csv", csv);
  write_file(folder() / "test.csv", csv);
  EXPECT_EQ(run(good_).code, 0) << cluster_.logs();
}

TEST_F(BadInput, AJobThatNeverFitsStaysQueuedAndSaysWhy) {
  write_file(file_, replaced(good_, "min: 1, max: 2", "min: 9, max: 9"));
  const auto id = cluster_.submit_job(file_);
  nlohmann::json why;
  ASSERT_TRUE(wait_until([&] {  // at first the head waits for nodes that are still to come
    why = cluster_.json({"why", id});
    return !why.at("reasons").empty() && why.at("reasons")[0].at("code") == "never_fits";
  })) << why;
  EXPECT_NE(why.at("reasons")[0].at("text").get<std::string>().find('9'), std::string::npos);
  EXPECT_EQ(cluster_.status(id).at("state"), "QUEUED");
  EXPECT_NE(cluster_.submit({"list"}).out.find("QUEUED"), std::string::npos);
  EXPECT_EQ(cluster_.submit({"cancel", id}).code, 0);
}

TEST_F(BadInput, UnknownJobsAndCommandsAreErrors) {
  for (const char* verb : {"status", "logs", "cancel", "checkpoints", "why"}) {
    const auto outcome = cluster_.submit({verb, "no-such-job"});
    EXPECT_EQ(outcome.code, 4) << verb << outcome.err;
    EXPECT_NE(outcome.err.find("no-such-job"), std::string::npos) << outcome.err;
  }
  EXPECT_EQ(cluster_
                .submit({"export", "no-such-job", "--format", "safetensors", "-o",
                         (cluster_.path() / "x").string()})
                .code,
            4);
  EXPECT_FALSE(std::filesystem::exists(cluster_.path() / "x"));
  EXPECT_EQ(cluster_.submit({"statsu", "x"}).code, 2);
  const auto json = cluster_.submit({"status", "no-such-job", "-o", "json"});
  EXPECT_TRUE(nlohmann::json::parse(json.err, nullptr, false).is_object() ||
              nlohmann::json::parse(json.out, nullptr, false).is_object())
      << json.out << json.err;
}

TEST_F(BadInput, AnEndedJobCannotBeCancelled) {
  const auto id = cluster_.submit_job(file_);
  ASSERT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"cancel", id}).code, 10);
}

TEST_F(BadInput, ASecondHeadOnTheSameDirectoryIsRefused) {
  const auto second = run_program({program("ds-head").string(), "--data-dir",
                                   (cluster_.path() / "head").string(), "--listen", "127.0.0.1:0"});
  EXPECT_NE(second.code, 0);
  EXPECT_NE(second.err.find(std::to_string(cluster_.head().pid())), std::string::npos) << second.err;
}

TEST_F(BadInput, ASecondNodeOfTheSameNameIsRefused) {
  const auto second = run_program({program("ds-node").string(), "--head", cluster_.address(), "--secret-file",
                                   (cluster_.path() / "head/cluster.secret").string(), "--name", "node-1"});
  EXPECT_NE(second.code, 0);
  EXPECT_NE(second.err.find("node named node-1"), std::string::npos) << second.err;
}

TEST_F(BadInput, APortInUseIsNamed) {
  const auto second = run_program({program("ds-head").string(), "--data-dir",
                                   (cluster_.path() / "other").string(), "--listen", cluster_.address()});
  EXPECT_NE(second.code, 0);
  EXPECT_NE(second.err.find(cluster_.address() + " is in use"), std::string::npos) << second.err;
}

TEST_F(BadInput, ANodeWithAnotherSecretIsKeptOut) {
  write_file(cluster_.path() / "secret", std::string(64, 'a') + "\n");
  Process node({program("ds-node").string(), "--head", cluster_.address(), "--secret-file",
                (cluster_.path() / "secret").string(), "--name", "stranger"},
               cluster_.path() / "stranger.log");
  EXPECT_TRUE(wait_until([&] {
    return read_file(cluster_.path() / "stranger.log").find("secret") != std::string::npos;
  })) << cluster_.logs();
  EXPECT_EQ(cluster_.json({"nodes"}).size(), 1U);
}

/// A control group (version 1) with little memory; where none can be made, `made()` is false.
class MemoryGroup {
 public:
  explicit MemoryGroup(std::uint64_t bytes)
      : folder_("/sys/fs/cgroup/memory/ds-test-" + std::to_string(getpid())) {
    std::error_code error;
    if (!std::filesystem::create_directory(folder_, error)) return;
    made_ = write("memory.limit_in_bytes", bytes);
    write("memory.memsw.limit_in_bytes", bytes);  // no swapping instead; refused where there is no swap
  }
  ~MemoryGroup() {
    if (!std::filesystem::exists(folder_)) return;
    wait_until([&] { return rmdir(folder_.c_str()) == 0; });  // refused while a process is in it
  }
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  bool made() const { return made_; }

  /// Takes a process and its children in; later children are in by birth.
  bool take(int pid) const {
    std::ifstream children("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
    bool all = write("cgroup.procs", static_cast<std::uint64_t>(pid));
    for (std::uint64_t child = 0; children >> child;) all = write("cgroup.procs", child) && all;
    return all;
  }

 private:
  bool write(const char* file, std::uint64_t number) const {
    std::ofstream stream(folder_ / file);
    stream << number << std::flush;
    return stream.good();
  }

  const std::filesystem::path folder_;
  bool made_ = false;
};

TEST_F(BadInput, AJobWithTooLittleMemoryFailsAndSaysSo) {
  const MemoryGroup group(600ULL << 20);
  if (!group.made()) GTEST_SKIP() << "needs to make a control group in /sys/fs/cgroup/memory";
  cluster_.forget_node("node-1");
  ASSERT_TRUE(cluster_.wait_for_nodes(0)) << cluster_.logs();
  cluster_.start_node("small", 1);
  ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
  ASSERT_TRUE(group.take(cluster_.node("small").pid()));
  const auto outcome =
      run(replaced(replaced(good_, "{zoo: text_classifier, width: 64, dropout: 0.1}",
                            "{zoo: transformer, layers: 8, width: 2048, feed_forward: 8192}"),
                   "seed: 7", "seed: 7\nrestart: 0"));
  EXPECT_EQ(outcome.code, 100) << outcome.err;
  EXPECT_TRUE(std::regex_search(outcome.out + outcome.err, std::regex("memory ran out.*crash 1 without")))
      << outcome.out << outcome.err << cluster_.logs();
  cluster_.forget_node("small");
  cluster_.start_node("node-1", 2);
}

TEST(DsHead, RefusesDataDirectoriesItMustNotUse) {
  TemporaryFolder folder;
  const auto head = program("ds-head").string();
  const auto unwritable = run_program({head, "--data-dir", "/proc/ds", "--listen", "127.0.0.1:0"});
  EXPECT_NE(unwritable.code, 0);
  EXPECT_NE(unwritable.err.find("/proc/ds"), std::string::npos) << unwritable.err;
  std::filesystem::create_directories(folder.path() / "newer");
  write_file(folder.path() / "newer/VERSION", "ds-data 999\n");
  const auto newer =
      run_program({head, "--data-dir", (folder.path() / "newer").string(), "--listen", "127.0.0.1:0"});
  EXPECT_NE(newer.code, 0);
  EXPECT_NE(newer.err.find("999"), std::string::npos) << newer.err;
}

TEST(DsHead, ListensOnLoopbackUnlessToldOtherwise) {
  TemporaryFolder folder;
  const auto head = program("ds-head").string();
  const auto open = run_program({head, "--data-dir", folder.path().string(), "--listen", "192.0.2.1:8080"});
  EXPECT_NE(open.code, 0);
  EXPECT_NE(open.err.find("--insecure-listen"), std::string::npos) << open.err;
  const auto wrong = run_program({head, "--data-dir", folder.path().string(), "--listen", "8080"});
  EXPECT_NE(wrong.code, 0);
  EXPECT_NE(wrong.err.find("expected HOST:PORT"), std::string::npos) << wrong.err;
}

TEST(DsSubmit, SaysWhenNoHeadIsThere) {
  TemporaryFolder folder;
  const std::map<std::string, std::string> nowhere{{"DS_HOME", folder.path().string()}, {"DS_HEAD", ""}};
  const auto submit = program("ds-submit").string();
  EXPECT_EQ(run_program({submit, "list"}, nowhere).code, 9);
  const auto outcome = run_program({submit, "list", "--head", "127.0.0.1:1"}, nowhere);
  EXPECT_EQ(outcome.code, 9);
  EXPECT_NE(outcome.err.find("127.0.0.1:1"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace ds::tests
