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

// ---- the side that was called -------------------------------------------------------------------

void Courier::on_entered(const DoorEntered& event, Clock::time_point now) {
  auto port = ucx_.listen();
  if (!port || expected_.size() >= options_.max_unproven_peers) {
    spdlog::warn("fabric: cannot let process {:016x} in: {}", event.client.id,
                 port ? "too many at once" : port.error().message);
    return door_.hang_up(event.session);
  }
  expected_[event.handshake.client_nonce] = {event.client, event.handshake, now + options_.handshake_timeout};
  door_.welcome(event.session, *port);
}

void Courier::on_accepted(EndpointAccepted event, Clock::time_point now) {
  auto connection = std::make_unique<Connection>();
  connection->endpoint = event.endpoint;
  connection->side = Connection::Side::server;
  connection->from = std::move(event.from);
  connection->opened = connection->heard = connection->spoke = now;
  connections_[event.endpoint] = std::move(connection);
  if (shutting_down_) refuse(event.endpoint, {ErrorCode::unavailable, "this process ends", {}});
}

void Courier::on_enter(Connection& connection, const FrameArrived& frame) {
  const Error stranger{ErrorCode::permission_denied, "it did not prove the secret at the door", {}};
  auto enter = decode_enter(frame.data.bytes());
  if (!enter) return break_connection(connection.endpoint, enter.error());
  auto expected = expected_.find(enter->client_nonce);
  if (expected == expected_.end()) return break_connection(connection.endpoint, stranger);
  const Expected client = expected->second;
  if (!same_proof(enter->proof, prove_entering(options_.secret, client.handshake))) {
    return break_connection(connection.endpoint, stranger);
  }
  expected_.erase(expected);
  if (expected_.empty()) ucx_.stop_listening();

  Peer& peer = peer_for(client.client);
  if (peer.connections.size() >= kMaxConnectionsAPeer) {
    return refuse(connection.endpoint,
                  {ErrorCode::conflict, "it has more connections to this process than it needs", {}});
  }
  connection.peer = &peer;
  peer.connections.push_back(connection.endpoint);
  ucx_.set_receive_limit(connection.endpoint, options_.max_frame_bytes);
  const Proof proof = prove_entered(options_.secret, client.handshake);
  post(connection, FrameType::welcome, {proof.begin(), proof.end()}, Clock::now());
  admit(connection);
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
  if (peer->address.id == 0) peer = &name_peer(*peer, event.server);
  auto endpoint = ucx_.connect(host, event.ucx_port);
  if (!endpoint) return lose(*peer, endpoint.error());
  auto connection = std::make_unique<Connection>();
  connection->endpoint = *endpoint;
  connection->from = fmt::format("{} port {}", host, event.ucx_port);
  connection->peer = peer;
  connection->handshake = event.handshake;
  connection->opened = connection->heard = connection->spoke = now;
  peer->connections.push_back(*endpoint);
  Connection& placed = *(connections_[*endpoint] = std::move(connection));
  // The server has proven itself at the door; its first frames may follow its welcome closely.
  ucx_.set_receive_limit(*endpoint, options_.max_frame_bytes);
  const Enter enter{event.handshake.client_nonce, prove_entering(options_.secret, event.handshake)};
  post(placed, FrameType::enter, encode_enter(enter), now);
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

void Courier::admit(Connection& connection) {
  connection.proven = true;
  Peer& peer = *connection.peer;
  spdlog::debug("fabric: connected with process {:016x} ({})", peer.address.id, connection.from);
  if (peer.sender == 0) peer.sender = connection.endpoint;
  pump(peer);
  if (shutting_down_) wind_down(peer);
}

}  // namespace ds::fabric
