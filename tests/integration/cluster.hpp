#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ds::tests {

/// What a program said and how it ended. `code` is -1 when it was killed.
struct Outcome {
  int code = -1;
  std::string out, err;
};

/// A folder of its own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A child process that is killed at the end of its owner's life.
class Process {
 public:
  Process() = default;
  Process(const std::vector<std::string>& arguments, const std::filesystem::path& log,
          const std::map<std::string, std::string>& environment = {});
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  int pid() const { return pid_; }
  void signal(int number) const;
  /// Waits up to a minute; -1 when it was ended by a signal.
  int wait();
  void kill_and_wait();

 private:
  int pid_ = 0;
};

/// Where the programs under test lie.
std::filesystem::path program(const std::string& name);

/// Runs a program to its end (two minutes at most).
Outcome run_program(const std::vector<std::string>& arguments,
                    const std::map<std::string, std::string>& environment = {});

/// The number that an environment variable holds; without it, the other.
std::uint64_t number_of(const char* variable, std::uint64_t otherwise);

/// Polls until `condition` holds; false after `limit`.
bool wait_until(const std::function<bool()>& condition,
                std::chrono::seconds limit = std::chrono::seconds(120));

bool is_running(int pid);

/// Processor time that a process has used, in clock ticks; 0 when it is gone.
long processor_ticks(int pid);

/// Real `ds-head` and `ds-node` processes in a folder of their own, used through `ds-submit` as a user would.
class Cluster {
 public:
  Cluster();

  /// Jobs change their sizes by what they measure on this machine, from the next head on. Else tests of
  /// growing and shrinking would depend on how fast it is.
  void grow_by_gain() { grows_by_gain_ = true; }
  void start_head(const std::vector<std::string>& more = {});  ///< on the same port every time
  void start_node(const std::string& name, int slots, std::vector<std::string> more = {});
  /// One process that is so many nodes, `NAME-0`, …, and starts no programs; it logs all that it would start.
  void start_pretend_nodes(const std::string& name, int count, std::vector<std::string> more);
  Process& head() { return head_; }
  Process& node(const std::string& name) { return nodes_.at(name); }
  void forget_node(const std::string& name) { nodes_.erase(name); }

  Outcome submit(const std::vector<std::string>& arguments) const;  ///< `ds-submit ARGUMENTS`
  nlohmann::json json(
      const std::vector<std::string>& arguments) const;  ///< the same with `-o json`; null on failure

  std::string submit_job(const std::filesystem::path& file) const;
  nlohmann::json status(const std::string& job) const { return json({"status", job}); }
  bool wait_for_state(const std::string& job, const std::string& state) const;
  bool wait_for_step(const std::string& job, std::uint64_t step) const;
  bool wait_for_nodes(std::size_t count) const;
  /// The job's final weights, as exported; empty on failure.
  std::string exported_weights(const std::string& job) const;
  /// Process ids of all workers of all jobs and of the programs that were started.
  std::vector<int> worker_pids(const std::string& job) const;
  /// Of the job's processes of another role (`server`, `shard`) that have one.
  std::vector<int> role_pids(const std::string& job, const std::string& role) const;

  const std::filesystem::path& path() const { return folder_.path(); }
  std::string logs() const;  ///< of head and nodes, for a failed test's message
  std::string address() const { return address_; }

 private:
  void start_node_program(const std::string& name, std::vector<std::string> arguments,
                          const std::map<std::string, std::string>& environment = {});

  TemporaryFolder folder_;
  std::string address_;
  bool grows_by_gain_ = false;
  Process head_;
  std::map<std::string, Process> nodes_;
};

/// Writes `train.csv`, `test.csv` and `job.yaml` into `folder`: a small text set that can be learnt, and a
/// job for it; further lines may follow `strategy`. Returns the job file.
std::filesystem::path write_job(const std::filesystem::path& folder, const std::string& name, int epochs,
                                int min_workers, int max_workers, const std::string& strategy = "allreduce");

}  // namespace ds::tests
