#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "actors/fabric/fabric.hpp"
#include "storage/result.hpp"

namespace ds::head {

/// Asks the head's HTTP address where its actor is. Blocks up to `timeout`.
Result<fabric::ActorAddress> locate_head(const std::string& host_port, std::chrono::milliseconds timeout);

/// Local message: the head answered.
struct HeadFound {
  fabric::ActorAddress head;
};

/// Looks for the head until it answers, at first at once and then ten times a second, on a thread of its own,
/// then sends `HeadFound` to all who have asked meanwhile: the many nodes of one process search together.
/// Gives up silently once `stop` is set; the process may only end after that. Thread-safe.
class HeadSearch : public std::enable_shared_from_this<HeadSearch> {
 public:
  HeadSearch(caf::actor_system& system, std::string host_port, std::shared_ptr<std::atomic<bool>> stop);
  void tell_when_found(caf::actor receiver);

  /// When it was last seen that no head runs at its address, as far as that can be told from a machine that
  /// answers: `fabric::boot_time_ns`; 0: never yet.
  std::int64_t refused_ns() const { return refused_ns_.load(); }

 private:
  void search();

  caf::actor_system& system_;
  const std::string host_port_;
  const std::shared_ptr<std::atomic<bool>> stop_;
  std::atomic<std::int64_t> refused_ns_{0};
  std::atomic<bool> has_searched_{false};
  std::mutex mutex_;
  std::vector<caf::actor> waiting_;  ///< not empty: a search is under way
};

}  // namespace ds::head

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::head::HeadFound)
