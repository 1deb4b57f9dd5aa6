#include "tests/integration/cluster.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

namespace ds::tests {
namespace {

using std::chrono::steady_clock;

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// Starts a program in a process group of its own that dies with this process.
int start(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& environment,
          int out, int err) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const int pid = fork();
  if (pid != 0) return pid;
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  close_range(3, ~0U, 0);
  execv(argv[0], argv.data());
  _exit(127);
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "ds-test-XXXXXX").string();
  path_ = mkdtemp(name.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (std::getenv("DS_TEST_KEEP") == nullptr) std::filesystem::remove_all(path_, ignored);
}

Process::Process(const std::vector<std::string>& arguments, const std::filesystem::path& log,
                 const std::map<std::string, std::string>& environment) {
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  pid_ = start(arguments, environment, file, file);
  close(file);
}

Process::Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}

Process::~Process() {
  kill_and_wait();
}

void Process::signal(int number) const {
  if (pid_ > 0) kill(pid_, number);
}

int Process::wait() {
  if (pid_ <= 0) return -1;
  int status = 0;
  const int pid = pid_;
  if (!wait_until([&] { return waitpid(pid, &status, WNOHANG) == pid; }, std::chrono::seconds(60))) {
    kill_and_wait();
    return -1;
  }
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void Process::kill_and_wait() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

std::filesystem::path program(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

Outcome run_program(const std::vector<std::string>& arguments,
                    const std::map<std::string, std::string>& environment) {
  std::array<int, 2> out{}, err{};
  if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0) return {};
  const int pid = start(arguments, environment, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  Outcome outcome;
  const auto deadline = steady_clock::now() + std::chrono::seconds(120);
  std::array<pollfd, 2> polled{{{out[0], POLLIN, 0}, {err[0], POLLIN, 0}}};
  while ((polled[0].fd >= 0 || polled[1].fd >= 0) && steady_clock::now() < deadline) {
    if (poll(polled.data(), polled.size(), 1000) <= 0) continue;
    for (auto& one : polled) {
      if (one.fd < 0 || one.revents == 0) continue;
      std::array<char, 65536> bytes{};
      const auto size = read(one.fd, bytes.data(), bytes.size());
      if (size <= 0) {
        one.fd = -1;
      } else {
        (&one == polled.data() ? outcome.out : outcome.err)
            .append(bytes.data(), static_cast<std::size_t>(size));
      }
    }
  }
  if (polled[0].fd >= 0 || polled[1].fd >= 0) kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  close(out[0]);
  close(err[0]);
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  return outcome;
}

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

bool wait_until(const std::function<bool()>& condition, std::chrono::seconds limit) {
  const auto deadline = steady_clock::now() + limit;
  while (!condition()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

/// Empty: it is gone, perhaps while it was read.
std::string stat_of(int pid) {
  try {
    return read_file("/proc/" + std::to_string(pid) + "/stat");
  } catch (const std::ios_base::failure&) {
    return {};
  }
}

bool is_running(int pid) {
  const auto stat = stat_of(pid);
  if (stat.empty()) return false;
  const char state = stat.at(stat.rfind(')') + 2);
  return state != 'Z' && state != 'X';
}

long processor_ticks(int pid) {
  const auto stat = stat_of(pid);
  if (stat.empty()) return 0;
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  long user = 0, system = 0;
  fields >> user >> system;
  return user + system;
}

Cluster::Cluster() {
  std::filesystem::create_directories(path() / "exports");
}

void Cluster::start_head(const std::vector<std::string>& more) {
  const auto listen = address_.empty() ? "127.0.0.1:0" : address_;
  std::error_code ignored;
  std::filesystem::remove(path() / "head/address", ignored);
  std::vector<std::string> command{program("ds-head").string(),
                                   "--data-dir",
                                   (path() / "head").string(),
                                   "--listen",
                                   listen,
                                   "--growth",
                                   grows_by_gain_ ? "gain" : "fair"};
  command.insert(command.end(), more.begin(), more.end());
  head_ = Process(command, path() / "head.log");
  ASSERT_TRUE(wait_until([&] {
    return !read_file(path() / "head/address").empty() || !is_running(head_.pid());
  })) << logs();
  address_ = read_file(path() / "head/address");
  ASSERT_FALSE(address_.empty()) << logs();
  address_.pop_back();
}

void Cluster::start_node_program(const std::string& name, std::vector<std::string> arguments,
                                 const std::map<std::string, std::string>& environment) {
  const std::vector<std::string> command{program("ds-node").string(),
                                         "--head",
                                         address_,
                                         "--secret-file",
                                         (path() / "head/cluster.secret").string(),
                                         "--name",
                                         name};
  arguments.insert(arguments.begin(), command.begin(), command.end());
  nodes_[name] = Process(arguments, path() / (name + ".log"), environment);
}

void Cluster::start_node(const std::string& name, int slots, std::vector<std::string> more) {
  more.insert(more.end(), {"--slots", std::to_string(slots)});
  start_node_program(name, std::move(more));
}

void Cluster::start_pretend_nodes(const std::string& name, int count, std::vector<std::string> more) {
  more.insert(more.end(), {"--pretend", std::to_string(count)});
  start_node_program(name, std::move(more), {{"DS_LOG_LEVEL", "debug"}});
}

Outcome Cluster::submit(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command{program("ds-submit").string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_program(command,
                     {{"DS_HEAD", address_}, {"NO_COLOR", "1"}, {"DS_HOME", (path() / "home").string()}});
}

nlohmann::json Cluster::json(const std::vector<std::string>& arguments) const {
  auto command = arguments;
  command.insert(command.end(), {"-o", "json"});
  const auto outcome = submit(command);
  return outcome.code == 0 ? nlohmann::json::parse(outcome.out, nullptr, false) : nlohmann::json();
}

std::string Cluster::submit_job(const std::filesystem::path& file) const {
  const auto outcome = submit({"submit", "-f", file.string(), "-o", "json"});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err << logs();
  return outcome.code == 0 ? nlohmann::json::parse(outcome.out).at("id").get<std::string>() : "";
}

bool Cluster::wait_for_state(const std::string& job, const std::string& state) const {
  return wait_until([&] {
    const auto now = status(job);
    return now.is_object() && now.at("state") == state;
  });
}

bool Cluster::wait_for_step(const std::string& job, std::uint64_t step) const {
  return wait_until([&] {
    const auto now = status(job);
    return now.is_object() && now.at("step").get<std::uint64_t>() >= step;
  });
}

bool Cluster::wait_for_nodes(std::size_t count) const {
  return wait_until([&] {
    const auto nodes = json({"nodes"});
    if (!nodes.is_array()) return false;
    // One that is drained is listed although the head has not heard of it.
    const auto up = std::ranges::count_if(nodes, [](const auto& node) { return node.at("state") != "DOWN"; });
    return static_cast<std::size_t>(up) == count;
  });
}

std::string Cluster::exported_weights(const std::string& job) const {
  const auto file = path() / "exports" / (job + ".safetensors");
  const auto outcome = submit({"export", job, "--format", "safetensors", "-o", file.string()});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err << logs();
  return read_file(file);
}

std::vector<int> Cluster::worker_pids(const std::string& job) const {
  std::vector<int> pids;
  const auto now = status(job);
  if (!now.is_object()) return pids;
  for (const auto& worker : now.at("workers")) {
    if (worker.at("pid").is_number()) pids.push_back(worker.at("pid"));
  }
  return pids;
}

std::vector<int> Cluster::role_pids(const std::string& job, const std::string& role) const {
  std::vector<int> pids;
  const auto now = status(job);
  if (!now.is_object()) return pids;
  for (const auto& one : now.at("roles")) {
    if (one.at("role") == role && one.at("pid").is_number()) pids.push_back(one.at("pid"));
  }
  return pids;
}

std::string Cluster::logs() const {
  std::ostringstream all;
  for (const auto& entry : std::filesystem::directory_iterator(path())) {
    if (entry.path().extension() != ".log") continue;
    all << "\n==> " << entry.path().filename().string() << "\n" << read_file(entry.path());
  }
  const auto jobs = path() / "head/logs";
  if (std::filesystem::exists(jobs)) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(jobs)) {
      if (entry.is_regular_file())
        all << "\n==> " << entry.path().string() << "\n" << read_file(entry.path());
    }
  }
  return all.str();
}

std::filesystem::path write_job(const std::filesystem::path& folder, const std::string& name, int epochs,
                                int min_workers, int max_workers, const std::string& strategy) {
  std::filesystem::create_directories(folder);
  static constexpr std::array kTopics{"weather", "music", "money", "travel"};
  std::mt19937 random(1);
  for (const auto& [file, rows] : {std::pair{"train.csv", 2'000}, std::pair{"test.csv", 200}}) {
    std::ofstream csv(folder / file);
    csv << "text,topic\n";
    for (int row = 0; row < rows; ++row) {
      const auto topic = random() % kTopics.size();
      csv << '"';
      for (int word = 0; word < 12; ++word) {
        // One word in four tells the topic; the others are noise.
        if (random() % 4 == 0) {
          csv << kTopics[topic] << random() % 20 << ' ';
        } else {
          csv << "noise" << random() % 300 << ' ';
        }
      }
      csv << "\"," << kTopics[topic] << '\n';
    }
  }
  const auto job = folder / (name + ".yaml");
  std::ofstream(job)
      << "version: 1\nkind: train\nname: " << name << "\n"
      << "resources: {cpus: 1, memory: 256Mi}\n"
      << "workers: {min: " << min_workers << ", max: " << max_workers << "}\n"
      << "model: {zoo: text_classifier, width: 64, dropout: 0.1}\n"
      << "data:\n"
      << "  train: {source: train.csv, format: csv, columns: {text: text, label: topic}}\n"
      << "  validate: {source: test.csv, format: csv, columns: {text: text, label: topic}}\n"
      << "  transforms:\n    - tokenize: {vocabulary: 1000}\n    - pad_sequences: {length: 16}\n"
      << "batch: {global: 32}\noptimizer: {name: adamw, lr: 1e-3}\nloss: cross_entropy\n"
      << "strategy: " << strategy << "\nuntil: {epochs: " << epochs << "}\n"
      << "checkpoint: {every: 20 steps, keep_last: 3, keep_best: 1}\nseed: 7\n";
  return job;
}

}  // namespace ds::tests
