#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "actors/fabric/local_link.hpp"
#include "actors/fabric/process_page.hpp"

namespace ds::fabric {

/// Looks after the links of a transport: one thread at a time polls them all, and peers are told whether
/// anybody does. Thread-safe.
class LinkPoller {
 public:
  explicit LinkPoller(ProcessPage& page) : page_(page) {}

  void add(std::shared_ptr<LocalLink> link);
  /// The link may be polled by another thread until it is closed.
  void remove(const LocalLink& link);

  /// Polls every link once; false when nothing came or another thread polls.
  bool poll();
  /// Polls one link, whose peer has ended, until nothing comes any more.
  void drain(LocalLink& link);
  /// Between `begin` and `end` a thread polls again and again, so peers need not ring the doorbell.
  /// False when there is no link.
  bool begin();
  /// Somebody is between `begin` and `end`, besides the caller.
  bool others_poll() const { return pollers_.load(std::memory_order_relaxed) > 1; }
  /// False when something came in just before peers were told: then somebody has to poll once more.
  bool end();

 private:
  using Links = std::vector<std::shared_ptr<LocalLink>>;
  const Links& current();

  ProcessPage& page_;
  std::atomic<int> pollers_{0};

  std::mutex links_mutex_;
  Links links_;
  std::atomic<std::size_t> count_{0};
  std::atomic<std::uint64_t> changes_{0};

  std::mutex poll_mutex_;  ///< held by who polls
  Links seen_;
  std::uint64_t seen_changes_ = 0;
};

}  // namespace ds::fabric
