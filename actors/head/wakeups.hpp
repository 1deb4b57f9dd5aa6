#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace ds::head {

/// When to look at which job again: one moment each.
class Wakeups {
 public:
  /// 0: never.
  void set(const std::string& job, std::int64_t at_ms) {
    const auto known = at_.find(job);
    if (known != at_.end()) {
      due_.erase({known->second, job});
      at_.erase(known);
    }
    if (at_ms == 0) return;
    at_.emplace(job, at_ms);
    due_.emplace(at_ms, job);
  }
  std::vector<std::string> take_due(std::int64_t now_ms) {
    std::vector<std::string> jobs;
    while (!due_.empty() && due_.begin()->first <= now_ms) {
      jobs.push_back(due_.begin()->second);
      set(std::string(jobs.back()), 0);
    }
    return jobs;
  }

 private:
  std::map<std::string, std::int64_t> at_;
  std::set<std::pair<std::int64_t, std::string>> due_;
};

}  // namespace ds::head
