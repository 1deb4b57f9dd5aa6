// `ds-submit up` when something of the cluster is there already, and whose the jobs of a cluster with tenants
// are.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <set>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

/// Another program that listens: on the port, or on any that is free.
class Listener {
 public:
  explicit Listener(std::uint16_t port = 0) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof(address);
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(socket_, 1) != 0)
      return;
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { ::close(socket_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  int port() const { return port_; }  ///< 0: it does not listen

 private:
  int socket_;
  int port_ = 0;
};

class Up : public ::testing::Test {
 protected:
  Outcome ds_submit(std::vector<std::string> arguments, const std::string& tenant = "") {
    arguments.insert(arguments.begin(), program("ds-submit").string());
    return run_program(
        arguments, {{"DS_HEAD", ""}, {"DS_HOME", home().string()}, {"DS_TENANT", tenant}, {"NO_COLOR", "1"}});
  }
  nlohmann::json json(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-o", "json"});
    const auto said = ds_submit(arguments);
    return nlohmann::json::parse(said.out, nullptr, false);
  }
  std::filesystem::path home() { return folder_.path() / "home"; }
  int pid_of(const std::string& member) {
    int pid = 0;
    std::ifstream(home() / "run" / (member + ".pid")) >> pid;
    return pid;
  }
  void TearDown() override { ds_submit({"down", "--purge"}); }

  TemporaryFolder folder_;
};

TEST_F(Up, WithTenantsRunsProgramsAndJobFilesOfWhomTheUserSays) {
  std::ofstream(folder_.path() / "tenants.yaml")
      << "tenants: {nlp: {guaranteed: 1}, vision: {guaranteed: 1}}\n";
  std::ofstream(folder_.path() / "job.yaml") << "version: 1\nkind: command\nname: file\nrun: [\"true\"]\n";
  std::ofstream(folder_.path() / "own.yaml")
      << "version: 1\nkind: command\nname: own\ntenant: vision\nrun: [\"true\"]\n";
  const auto path = [&](const char* name) { return (folder_.path() / name).string(); };
  std::ofstream(folder_.path() / "empty.yaml") << "\n";
  const auto empty = ds_submit({"up", "--nodes", "1", "--slots", "2", "--tenants", path("empty.yaml")});
  EXPECT_EQ(empty.code, 3) << "no tenants at all are another thing";
  EXPECT_NE(empty.err.find("empty.yaml is empty: expected a file of tenants"), std::string::npos)
      << empty.err;
  ASSERT_EQ(ds_submit({"up", "--nodes", "1", "--slots", "2", "--tenants", path("tenants.yaml")}).code, 0);

  const auto lost = ds_submit({"--", "true"});
  EXPECT_EQ(lost.code, 3) << lost.err;
  EXPECT_NE(lost.err.find("--tenant"), std::string::npos) << lost.err;
  const auto unknown = ds_submit({"submit", "--tenant", "nobody", "-f", path("own.yaml")});
  EXPECT_EQ(unknown.code, 3) << unknown.err;
  EXPECT_NE(unknown.err.find("own.yaml: tenant: there is no tenant \"nobody\""), std::string::npos)
      << unknown.err;
  const auto misspelt = ds_submit({"submit", "-f", path("job.yaml")}, "No name");
  EXPECT_EQ(misspelt.code, 2) << misspelt.err;
  EXPECT_NE(misspelt.err.find("DS_TENANT"), std::string::npos) << misspelt.err;

  EXPECT_EQ(ds_submit({"--", "true"}, "nlp").code, 0);
  EXPECT_EQ(ds_submit({"--tenant", "vision", "--", "true"}, "nlp").code, 0);
  EXPECT_EQ(ds_submit({"run", "-f", path("job.yaml")}, "nlp").code, 0);
  EXPECT_EQ(ds_submit({"run", "-f", path("own.yaml")}, "nlp").code, 0);
  EXPECT_EQ(ds_submit({"run", "--tenant", "nlp", "-f", path("own.yaml")}).code, 0);
  const auto jobs = json({"list"});
  ASSERT_TRUE(jobs.is_array());
  std::multiset<std::string> found;
  for (const auto& job : jobs)
    found.insert(job.at("name").get<std::string>() + " " + job.at("tenant").get<std::string>());
  EXPECT_EQ(found,
            (std::multiset<std::string>{"true nlp", "true vision", "file nlp", "own vision", "own nlp"}));

  const auto plan = json({"plan", "--tenant", "vision", "-f", path("job.yaml")});
  ASSERT_TRUE(plan.is_object());
  EXPECT_EQ(plan.at("spec").at("tenant"), "vision");
}

TEST_F(Up, SaysThatTenantsThatWereAppliedSinceGoOnToCount) {
  const auto file = folder_.path() / "tenants.yaml", other = folder_.path() / "other.yaml",
             job = folder_.path() / "job.yaml";
  std::ofstream(file) << "tenants: {nlp: {guaranteed: 1}, vision: {guaranteed: 1}}\n";
  std::ofstream(other) << "tenants: {nlp: {guaranteed: 2}}\n";
  std::ofstream(job) << "version: 1\nkind: command\nname: job\ntenant: vision\nrun: [sleep, \"1000\"]\n";
  const std::vector<std::string> up{"up", "--nodes", "1", "--slots", "2", "--tenants", file.string()};
  const auto first = ds_submit(up);
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.err.find("warning"), std::string::npos) << first.err;
  const auto submitted = ds_submit({"submit", "-f", job.string()});
  const auto id = submitted.out.substr(0, submitted.out.find('\n'));
  ASSERT_EQ(ds_submit({"wait", id, "--for", "RUNNING", "--timeout", "90s"}).code, 0);
  const auto applied = ds_submit({"tenants", "--apply", other.string()});
  EXPECT_EQ(applied.code, 0) << applied.err;
  EXPECT_NE(applied.err.find("vision is named no more, and 1 of its jobs runs: " + id), std::string::npos)
      << applied.err;
  EXPECT_NE(applied.out.find("vision (removed)"), std::string::npos) << applied.out;
  const auto again = ds_submit(up);
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.err.find("warning: tenants may use what ds-submit tenants --apply has said since"),
            std::string::npos)
      << again.err;
}

TEST_F(Up, StartsWhatIsMissingInTheShapeItHadAndRefusesAnother) {
  ASSERT_EQ(ds_submit({"up", "--nodes", "3", "--slots", "3", "--gpus", "H200:2"}).code, 0);
  const int node = pid_of("node-2"), head = pid_of("head");
  ::kill(head, SIGKILL);
  ASSERT_TRUE(wait_until([&] { return !is_running(head); }));
  Outcome list;  // its sockets may close a moment later
  EXPECT_TRUE(wait_until([&] {
    list = ds_submit({"list"});
    return list.err.find("ds-submit up starts what is not running") != std::string::npos;
  })) << list.err;
  EXPECT_EQ(list.code, 9) << list.err;

  const auto other = ds_submit({"up", "--nodes", "2"});
  EXPECT_EQ(other.code, 10) << other.out << other.err;
  EXPECT_NE(other.err.find("3 nodes of 3 slots, GPUs of node-1: H200:2 is up already"), std::string::npos)
      << other.err;
  EXPECT_TRUE(is_running(node));
  const auto again = json({"up"});
  ASSERT_TRUE(again.is_object());
  EXPECT_EQ(again.at("started"), (nlohmann::json{"head"}));
  EXPECT_EQ(pid_of("node-2"), node);

  ASSERT_EQ(ds_submit({"down"}).code, 0);
  const auto later = json({"up", "--slots", "1"});
  ASSERT_TRUE(later.is_object());
  EXPECT_EQ(later.at("nodes"), 3);
  EXPECT_EQ(later.at("slots"), 1);
  EXPECT_EQ(later.at("gpus"), "H200:2");
  EXPECT_EQ(json({"nodes"}).size(), 3U);
}

TEST_F(Up, HasTheAddressThatTheUserNamedUntilAnotherIsNamed) {
  int port = 0;
  nlohmann::json first;
  // Another program may take a port that was free a moment ago.
  for (int i = 0; i < 20 && !first.is_object(); ++i) {
    port = Listener().port();
    first = json({"up", "--nodes", "1", "--slots", "1", "--port", std::to_string(port)});
  }
  ASSERT_TRUE(first.is_object());
  const auto address = "127.0.0.1:" + std::to_string(port);
  EXPECT_EQ(first.at("head"), address);
  const int head = pid_of("head");
  ::kill(head, SIGKILL);
  ASSERT_TRUE(wait_until([&] { return !is_running(head); }));
  EXPECT_EQ(json({"up"}).at("head"), address) << "after a crash";
  const auto moved = ds_submit({"up", "--port", std::to_string(port == 65535 ? 65534 : port + 1)});
  EXPECT_EQ(moved.code, 10) << moved.out << moved.err;
  EXPECT_NE(moved.err.find("up at " + address + " already"), std::string::npos) << moved.err;

  ASSERT_EQ(ds_submit({"down"}).code, 0);
  {
    const Listener other(static_cast<std::uint16_t>(port));
    ASSERT_EQ(other.port(), port);
    const auto taken = ds_submit({"up"});
    EXPECT_EQ(taken.code, 10) << taken.out << taken.err;
    const auto text = "another program has port " + std::to_string(port) + " of 127.0.0.1";
    EXPECT_NE(taken.err.find(text), std::string::npos) << taken.err;
    EXPECT_NE(taken.err.find("ss -ltnp 'sport = :" + std::to_string(port)), std::string::npos) << taken.err;
    EXPECT_NE(taken.err.find("ds-submit up --port N"), std::string::npos) << taken.err;
    const auto any = json({"up", "--port", "0"});
    ASSERT_TRUE(any.is_object());
    EXPECT_NE(any.at("head"), address);
    ASSERT_EQ(ds_submit({"down"}).code, 0);
  }
  const auto back = json({"up", "--port", std::to_string(port)});
  ASSERT_TRUE(back.is_object());
  EXPECT_EQ(back.at("head"), address);
  ASSERT_EQ(ds_submit({"down"}).code, 0);
  const auto later = json({"up"});
  ASSERT_TRUE(later.is_object());
  EXPECT_EQ(later.at("head"), address) << "it is remembered";
}

TEST_F(Up, LeavesTheHeadUpWhenANodeHangs) {
  ASSERT_EQ(ds_submit({"up", "--nodes", "2", "--slots", "1"}).code, 0);
  const int node = pid_of("node-2"), head = pid_of("head");
  ::kill(node, SIGSTOP);
  ::kill(head, SIGKILL);
  ASSERT_TRUE(wait_until([&] { return !is_running(head); }));
  const auto up = ds_submit({"up"});
  EXPECT_EQ(up.code, 1) << up.out << up.err;
  EXPECT_NE(up.err.find("without node-2 (pid " + std::to_string(node) + ", stopped by a signal)"),
            std::string::npos)
      << up.err;
  EXPECT_EQ(ds_submit({"list"}).code, 0) << "the head went away";
  EXPECT_TRUE(is_running(node));
  ::kill(node, SIGCONT);
  EXPECT_TRUE(wait_until([&] { return ds_submit({"up"}).code == 0; }));
  EXPECT_EQ(pid_of("node-2"), node);
}

TEST_F(Up, TellsThatAHeadHangsWithinTheTimeThatTheUserSaid) {
  ASSERT_EQ(ds_submit({"up", "--nodes", "1", "--slots", "1"}).code, 0);
  std::ofstream(folder_.path() / "job.yaml")
      << "version: 1\nkind: command\nname: long\nrun: [\"sleep\", \"1000\"]\n";
  const auto submitted = ds_submit({"submit", "-f", (folder_.path() / "job.yaml").string()});
  ASSERT_EQ(submitted.code, 0) << submitted.err;
  const std::string head = std::to_string(pid_of("head"));
  ::kill(pid_of("head"), SIGSTOP);
  const auto begin = std::chrono::steady_clock::now();
  const auto wait = ds_submit({"wait", "long", "--timeout", "2s"});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(25));
  EXPECT_EQ(wait.code, 9) << wait.err;
  EXPECT_NE(wait.err.find("does not answer"), std::string::npos) << wait.err;
  EXPECT_NE(wait.err.find("kill -9 " + head), std::string::npos) << wait.err;
  const auto up = ds_submit({"up"});
  EXPECT_EQ(up.code, 1) << up.out << up.err;
  EXPECT_NE(up.err.find("kill -CONT " + head), std::string::npos) << up.err;
  ::kill(pid_of("head"), SIGCONT);
  EXPECT_EQ(ds_submit({"list"}).code, 0);
}

}  // namespace
}  // namespace ds::tests
