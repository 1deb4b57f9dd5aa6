#include "actors/head/node_renewer.hpp"

#include <caf/all.hpp>
#include <utility>

#include "actors/fabric/actor_guard.hpp"
#include "actors/messages/node.hpp"

namespace ds::head {
namespace {

class Renewer : public caf::event_based_actor {
 public:
  Renewer(caf::actor_config& config, std::shared_ptr<const RenewableNodes> nodes)
      : event_based_actor(config), nodes_(std::move(nodes)) {}

  caf::behavior make_behavior() override {
    fabric::guard_actor(*this, "the renewer of nodes' terms");
    return {[this](const messages::RenewNode& asked) {
      const auto node = caf::actor_cast<caf::actor>(current_sender());
      if (node && nodes_->contains(node.address())) send(node, messages::NodeRenewed{asked.sent_ns});
    }};
  }

 private:
  const std::shared_ptr<const RenewableNodes> nodes_;
};

}  // namespace

void RenewableNodes::add(const caf::actor& agent) {
  const std::lock_guard lock(mutex_);
  agents_.insert(agent.address());
}

void RenewableNodes::remove(const caf::actor& agent) {
  const std::lock_guard lock(mutex_);
  agents_.erase(agent.address());
}

bool RenewableNodes::contains(const caf::actor_addr& agent) const {
  const std::lock_guard lock(mutex_);
  return agents_.contains(agent);
}

caf::actor spawn_renewer(caf::event_based_actor& head, std::shared_ptr<const RenewableNodes> nodes) {
  return caf::actor_cast<caf::actor>(head.spawn<Renewer, caf::linked>(std::move(nodes)));
}

}  // namespace ds::head
