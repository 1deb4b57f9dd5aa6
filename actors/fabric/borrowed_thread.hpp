#pragma once

#include <caf/actor.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/actor_system.hpp>
#include <caf/execution_unit.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/message.hpp>
#include <caf/resumable.hpp>

namespace ds::fabric {

/// Lets a thread that is none of CAF's run an actor, so that a message to it wakes no other thread.
///
/// For actors whose handlers are short. It outlives the actors that it has run. Thread-safe.
class BorrowedThread final : public caf::execution_unit {
 public:
  /// Of the actor's messages, before the rest is left to CAF's threads.
  static constexpr std::size_t kMostMessages = 8;

  explicit BorrowedThread(caf::actor_system& system) : execution_unit(&system) {}

  /// Gives `actor` a message. Where it runs on no thread at the moment, it then runs on this one.
  void send(const caf::actor& actor, caf::message content);
  /// The same in two steps: what it returns is to be given to `run`, soon, on any thread, as the actor runs
  /// nowhere else until then. Null: there is nothing to run here.
  caf::resumable* give(const caf::strong_actor_ptr& actor, caf::mailbox_element_ptr message);
  void run(caf::resumable* job);

  void exec_later(caf::resumable* job) override;  ///< for CAF
};

}  // namespace ds::fabric
