#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ds::chaos {

/// What a process holds, as the kernel tells.
struct Holdings {
  std::size_t descriptors = 0;
  std::size_t mappings = 0;
  std::size_t shared = 0;  ///< mappings of memory that other processes may share, without a name
  std::size_t named = 0;   ///< mappings of named segments, in /dev/shm or of System V
};
Holdings holdings_of(int pid);
std::size_t resident_bytes(int pid);

/// A child that is killed at the end of this object, if it still runs. Its standard input and output are
/// pipes.
class PeerProcess {
 public:
  /// `mark` is put into its environment; `inherited`, when there is one, is its descriptor 3.
  PeerProcess(const std::filesystem::path& program, const std::vector<std::string>& arguments,
              const std::string& mark, int inherited = -1);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  int pid() const { return pid_; }
  void signal(int number) const;
  void say(const std::string& line) const;
  /// The next line that it says; nothing when it doesn't in time, or ends.
  std::optional<std::string> hear(std::chrono::seconds patience);
  void close_input();
  /// Its wait status once it has ended; `patience` 0 asks only.
  std::optional<int> wait(std::chrono::seconds patience);

 private:
  int pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string heard_;
  std::optional<int> status_;
};

}  // namespace ds::chaos
