#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "scheduler/spec/slot_count.hpp"

namespace ds::tests {

/// What a head's journal says of slots and of jobs, counted from its events alone, one after the other. To be
/// read when no head runs.
struct LeaseJournal {
  std::string fault;         ///< why it could not be read, or what in it cannot be; empty: nothing
  std::uint64_t grants = 0;  ///< of slots
  /// Workers that were told to leave while their jobs went on, preempted ones too; jobs that were preempted.
  std::uint64_t shrunk = 0, preempted = 0;
  /// Slots taken at the same time, at most: of each node; of each tenant and each `TENANT/QUEUE`.
  std::map<std::string, scheduler::SlotCount> most_on_node, most_of_queue;
  std::map<std::string, std::vector<std::string>> ends;  ///< of each job that was submitted: how it ended
};

/// `data_dir`: the head's.
LeaseJournal read_lease_journal(const std::filesystem::path& data_dir);

}  // namespace ds::tests
