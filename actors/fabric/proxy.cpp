#include "actors/fabric/proxy.hpp"

#include <spdlog/spdlog.h>

#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/make_message.hpp>
#include <caf/sec.hpp>
#include <caf/system_messages.hpp>

#include "actors/fabric/message_codec.hpp"

namespace ds::fabric {

namespace {

// Messages between two actors stay in order; those of other pairs need not wait for them. Everything else
// about an actor, its end above all, comes after what it sent, hence goes in order with everything.
Stream stream_between(std::uint64_t source, std::uint64_t target) {
  return static_cast<Stream>(1 + (source * 31 + target) % 255);
}

}  // namespace

Proxy::Proxy(caf::actor_config& config, std::weak_ptr<Fabric::State> state, ActorAddress address,
             std::uint64_t number)
    : caf::actor_proxy(config), state_(std::move(state)), address_(std::move(address)), number_(number) {}

void Proxy::answer(const caf::strong_actor_ptr& sender, caf::message_id id, caf::error why,
                   caf::execution_unit* context) {
  if (!sender || !id.is_request()) return;
  sender->enqueue(ctrl(), id.response_id(), caf::make_message(std::move(why)), context);
}

void Proxy::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* context) {
  if (!what) return;
  const caf::mailbox_element& element = *what;
  auto state = state_.lock();
  bool alive = false;
  if (state) {
    std::lock_guard lock(alive_mutex_);
    alive = alive_;
    // Under the lock, so that a request is either taken by `kill_proxy` or answered here.
    if (alive && element.mid.is_request()) state->pending.add(number_, element.sender, element.mid);
  }
  if (!alive) return answer(element.sender, element.mid, caf::sec::request_receiver_down, context);
  if (element.content().match_elements<caf::exit_msg>()) return forward_exit(*state, element);
  // What an actor's end tells its monitors reaches other processes as `Kind::down`.
  if (element.content().match_elements<caf::down_msg>()) return;
  forward(*state, *what, context);
}

void Proxy::forward(Fabric::State& state, caf::mailbox_element& what, caf::execution_unit* context) {
  Envelope envelope;
  envelope.kind = Kind::message;
  envelope.target = address_.actor;
  envelope.number = what.mid.integer_value();
  if (what.sender) envelope.source = state.export_actor(what.sender);
  for (const auto& stage : what.stages) envelope.stages.push_back(state.export_actor(stage));
  MessageWriter writer(state.system);
  auto error = writer(envelope);
  if (!error) error = caf::message::save(writer, static_cast<const caf::mailbox_element&>(what).content());
  if (error) {
    spdlog::error("fabric: cannot send a message to actor {} of process {:016x}: {}", address_.actor,
                  address_.process.id, state.system.render(error));
  } else if (!state.send_parts(address_.process, writer.take_parts(),
                               stream_between(envelope.source.actor, address_.actor))) {
    error = caf::sec::request_receiver_down;
  }
  if (!error || !what.sender) return;
  state.pending.forget(what.sender->id(), what.mid);
  answer(what.sender, what.mid, std::move(error), context);
}

void Proxy::forward_exit(Fabric::State& state, const caf::mailbox_element& what) {
  const auto& exit = what.content().get_as<caf::exit_msg>(0);
  Envelope envelope;
  envelope.kind = Kind::exit;
  envelope.target = address_.actor;
  if (auto source = caf::actor_cast<caf::strong_actor_ptr>(exit.source)) {
    // A linked actor's end reaches the other process as `Kind::down`, because `Kind::link` made it watch; not
    // twice.
    const auto* dying = static_cast<caf::monitorable_actor*>(source->get());
    if (dying->getf(caf::abstract_actor::is_terminated_flag)) return;
    envelope.source = state.export_actor(source);
  }
  state.send(address_.process, envelope, exit.reason);
}

bool Proxy::add_backlink(caf::abstract_actor* other) {
  if (!caf::actor_proxy::add_backlink(other)) return false;
  if (auto state = state_.lock()) {
    Envelope envelope;
    envelope.kind = Kind::link;
    envelope.target = address_.actor;
    envelope.source = state->export_actor(caf::strong_actor_ptr(other->ctrl()));
    state->send(address_.process, envelope);
  }
  return true;
}

bool Proxy::remove_backlink(caf::abstract_actor* other) {
  if (!caf::actor_proxy::remove_backlink(other)) return false;
  if (auto state = state_.lock()) {
    Envelope envelope;
    envelope.kind = Kind::unlink;
    envelope.target = address_.actor;
    envelope.source = state->export_actor(caf::strong_actor_ptr(other->ctrl()));
    state->send(address_.process, envelope);
  }
  return true;
}

void Proxy::kill_proxy(caf::execution_unit* context, caf::error reason) {
  {
    std::lock_guard lock(alive_mutex_);
    if (!std::exchange(alive_, false)) return;
  }
  cleanup(std::move(reason), context);
  auto state = state_.lock();
  if (!state) return;
  for (const auto& request : state->pending.take(number_)) {
    answer(request.sender, request.id, caf::sec::request_receiver_down, context);
  }
}

}  // namespace ds::fabric
