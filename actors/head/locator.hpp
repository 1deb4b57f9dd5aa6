#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "actors/fabric/fabric.hpp"
#include "storage/result.hpp"

namespace ds::head {

/// Asks the head's HTTP address where its actor is. Blocks up to `timeout`.
Result<fabric::ActorAddress> locate_head(const std::string& host_port, std::chrono::milliseconds timeout);

/// Local message: the head answered.
struct HeadFound {
  fabric::ActorAddress head;
};

/// Looks for the head until it answers, four times a second, on a thread of its own, then sends `HeadFound`
/// to `receiver`. Gives up silently once `stop` is set; the receiver's process may only end after that.
void search_head(caf::actor_system& system, std::string host_port, caf::actor receiver,
                 std::shared_ptr<std::atomic<bool>> stop);

}  // namespace ds::head

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::head::HeadFound)
