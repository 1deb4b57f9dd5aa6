#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace ds::head {

/// Checkpoints that somebody has chosen to serve or to register, from the moment of the choice until every
/// task that may drop old checkpoints knows of it from the ledger. Thread-safe.
class ChosenCheckpoints {
 public:
  void hold(const std::string& job, std::uint64_t step);
  void release(const std::string& job, std::uint64_t step);  ///< as often as held
  std::vector<std::uint64_t> of(const std::string& job) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::multiset<std::uint64_t>> steps_;
};

}  // namespace ds::head
