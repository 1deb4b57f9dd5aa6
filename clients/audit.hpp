#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace ds::clients {

/// What the workers' records of a job with `audit: true` say about which samples committed steps took.
struct Audit {
  struct Epoch {
    std::uint64_t first_step = 0, last_step = 0;  ///< committed ones
    bool whole = false;                           ///< its last step is committed
    std::uint64_t once = 0, missing = 0, twice = 0;
  };
  std::string job;
  std::uint64_t samples = 0;              ///< of an epoch
  std::uint64_t steps = 0;                ///< committed, as far as the records tell
  std::map<std::uint64_t, Epoch> epochs;  ///< by number, from 1
  /// What must not be: a committed step without a record of one of its ranks, two records of a step that
  /// differ, a line that cannot be read, with FILE:LINE. With the hundredth the search ends.
  std::vector<std::string> faults;

  /// Every sample of every whole epoch was taken exactly once, and none twice in the last one.
  bool is_good() const;
};

/// Reads all `worker-*.log` of a folder; see actors/worker/audit_log.hpp for their form. Of several records
/// of one share, which must be alike, one counts; those of steps behind the last that was done do not. Files
/// may be damaged anyhow: it takes no more time than their size and the number of samples and epochs that
/// they speak of ask for, and memory for one epoch's. Throws `Failure` when there are none or they belong to
/// different jobs.
Audit read_audit(const std::filesystem::path& folder);

std::string format_audit(const Audit& audit, bool coloured);

}  // namespace ds::clients
