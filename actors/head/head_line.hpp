#pragma once

#include <atomic>
#include <caf/event_based_actor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "actors/fabric/fabric.hpp"
#include "actors/head/locator.hpp"

namespace ds::head {

/// How a process of a job was started.
struct JobProcess {
  std::string head;          ///< HTTP address, `HOST:PORT`
  std::uint64_t worker = 0;  ///< its number
  std::string job;
  std::function<void()> leave;  ///< called when nothing more is wanted of the process
};

/// A job process's line to whatever head there is, and to the job's master in it. Part of an actor: all of it
/// on that actor.
class HeadLine {
 public:
  HeadLine(caf::event_based_actor& self, fabric::Fabric& fabric, std::string address);
  ~HeadLine();  ///< stops looking
  HeadLine(const HeadLine&) = delete;
  HeadLine& operator=(const HeadLine&) = delete;

  /// The actor gets `HeadFound` when there is one.
  void search();
  void on_found(const HeadFound& found);
  /// Looks for the next head if it was this one that is down; else false. `meanwhile` says what goes on.
  bool on_down(const caf::actor_addr& source, std::string_view meanwhile);
  /// Whoever sent the message in hand is the job's master from now on.
  void on_taken();

  const caf::actor& head() const { return head_; }      ///< null: none
  const caf::actor& master() const { return master_; }  ///< null: none has taken the process yet

  /// Nothing is sent where there is none: what must not be lost is said again to the next one.
  template <class Message>
  void tell_head(Message message) {
    if (head_) self_.send(head_, std::move(message));
  }
  template <class Message>
  void tell_master(Message message) {
    if (master_) self_.send(master_, std::move(message));
  }

 private:
  caf::event_based_actor& self_;
  fabric::Fabric& fabric_;
  std::shared_ptr<std::atomic<bool>> stop_;
  std::shared_ptr<HeadSearch> search_;
  caf::actor head_;
  caf::actor master_;
};

}  // namespace ds::head
