#pragma once

#include <caf/actor_cast.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <functional>
#include <utility>

namespace ds::worker {

/// Local message: something to do on the actor that gets it.
struct Run {
  std::function<void()> action;
};

/// Runs `action` on `actor`, which handles `Run`; callable from any thread.
template <class Action>
void post(caf::event_based_actor* actor, Action action) {
  caf::anon_send(caf::actor_cast<caf::actor>(actor), Run{std::move(action)});
}

}  // namespace ds::worker

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::worker::Run)
