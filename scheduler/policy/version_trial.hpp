#pragma once

#include <cstdint>
#include <map>

namespace ds::scheduler {

/// When a version is given up that no replica of a job has been ready with, though one was with another. Of
/// one job.
class VersionTrial {
 public:
  /// While others serve. Where none is ready, requests wait, and one is enough.
  static constexpr std::uint32_t kMostCrashes = 3;

  /// A replica of the version ended before it was ready. True: the version is to be given up.
  bool on_crash(std::uint64_t version, bool is_any_ready) {
    return ++crashes_[version] >= (is_any_ready ? kMostCrashes : 1);
  }
  std::uint32_t crashes(std::uint64_t version) const {
    const auto found = crashes_.find(version);
    return found == crashes_.end() ? 0 : found->second;
  }
  void on_ready(std::uint64_t version) { crashes_.erase(version); }

 private:
  std::map<std::uint64_t, std::uint32_t> crashes_;
};

}  // namespace ds::scheduler
