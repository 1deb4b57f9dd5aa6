#include "actors/fabric/courier.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace ds::fabric {
namespace {

// While a big frame is being fetched heartbeats queue behind it; that much time more is given, as on a slow
// network.
constexpr std::size_t kSlowestBytesPerSecond = 10'000'000;

std::string name_of(const ProcessAddress& address) {
  return fmt::format("{:016x} at {} port {}", address.id, address.host, address.port);
}

}  // namespace

Courier::Courier(const TransportOptions& options, Door& door, LocalLanes& lanes, UcxWorker& ucx,
                 CommandQueue& commands, HandlerTable& handlers)
    : options_(options),
      self_(door.self()),
      door_(door),
      lanes_(lanes),
      ucx_(ucx),
      commands_(commands),
      handlers_(handlers),
      last_tick_(Clock::now()),
      surroundings_{handlers, options.max_frame_bytes, commands.wake_fd()},
      poller_(lanes.page()) {}

TransportCounters Courier::counters() const {
  return {delivered_ + surroundings_.delivered, lost_, refused_ + door_.refused() + lanes_.refused()};
}

// ---- commands -----------------------------------------------------------------------------------

void Courier::on_command(Command command, Clock::time_point now) {
  if (auto* send = std::get_if<SendCommand>(&command)) return on_send(std::move(*send), now);
  const auto& drop = std::get<DropCommand>(command);
  if (Peer* peer = find_peer(drop.peer)) lose(*peer, drop.why);
}

void Courier::on_send(SendCommand command, Clock::time_point now) {
  if (command.backlog->retired) return;  // it was queued for a connection that is lost
  const ProcessAddress& to = command.to;
  if (to.id == self_.id || (to.id == 0 && to.host == self_.host && to.port == self_.port)) {
    if (!shutting_down_ && handlers_.deliver(command.channel, self_, std::move(command.parts))) ++delivered_;
    return;
  }
  Peer& peer = peer_for(to);
  if (Connection* sender = find(peer.sender); sender != nullptr && sender->link) {
    // Under an address that is not attached to the link, or pushed before it was.
    return sender->link->sender().send(FrameType::data, static_cast<std::uint8_t>(command.channel),
                                       command.stream, std::move(command.parts), std::move(command.ticket));
  }
  peer.queue.push_back(std::move(command));
  if (peer.connections.empty() && peer.call == 0) {
    connect(peer, now);
  } else {
    pump(peer);
  }
}

// ---- events -------------------------------------------------------------------------------------

void Courier::on_event(UcxEvent event, Clock::time_point now) {
  if (auto* accepted = std::get_if<EndpointAccepted>(&event)) {
    on_accepted(std::move(*accepted), now);
  } else if (auto* arrived = std::get_if<FrameArrived>(&event)) {
    on_arrived(std::move(*arrived), now);
  } else if (auto* broken = std::get_if<EndpointBroken>(&event)) {
    break_connection(broken->endpoint, broken->why);
  } else if (const auto* sent = std::get_if<FrameSent>(&event)) {
    Connection* connection = find(sent->endpoint);
    if (connection == nullptr) return;
    if (sent->type != FrameType::heartbeat) connection->posted.erase(sent->sequence);
    if (connection->peer == nullptr) return;
    pump(*connection->peer);
    if (shutting_down_) wind_down(*connection->peer);
  }
}

void Courier::on_arrived(FrameArrived event, Clock::time_point now) {
  const EndpointId endpoint = event.endpoint;
  Connection* connection = find(endpoint);
  if (connection == nullptr) return;
  connection->heard = now;
  if (event.header.type == FrameType::heartbeat) return;
  using Place = FrameOrder<FrameArrived>::Place;
  FrameNumber number = event.header.number;
  const Place place = connection->order.put(number, event);
  if (place == Place::refused) {
    return break_connection(endpoint,
                            {ErrorCode::invalid_argument, "a frame's sequence number repeats or jumps", {}});
  }
  if (place == Place::waits) return;
  // A frame that is handled may end its connection, so it is looked up again each time.
  while (connection != nullptr) {
    handle(*connection, event);
    connection = find(endpoint);
    if (connection == nullptr) return;
    connection->order.handled(number);
    auto next = connection->order.take_ready();
    if (!next) return;
    number = next->first;
    event = std::move(next->second);
  }
}

void Courier::handle(Connection& connection, FrameArrived& frame) {
  const FrameType type = frame.header.type;
  const bool server = connection.side == Connection::Side::server;
  if (!connection.proven && server && type == FrameType::enter) return on_enter(connection, frame);
  if (!connection.proven && !server && type == FrameType::welcome) return on_welcome(connection, frame);
  if (connection.proven && type == FrameType::data) return on_data(connection, frame);
  if (connection.proven && type == FrameType::goodbye) {
    say_goodbye(connection);
    return lose(*connection.peer, {ErrorCode::unavailable, "the process ended", {}});
  }
  break_connection(connection.endpoint, {ErrorCode::invalid_argument, "a frame out of turn", {}});
}

void Courier::on_data(Connection& connection, FrameArrived& frame) {
  const auto channel = static_cast<Channel>(frame.header.channel);
  if (channel != Channel::actors && channel != Channel::collective) {
    return break_connection(connection.endpoint,
                            {ErrorCode::invalid_argument, "a frame for an unknown channel", {}});
  }
  if (shutting_down_) return;
  Transport::Parts parts;
  parts.reserve(frame.header.part_sizes.size());
  std::size_t offset = 0;
  for (std::uint64_t size : frame.header.part_sizes) {
    parts.push_back(frame.data.slice(offset, size));
    offset += size;
  }
  if (handlers_.deliver(channel, connection.peer->address, std::move(parts))) {
    ++delivered_;
  } else {
    spdlog::debug("fabric: dropped a frame for channel {}, which nobody handles", frame.header.channel);
  }
}

// ---- time ---------------------------------------------------------------------------------------

void Courier::on_tick(Clock::time_point now) {
  // When this process itself stood still (stopped, or a starved machine), the others' silence proves nothing.
  const auto stood_still = now - last_tick_;
  const bool excused = stood_still > options_.heartbeat_interval;
  last_tick_ = now;
  lanes_.pulse().heartbeat.fetch_add(1, std::memory_order_relaxed);  // what peers on this host look at

  std::vector<std::pair<EndpointId, Error>> silent;
  for (auto& [endpoint, connection] : connections_) {
    if (excused) connection->heard += stood_still;
    if (connection->link) {
      const std::uint64_t beat = connection->link->peer_heartbeat();
      if (std::exchange(connection->peer_heartbeat, beat) != beat) connection->heard = now;
    }
    if (!connection->proven) {
      if (now - connection->opened > options_.handshake_timeout) {
        silent.push_back({endpoint, {ErrorCode::deadline_exceeded, "the handshake did not end in time", {}}});
      }
      continue;
    }
    const std::size_t receiving = connection->link ? 0 : ucx_.receiving_bytes(endpoint);
    const auto allowance = std::chrono::milliseconds(receiving * 1000 / kSlowestBytesPerSecond);
    if (now - connection->heard > options_.heartbeat_timeout + allowance) {
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - connection->heard).count();
      silent.push_back(
          {endpoint,
           {ErrorCode::deadline_exceeded, fmt::format("nothing was heard from it for {} ms", ms), {}}});
    } else if (!connection->link && now - connection->spoke >= options_.heartbeat_interval) {
      post(*connection, FrameType::heartbeat, {}, now);
    }
  }
  for (const auto& [endpoint, why] : silent) break_connection(endpoint, why);
  for (DoorEvent& event : door_.on_tick(now)) on_door(std::move(event), now);
  for (LaneEvent& event : lanes_.on_tick(now)) on_lane(std::move(event), now);
  expect_nobody_after(now);
}

// ---- sending ------------------------------------------------------------------------------------

void Courier::post(Connection& connection, FrameType type, std::vector<std::byte> body,
                   Clock::time_point now) {
  FrameHeader header;
  header.type = type;
  if (type != FrameType::heartbeat) {
    header.number = connection.numbers.next(kInOrder);
    connection.posted.insert(header.number.sequence);
  }
  std::vector<Buffer> parts;
  if (!body.empty()) {
    header.part_sizes = {body.size()};
    parts = {Buffer::copy_of(body)};
  }
  connection.spoke = now;
  ucx_.send(connection.endpoint, header, std::move(parts));
}

void Courier::pump(Peer& peer) {
  Connection* connection = find(peer.sender);
  if (connection == nullptr || connection->link || connection->goodbye_sent) return;
  while (!peer.queue.empty()) {
    SendCommand& next = peer.queue.front();
    if (!connection->posted.empty() &&
        connection->numbers.sequence() - *connection->posted.begin() >= kMaxOvertaking) {
      return;
    }
    FrameHeader header;
    header.type = FrameType::data;
    header.channel = static_cast<std::uint8_t>(next.channel);
    header.number = connection->numbers.next(next.stream);
    for (const Buffer& part : next.parts) header.part_sizes.push_back(part.size());
    connection->posted.insert(header.number.sequence);
    connection->spoke = Clock::now();
    ucx_.send(connection->endpoint, header, std::move(next.parts), std::move(next.ticket));
    peer.queue.pop_front();
  }
}

void Courier::say_goodbye(Connection& connection) {
  if (std::exchange(connection.goodbye_sent, true)) return;
  if (connection.link) return connection.link->sender().send(FrameType::goodbye, 0, kInOrder, {}, {});
  post(connection, FrameType::goodbye, {}, Clock::now());
}

// ---- peers --------------------------------------------------------------------------------------

Connection* Courier::find(EndpointId endpoint) {
  auto found = connections_.find(endpoint);
  return found == connections_.end() ? nullptr : found->second.get();
}

Peer* Courier::find_peer(const ProcessAddress& address) {
  std::uint64_t id = address.id;
  if (id == 0) {
    if (auto alias = aliases_.find(PeerKey(address)); alias != aliases_.end()) id = alias->second;
  }
  if (id == 0) {
    auto found = nameless_.find(PeerKey(address));
    return found == nameless_.end() ? nullptr : found->second.get();
  }
  auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : found->second.get();
}

Peer* Courier::find_caller(SessionId call) {
  for (const auto& entry : peers_) {
    if (entry.second->call == call) return entry.second.get();
  }
  for (const auto& entry : nameless_) {
    if (entry.second->call == call) return entry.second.get();
  }
  return nullptr;
}

Peer& Courier::peer_for(const ProcessAddress& address) {
  if (Peer* peer = find_peer(address)) return *peer;
  auto& place = address.id == 0 ? nameless_[PeerKey(address)] : peers_[address.id];
  place = std::make_unique<Peer>();
  place->address = address;
  return *place;
}

Peer& Courier::name_peer(Peer& nameless, const ProcessAddress& address) {
  const PeerKey alias(nameless.address);
  auto owned = std::move(nameless_.extract(alias).mapped());
  aliases_[alias] = address.id;
  owned->aliases.push_back(owned->address);
  owned->address = address;
  auto& place = peers_[address.id];
  if (!place) {
    place = std::move(owned);
    return *place;
  }
  // It had connected to us meanwhile, or we to it under another address: the two become one.
  place->aliases.insert(place->aliases.end(), owned->aliases.begin(), owned->aliases.end());
  for (auto& command : owned->queue) place->queue.push_back(std::move(command));
  if (owned->call != 0) std::swap(place->call, owned->call);
  if (owned->call != 0) door_.hang_up(owned->call);
  for (EndpointId endpoint : owned->connections) {
    place->connections.push_back(endpoint);
    find(endpoint)->peer = place.get();
  }
  return *place;
}

void Courier::connect(Peer& peer, Clock::time_point now) {
  peer.call = door_.call(peer.address, now);
}

void Courier::break_connection(EndpointId endpoint, const Error& why) {
  Connection* connection = find(endpoint);
  if (connection == nullptr) return;
  if (connection->peer != nullptr) {
    lose(*connection->peer, why);
  } else {
    refuse(endpoint, why);
  }
}

void Courier::refuse(EndpointId endpoint, const Error& why) {
  Connection* connection = find(endpoint);
  if (connection == nullptr) return;
  ++refused_;
  spdlog::debug("fabric: refused a connection from {}: {}", connection->from, why.message);
  close_endpoint(endpoint);
}

void Courier::close_endpoint(EndpointId endpoint) {
  if ((endpoint & kLocalEndpoint) == 0) {
    ucx_.close(endpoint);
  } else {
    lanes_.close(endpoint);
    if (Connection* connection = find(endpoint); connection != nullptr && connection->link) {
      connection->link->close();
      poller_.remove(*connection->link);
    }
  }
  connections_.erase(endpoint);
}

// ---- links --------------------------------------------------------------------------------------

void Courier::on_lane_broken(const LaneBroken& event) {
  Connection* connection = find(event.endpoint);
  if (connection == nullptr) return lanes_.close(event.endpoint);
  if (!connection->link) return break_connection(event.endpoint, event.why);
  drain_links(connection->peer);
  const LinkEnding ending = connection->link->ending();
  break_connection(event.endpoint, ending.kind == LinkEnding::Kind::none ? event.why : ending.why);
}

// What a peer sent before its end still counts.
void Courier::drain_links(const Peer* peer) {
  if (peer == nullptr) return;
  for (EndpointId endpoint : peer->connections) {
    if (Connection* one = find(endpoint); one->link) poller_.drain(*one->link);
  }
}

bool Courier::on_link_endings() {
  if (!surroundings_.attention.exchange(false)) return false;
  std::vector<std::pair<EndpointId, LinkEnding>> endings;
  for (const auto& [endpoint, connection] : connections_) {
    if (!connection->link) continue;
    auto ending = connection->link->ending();
    if (ending.kind != LinkEnding::Kind::none) endings.emplace_back(endpoint, std::move(ending));
  }
  for (const auto& [endpoint, ending] : endings) {
    Connection* connection = find(endpoint);
    if (connection == nullptr) continue;
    if (ending.kind == LinkEnding::Kind::goodbye) {
      drain_links(connection->peer);
      say_goodbye(*connection);
    }
    break_connection(endpoint, ending.why);
  }
  return true;
}

void Courier::lose(Peer& peer, const Error& why) {
  std::unique_ptr<Peer> lost;
  if (peer.address.id == 0) {
    lost = std::move(nameless_.extract(PeerKey(peer.address)).mapped());
  } else {
    lost = std::move(peers_.extract(peer.address.id).mapped());
  }
  if (lost->call != 0) door_.hang_up(lost->call);
  for (EndpointId endpoint : lost->connections) close_endpoint(endpoint);
  commands_.retire(PeerKey(lost->address));
  for (const ProcessAddress& alias : lost->aliases) {
    aliases_.erase(PeerKey(alias));
    commands_.retire(PeerKey(alias));
  }
  lost->queue.clear();
  ++lost_;
  if (shutting_down_) return;
  spdlog::info("fabric: lost process {}: {}", name_of(lost->address), why.message);
  handlers_.report_lost(lost->address, why);
  for (const ProcessAddress& alias : lost->aliases) handlers_.report_lost(alias, why);
}

// ---- the end ------------------------------------------------------------------------------------

void Courier::begin_shutdown() {
  shutting_down_ = true;
  surroundings_.closing = true;
  door_.close_to_strangers();
  lanes_.close_to_strangers();
  expected_.clear();
  ucx_.stop_listening();
  std::vector<EndpointId> strangers;
  for (const auto& [endpoint, connection] : connections_) {
    if (connection->peer == nullptr) strangers.push_back(endpoint);
  }
  for (EndpointId endpoint : strangers) close_endpoint(endpoint);
  std::vector<Peer*> all;
  for (const auto& entry : peers_) all.push_back(entry.second.get());
  for (const auto& entry : nameless_) all.push_back(entry.second.get());
  for (Peer* peer : all) wind_down(*peer);
}

void Courier::wind_down(Peer& peer) {
  if (!peer.queue.empty() && (peer.call != 0 || !peer.connections.empty())) return;
  bool waits = false;
  bool drained = true;
  for (EndpointId endpoint : peer.connections) {
    const Connection* connection = find(endpoint);
    if (!connection->proven) continue;
    waits = true;
    drained = drained && is_drained(*connection);
  }
  // A goodbye on one connection ends the others too, so it waits for all.
  for (EndpointId endpoint : peer.connections) {
    if (drained && find(endpoint)->proven) say_goodbye(*find(endpoint));
  }
  if (!waits) lose(peer, {ErrorCode::cancelled, "this process ends", {}});
}

bool Courier::is_drained(const Connection& connection) const {
  return connection.link ? connection.link->sender().drained() : connection.posted.empty();
}

void Courier::wind_down_links() {
  std::vector<Peer*> theirs;
  for (const auto& entry : peers_) {
    const Connection* sender = find(entry.second->sender);
    if (sender != nullptr && sender->link && !sender->goodbye_sent) theirs.push_back(entry.second.get());
  }
  for (Peer* peer : theirs) wind_down(*peer);
}

void Courier::close_all() {
  while (!connections_.empty()) close_endpoint(connections_.begin()->first);
  peers_.clear();
  nameless_.clear();
}

}  // namespace ds::fabric
