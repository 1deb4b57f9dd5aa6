#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/fabric/courier.hpp"

namespace ds::fabric {
namespace {

constexpr std::size_t kMaxConnectionsAPeer = 4;

}  // namespace

void Courier::on_door(DoorEvent event, Clock::time_point now) {
  if (const auto* entered = std::get_if<DoorEntered>(&event)) return on_entered(*entered, now);
  if (const auto* opened = std::get_if<DoorOpened>(&event)) return on_opened(*opened, now);
  on_shut(std::get<DoorShut>(event));
}

void Courier::on_lane(LaneEvent event, Clock::time_point now) {
  if (const auto* entering = std::get_if<LaneEntering>(&event)) return on_lane_entering(*entering, now);
  if (const auto* welcomed = std::get_if<LaneWelcomed>(&event)) return on_lane_welcomed(*welcomed);
  on_lane_broken(std::get<LaneBroken>(event));
}

Connection& Courier::add_connection(EndpointId endpoint, Connection::Side side, std::string from,
                                    Clock::time_point now) {
  auto& place = connections_[endpoint] = std::make_unique<Connection>();
  place->endpoint = endpoint;
  place->side = side;
  place->from = std::move(from);
  place->opened = place->heard = place->spoke = now;
  return *place;
}

// ---- the side that was called -------------------------------------------------------------------

void Courier::on_entered(const DoorEntered& event, Clock::time_point now) {
  auto port = ucx_.listen();
  if (!port || expected_.size() >= options_.max_unproven_peers) {
    spdlog::warn("fabric: cannot let process {:016x} in: {}", event.client.id,
                 port ? "too many at once" : port.error().message);
    return door_.hang_up(event.session);
  }
  expected_[event.handshake.client_nonce] = {event.client, event.handshake, now + options_.handshake_timeout};
  door_.welcome(event.session, {*port, lanes_.address()});
}

void Courier::on_accepted(EndpointAccepted event, Clock::time_point now) {
  add_connection(event.endpoint, Connection::Side::server, std::move(event.from), now);
  if (shutting_down_) refuse(event.endpoint, {ErrorCode::unavailable, "this process ends", {}});
}

// Whoever comes must have proven the secret at the door just before; `entered` is what proves us to him.
Result<Peer*> Courier::let_in(const Enter& enter, Proof& entered) {
  auto expected = expected_.find(enter.client_nonce);
  if (expected == expected_.end() ||
      !same_proof(enter.proof, prove_entering(options_.secret, expected->second.handshake))) {
    return fail(ErrorCode::permission_denied, "it did not prove the secret at the door");
  }
  const Expected client = expected->second;
  expected_.erase(expected);
  if (expected_.empty()) ucx_.stop_listening();
  Peer& peer = peer_for(client.client);
  if (peer.connections.size() >= kMaxConnectionsAPeer) {
    return fail(ErrorCode::conflict, "it has more connections to this process than it needs");
  }
  entered = prove_entered(options_.secret, client.handshake);
  return &peer;
}

void Courier::on_enter(Connection& connection, const FrameArrived& frame) {
  Proof proof{};
  auto peer =
      decode_enter(frame.data.bytes()).and_then([&](const Enter& enter) { return let_in(enter, proof); });
  if (!peer) return refuse(connection.endpoint, peer.error());
  connection.peer = *peer;
  connection.peer->connections.push_back(connection.endpoint);
  ucx_.set_receive_limit(connection.endpoint, options_.max_frame_bytes);
  post(connection, FrameType::welcome, {proof.begin(), proof.end()}, Clock::now());
  admit(connection);
}

void Courier::on_lane_entering(const LaneEntering& event, Clock::time_point now) {
  Connection& connection = add_connection(event.endpoint, Connection::Side::server, "this host", now);
  Proof proof{};
  auto peer = shutting_down_ ? Result<Peer*>(fail(ErrorCode::unavailable, "this process ends"))
                             : let_in(event.enter, proof);
  if (!peer) return refuse(event.endpoint, peer.error());
  auto ends = lanes_.accept(event.endpoint, proof);
  if (!ends) return refuse(event.endpoint, ends.error());
  connection.peer = *peer;
  connection.peer->connections.push_back(connection.endpoint);
  begin_link(connection, std::move(*ends));
}

void Courier::expect_nobody_after(Clock::time_point now) {
  if (expected_.empty()) return;
  std::erase_if(expected_, [&](const auto& entry) { return now >= entry.second.deadline; });
  if (expected_.empty()) ucx_.stop_listening();
}

// ---- the side that called -----------------------------------------------------------------------

void Courier::on_opened(const DoorOpened& event, Clock::time_point now) {
  Peer* peer = find_caller(event.session);
  if (peer == nullptr) return;
  peer->call = 0;
  const std::string host = peer->address.host;
  if (peer->address.id == 0) {
    peer = &name_peer(*peer, event.server);
    attach_link(*peer);  // when it had connected to us meanwhile
  }
  auto endpoint = connect_to(event, host);
  if (!endpoint) return lose(*peer, endpoint.error());
  const bool local = (*endpoint & kLocalEndpoint) != 0;
  Connection& connection =
      add_connection(*endpoint, Connection::Side::client,
                     local ? "this host" : fmt::format("{} port {}", host, event.welcome.ucx_port), now);
  connection.peer = peer;
  connection.handshake = event.handshake;
  peer->connections.push_back(*endpoint);
  if (local) return;
  // The server has proven itself at the door; its first frames may follow its welcome closely.
  ucx_.set_receive_limit(*endpoint, options_.max_frame_bytes);
  const Enter enter{event.handshake.client_nonce, prove_entering(options_.secret, event.handshake)};
  post(connection, FrameType::enter, encode_enter(enter), now);
}

// Over shared memory where that is possible.
Result<EndpointId> Courier::connect_to(const DoorOpened& server, const std::string& host) {
  if (lanes_.reaches(server.welcome.lane)) {
    const Enter enter{server.handshake.client_nonce, prove_entering(options_.secret, server.handshake)};
    auto endpoint = lanes_.connect(server.welcome.lane, enter);
    if (endpoint) return endpoint;
    spdlog::debug("fabric: no shared memory with process {:016x}: {}", server.server.id,
                  endpoint.error().message);
  }
  return ucx_.connect(host, server.welcome.ucx_port);
}

void Courier::on_shut(const DoorShut& event) {
  if (Peer* peer = find_caller(event.session)) lose(*peer, event.why);
}

void Courier::on_welcome(Connection& connection, const FrameArrived& frame) {
  auto proof = decode_proof(frame.data.bytes());
  if (!proof || !same_proof(*proof, prove_entered(options_.secret, connection.handshake))) {
    return break_connection(
        connection.endpoint,
        {ErrorCode::permission_denied, "it is not the process that answered the door", {}});
  }
  admit(connection);
}

void Courier::on_lane_welcomed(const LaneWelcomed& event) {
  Connection* connection = find(event.endpoint);
  if (connection == nullptr) return lanes_.close(event.endpoint);
  if (!same_proof(event.proof, prove_entered(options_.secret, connection->handshake))) {
    return break_connection(
        event.endpoint, {ErrorCode::permission_denied, "it is not the process that answered the door", {}});
  }
  auto ends = lanes_.open_link(event.endpoint);
  if (!ends) return break_connection(event.endpoint, ends.error());
  begin_link(*connection, std::move(*ends));
}

void Courier::begin_link(Connection& connection, LinkEnds ends) {
  const char* large = (ends.abilities & kMapsBlocks) != 0    ? "mapped"
                      : (ends.abilities & kReadsMemory) != 0 ? "read from its memory"
                                                             : "through the ring";
  spdlog::debug("fabric: shared memory with process {:016x}, large parts {}", connection.peer->address.id,
                large);
  connection.link = std::make_shared<LocalLink>(surroundings_, std::move(ends), connection.peer->address);
  connection.peer_heartbeat = connection.link->peer_heartbeat();
  admit(connection);
  poller_.add(connection.link);
}

void Courier::admit(Connection& connection) {
  connection.proven = true;
  connection.heard = Clock::now();
  Peer& peer = *connection.peer;
  spdlog::debug("fabric: connected with process {:016x} ({})", peer.address.id, connection.from);
  if (peer.sender == 0) peer.sender = connection.endpoint;
  attach_link(peer);
  pump(peer);
  if (shutting_down_) wind_down(peer);
}

// Frames go into the link of the connection we send on, from any thread, without passing by here.
void Courier::attach_link(Peer& peer) {
  const Connection* connection = find(peer.sender);
  if (connection == nullptr || !connection->link) return;
  std::vector<ProcessAddress> addresses = peer.aliases;
  addresses.push_back(peer.address);
  commands_.attach(addresses, connection->link, std::exchange(peer.queue, {}));
}

}  // namespace ds::fabric
