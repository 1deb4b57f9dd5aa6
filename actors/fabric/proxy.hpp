#pragma once

#include <caf/actor_proxy.hpp>
#include <memory>
#include <mutex>

#include "actors/fabric/fabric_state.hpp"

namespace ds::fabric {

/// Stands for an actor of another process: what it gets is sent there. Dies when that actor or its process
/// does.
class Proxy final : public caf::actor_proxy {
 public:
  Proxy(caf::actor_config& config, std::weak_ptr<Fabric::State> state, ActorAddress address,
        std::uint64_t number);

  const ActorAddress& address_there() const { return address_; }
  const char* name() const override { return "fabric.proxy"; }

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* context) override;
  bool add_backlink(caf::abstract_actor* other) override;
  bool remove_backlink(caf::abstract_actor* other) override;
  void kill_proxy(caf::execution_unit* context, caf::error reason) override;

 private:
  void forward(Fabric::State& state, caf::mailbox_element& what, caf::execution_unit* context);
  void forward_exit(Fabric::State& state, const caf::mailbox_element& what);
  void answer(const caf::strong_actor_ptr& sender, caf::message_id id, caf::error why,
              caf::execution_unit* context);

  const std::weak_ptr<Fabric::State> state_;
  const ActorAddress address_;
  const std::uint64_t number_;
  std::mutex alive_mutex_;
  bool alive_ = true;  ///< guards what is added to the pending requests
};

}  // namespace ds::fabric
