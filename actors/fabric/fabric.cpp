#include "actors/fabric/fabric.hpp"

#include <spdlog/spdlog.h>

#include <caf/actor_cast.hpp>
#include <caf/exit_reason.hpp>
#include <caf/make_actor.hpp>

#include "actors/fabric/fabric_state.hpp"
#include "actors/fabric/polling_scheduler.hpp"
#include "actors/fabric/proxy.hpp"

namespace ds::fabric {

Fabric::Fabric(caf::actor_system& system, std::shared_ptr<Transport> transport)
    : state_(std::make_shared<State>(system, std::move(transport))) {
  std::weak_ptr<State> weak = state_;
  state_->transport->on_frame(Channel::actors, [weak](const ProcessAddress& from, Transport::Parts parts) {
    if (auto state = weak.lock()) state->on_frame(from, parts);
  });
  state_->lost_token = state_->transport->add_on_lost([weak](const ProcessAddress& peer, const Error&) {
    if (auto state = weak.lock()) state->on_lost(peer);
  });
  if (auto* scheduler = dynamic_cast<PollingScheduler*>(&system.scheduler())) {
    scheduler->data().set_transport(state_->transport);
  }
}

Fabric::~Fabric() {
  if (auto* scheduler = dynamic_cast<PollingScheduler*>(&state_->system.scheduler())) {
    scheduler->data().set_transport(nullptr);
  }
  state_->transport->on_frame(Channel::actors, nullptr);
  state_->transport->remove_on_lost(state_->lost_token);
  state_->close();
}

const ProcessAddress& Fabric::self() const {
  return state_->transport->self();
}

void Fabric::publish(std::uint64_t number, const caf::actor& actor) {
  if (number == 0 || number >= kFirstActorNumber) {
    spdlog::critical("fabric: {} is no number for a published actor; they go from 1 to {}", number,
                     kFirstActorNumber - 1);
    std::abort();
  }
  std::lock_guard lock(state_->mutex);
  state_->published[number] = caf::actor_cast<caf::strong_actor_ptr>(actor);
}

ActorAddress Fabric::address_of(const caf::actor& actor) {
  return actor ? state_->export_actor(caf::actor_cast<caf::strong_actor_ptr>(actor)) : ActorAddress{};
}

caf::actor Fabric::resolve(const ActorAddress& address) {
  return caf::actor_cast<caf::actor>(state_->resolve(address));
}

// ---- proxies ------------------------------------------------------------------------------------

caf::strong_actor_ptr Fabric::State::make_proxy(const ActorAddress& address, std::uint64_t number,
                                                bool alive) {
  caf::actor_config config;
  auto proxy = caf::make_actor<Proxy, caf::strong_actor_ptr>(system.next_actor_id(), caf::node_id{}, &system,
                                                             config, weak_from_this(), address, number);
  if (!alive) static_cast<Proxy*>(proxy->get())->kill_proxy(nullptr, caf::exit_reason::unknown);
  return proxy;
}

caf::strong_actor_ptr Fabric::State::resolve(const ActorAddress& address) {
  if (!address) return {};
  if (is_self(address.process)) {
    auto local = find_local(address.actor);
    return local ? local : make_proxy(address, 0, false);
  }
  Envelope watch;
  caf::strong_actor_ptr proxy;
  {
    std::lock_guard lock(mutex);
    if (closed) return make_proxy(address, 0, false);
    auto& number = proxy_numbers[{PeerKey(address.process), address.actor}];
    if (number != 0) return proxies[number].proxy;
    number = next_number++;
    proxy = make_proxy(address, number, true);
    proxies[number] = {address, proxy};
    watch.kind = Kind::watch;
    watch.target = address.actor;
    watch.number = number;
  }
  send(address.process, watch);
  return proxy;
}

void Fabric::State::kill(const caf::strong_actor_ptr& proxy, std::uint64_t number, const caf::error& reason) {
  {
    std::lock_guard lock(mutex);
    auto found = proxies.find(number);
    if (found != proxies.end()) {
      proxy_numbers.erase({PeerKey(found->second.address.process), found->second.address.actor});
      proxies.erase(found);
    }
  }
  static_cast<Proxy*>(proxy->get())->kill_proxy(nullptr, reason);
}

void Fabric::State::on_lost(const ProcessAddress& peer) {
  std::vector<std::pair<std::uint64_t, caf::strong_actor_ptr>> dead;
  {
    std::lock_guard lock(mutex);
    for (const auto& [number, remote] : proxies) {
      if (PeerKey(remote.address.process) == PeerKey(peer)) dead.emplace_back(number, remote.proxy);
    }
    std::erase_if(watched, [&](const auto& entry) { return entry.first.first == peer.id; });
  }
  for (const auto& [number, proxy] : dead) kill(proxy, number, caf::exit_reason::remote_link_unreachable);
}

void Fabric::State::close() {
  std::vector<std::pair<std::uint64_t, caf::strong_actor_ptr>> all;
  {
    std::lock_guard lock(mutex);
    closed = true;
    for (const auto& [number, remote] : proxies) all.emplace_back(number, remote.proxy);
    watched.clear();
    published.clear();
  }
  for (const auto& [number, proxy] : all) kill(proxy, number, caf::exit_reason::remote_link_unreachable);
}

// ---- local actors -------------------------------------------------------------------------------

bool Fabric::State::is_self(const ProcessAddress& process) const {
  const ProcessAddress& self = transport->self();
  if (process.id != 0) return process.id == self.id;
  return process.host == self.host && process.port == self.port;
}

ActorAddress Fabric::State::export_actor(const caf::strong_actor_ptr& actor) {
  if (const auto* proxy = dynamic_cast<const Proxy*>(actor->get())) return proxy->address_there();
  const std::uint64_t number = actor->id() + kFirstActorNumber;
  std::lock_guard lock(mutex);
  if (exports.size() >= sweep_exports_at) {
    std::erase_if(exports, [](const auto& entry) { return entry.second->strong_refs == 0; });
    sweep_exports_at = 2 * exports.size() + 64;
  }
  exports.try_emplace(number, actor.get());
  return {transport->self(), number};
}

caf::strong_actor_ptr Fabric::State::find_local(std::uint64_t number) {
  std::lock_guard lock(mutex);
  if (number < kFirstActorNumber) {
    auto found = published.find(number);
    return found == published.end() ? nullptr : found->second;
  }
  auto found = exports.find(number);
  return found == exports.end() ? nullptr : found->second.lock();
}

}  // namespace ds::fabric
