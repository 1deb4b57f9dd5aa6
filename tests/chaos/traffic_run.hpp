#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/chaos/peer_process.hpp"
#include "tests/chaos/peer_table.hpp"
#include "tests/chaos/traffic_check.hpp"

namespace ds::chaos {

/// Some processes under checked traffic, for a test that does one thing to them. All are killed at its end.
class TrafficRun {
 public:
  /// `chaos_peer` is the program.
  explicit TrafficRun(std::filesystem::path program);
  ~TrafficRun();
  TrafficRun(const TrafficRun&) = delete;
  TrafficRun& operator=(const TrafficRun&) = delete;

  /// Starts a process in a slot; `before` stands before the command (a program that runs another). Throws
  /// when it does not start.
  void start(std::size_t slot, const std::string& host, const std::vector<std::string>& before = {});
  /// Tells all of all and lets them send.
  void introduce();

  void kill(std::size_t slot);
  void stop(std::size_t slot);
  void wake(std::size_t slot);
  /// Something happened to a process, or its network, that explains losses as if it had been stopped.
  void excuse(std::size_t slot, std::int64_t from_ns, std::int64_t to_ns);

  /// Polls until `condition` holds, reading what the processes wrote in between.
  bool eventually(const std::function<bool()>& condition,
                  std::chrono::seconds patience = std::chrono::seconds(60));
  /// Waits until messages arrive, from now on, in all directions.
  bool flows();
  /// Waits until what a fault left behind is over, stops all traffic and waits until everything has arrived:
  /// what was found, nothing when all is well.
  std::vector<std::string> settle();

  const TrafficCheck& check() const { return check_; }
  std::uint64_t id(std::size_t slot) const { return incarnations_.at(slots_.at(slot).incarnation).id; }
  int pid(std::size_t slot) const { return slots_.at(slot).process->pid(); }

 private:
  struct Slot {
    std::unique_ptr<PeerProcess> process;
    std::size_t incarnation = 0;
    std::string host;
    std::uint16_t port = 0;
  };
  std::vector<std::uint64_t> living() const;
  void everybody(const std::string& line) const;
  void read();

  std::filesystem::path program_;
  std::array<Slot, kSlots> slots_;
  std::vector<Incarnation> incarnations_;
  std::vector<JournalMemory> journals_;  ///< theirs
  TrafficCheck check_;
};

}  // namespace ds::chaos
