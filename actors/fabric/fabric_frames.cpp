#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/default_attachable.hpp>
#include <caf/make_message.hpp>
#include <caf/sec.hpp>
#include <caf/system_messages.hpp>

#include "actors/fabric/fabric_state.hpp"
#include "actors/fabric/message_codec.hpp"
#include "actors/fabric/polling_scheduler.hpp"
#include "actors/fabric/progress_round.hpp"
#include "actors/fabric/prompt_actor.hpp"

namespace ds::fabric {

// ---- out ----------------------------------------------------------------------------------------

bool Fabric::State::send_parts(const ProcessAddress& to, std::vector<Buffer> parts, Stream stream) {
  auto sent = transport->send(to, Channel::actors, std::move(parts), stream);
  if (sent) return true;
  spdlog::warn("fabric: {}", sent.error().message);
  // A message that is left out must not go unnoticed: order and completeness are the connection's promise.
  if (sent.error().code == ErrorCode::resource_exhausted) transport->drop(to, sent.error());
  return false;
}

bool Fabric::State::send(const ProcessAddress& to, const Envelope& envelope) {
  MessageWriter writer(system);
  if (writer(envelope)) return false;
  return send_parts(to, writer.take_parts(), kInOrder);
}

bool Fabric::State::send(const ProcessAddress& to, const Envelope& envelope, const caf::error& reason) {
  MessageWriter writer(system);
  if (writer(envelope, reason)) return false;
  return send_parts(to, writer.take_parts(), kInOrder);
}

// ---- in -----------------------------------------------------------------------------------------

void Fabric::State::on_frame(const ProcessAddress& from, const std::vector<Buffer>& parts) {
  std::string what;
  try {
    auto error = read_frame(from, parts);
    if (!error) return;
    what = system.render(error);
  } catch (const std::exception& exception) {
    what = exception.what();
  }
  transport->drop(
      from, Error{ErrorCode::invalid_argument, fmt::format("it sent a malformed actor frame: {}", what), {}});
}

caf::error Fabric::State::read_frame(const ProcessAddress& from, const std::vector<Buffer>& parts) {
  MessageReader reader(system, parts);
  Envelope envelope;
  if (auto error = reader(envelope)) return error;
  if (envelope.kind == Kind::message) return on_message(envelope, reader);
  caf::error reason;
  if (envelope.kind == Kind::down || envelope.kind == Kind::exit) {
    if (auto error = reader(reason)) return error;
  }
  if (!reader.complete()) return caf::sec::invalid_argument;
  switch (envelope.kind) {
    case Kind::watch:
      on_watch(from, envelope);
      return caf::none;
    case Kind::down:
      on_down(from, envelope.number, reason);
      return caf::none;
    case Kind::exit:
      on_exit(envelope, reason);
      return caf::none;
    case Kind::link:
      on_link(envelope, false);
      return caf::none;
    case Kind::unlink:
      on_link(envelope, true);
      return caf::none;
    default:
      return caf::sec::invalid_argument;
  }
}

caf::error Fabric::State::on_message(const Envelope& envelope, MessageReader& reader) {
  caf::message content;
  if (auto error = reader(content)) return error;
  if (!reader.complete()) return caf::sec::invalid_argument;
  const caf::message_id id(envelope.number);
  auto sender = resolve(envelope.source);
  auto target = find_local(envelope.target);
  if (!target) {
    spdlog::debug("fabric: a message for actor {}, which is not here", envelope.target);
    if (sender && id.is_request()) {
      sender->enqueue(nullptr, id.response_id(),
                      caf::make_message(caf::make_error(caf::sec::request_receiver_down)), nullptr);
    }
    return caf::none;
  }
  if (id.is_response()) pending.forget(target->id(), id);
  caf::mailbox_element::forwarding_stack stages;
  for (const ActorAddress& stage : envelope.stages) stages.push_back(resolve(stage));
  deliver(target, caf::make_mailbox_element(std::move(sender), id, std::move(stages), std::move(content)));
  return caf::none;
}

void Fabric::State::deliver(const caf::strong_actor_ptr& target, caf::mailbox_element_ptr message) {
  const bool runs_here = !message->mid.is_request() && !message->mid.is_response() &&
                         polling_worker() == nullptr && is_progress_thread() &&
                         dynamic_cast<const PromptActor*>(target->get()) != nullptr;
  if (!runs_here) return target->enqueue(std::move(message), polling_worker());
  // Not now: the connection that the message has come by is locked.
  if (auto* job = progress_thread->give(target, std::move(message)))
    after_this_round([here = progress_thread, job] { here->run(job); });
}

void Fabric::State::on_watch(const ProcessAddress& from, const Envelope& envelope) {
  auto target = find_local(envelope.target);
  if (!target) return tell_down(from, envelope.number, caf::exit_reason::unknown);
  const caf::actor_id id = target->id();
  {
    std::lock_guard lock(mutex);
    if (!watched.emplace(std::pair(from.id, envelope.number), Watch{from, id}).second) return;
    if (!watched_actors.insert(id).second) return;
  }
  target->get()->attach_functor([weak = weak_from_this(), id](const caf::error& reason) {
    if (auto state = weak.lock()) state->on_watched_exit(id, reason);
  });
}

void Fabric::State::on_watched_exit(caf::actor_id target, const caf::error& reason) {
  std::vector<std::pair<ProcessAddress, std::uint64_t>> watchers;
  {
    std::lock_guard lock(mutex);
    watched_actors.erase(target);
    std::erase_if(watched, [&](const auto& entry) {
      const auto& [key, watch] = entry;
      if (watch.target == target) watchers.emplace_back(watch.watcher, key.second);
      return watch.target == target;
    });
  }
  for (const auto& [watcher, number] : watchers) tell_down(watcher, number, reason);
}

void Fabric::State::tell_down(const ProcessAddress& watcher, std::uint64_t number, const caf::error& reason) {
  Envelope down;
  down.kind = Kind::down;
  down.number = number;
  send(watcher, down, reason);
}

void Fabric::State::on_down(const ProcessAddress& from, std::uint64_t number, const caf::error& reason) {
  caf::strong_actor_ptr proxy;
  {
    std::lock_guard lock(mutex);
    auto found = proxies.find(number);
    if (found == proxies.end()) return;
    const std::uint64_t owner = found->second.address.process.id;
    if (owner != 0 && owner != from.id) return;  // not its to say
    proxy = found->second.proxy;
  }
  kill(proxy, number, reason);
}

void Fabric::State::on_exit(const Envelope& envelope, const caf::error& reason) {
  auto target = find_local(envelope.target);
  if (!target) return;
  caf::exit_msg exit{caf::actor_cast<caf::actor_addr>(resolve(envelope.source)), reason};
  target->enqueue(nullptr, caf::make_message_id(caf::message_priority::high),
                  caf::make_message(std::move(exit)), nullptr);
}

void Fabric::State::on_link(const Envelope& envelope, bool unlink) {
  auto source = resolve(envelope.source);
  auto target = find_local(envelope.target);
  if (!source || !target) return;  // the other side learns of the target's end by its watch
  if (unlink) {
    source->get()->detach(
        caf::default_attachable::observe_token{target->get()->address(), caf::default_attachable::link});
  } else {
    source->get()->attach(
        caf::default_attachable::make_link(source->get()->address(), target->get()->address()));
  }
}

}  // namespace ds::fabric
