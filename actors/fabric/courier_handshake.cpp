#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/fabric/courier.hpp"

namespace ds::fabric {
namespace {

constexpr std::size_t kMaxConnectionsAPeer = 4;

}  // namespace

void Courier::handle_handshake(Connection& connection, FrameArrived& frame) {
  using Phase = Connection::Phase;
  const bool server = connection.side == Connection::Side::server;
  const bool greeting = connection.phase == Phase::greeting;
  switch (frame.header.type) {
    case FrameType::hello:
      if (server && greeting) return on_hello(connection, frame);
      break;
    case FrameType::challenge:
      if (!server && greeting) return on_challenge(connection, frame);
      break;
    case FrameType::proof:
      if (server && !greeting) return on_proof(connection, frame);
      break;
    case FrameType::welcome:
      if (!server && !greeting) return on_welcome(connection);
      break;
    default:
      break;
  }
  break_connection(connection.endpoint, {ErrorCode::permission_denied, "a frame out of turn before the handshake ended", {}});
}

void Courier::on_hello(Connection& connection, const FrameArrived& frame) {
  auto hello = decode_hello(frame.data.bytes());
  if (!hello) return break_connection(connection.endpoint, hello.error());
  if (hello->client.id == self_.id) {
    return break_connection(connection.endpoint, {ErrorCode::invalid_argument, "a process connected to itself", {}});
  }
  connection.remote = hello->client;
  connection.handshake = {hello->client.id, self_.id, hello->nonce, random_nonce()};
  connection.phase = Connection::Phase::challenged;
  const Challenge challenge{self_, connection.handshake.server_nonce, prove_server(options_.secret, connection.handshake)};
  post(connection, FrameType::challenge, encode_challenge(challenge), Clock::now());
}

void Courier::on_challenge(Connection& connection, const FrameArrived& frame) {
  auto challenge = decode_challenge(frame.data.bytes());
  if (!challenge) return break_connection(connection.endpoint, challenge.error());
  connection.remote = challenge->server;
  connection.handshake.server = challenge->server.id;
  connection.handshake.server_nonce = challenge->nonce;
  if (!same_proof(challenge->proof, prove_server(options_.secret, connection.handshake))) {
    return break_connection(connection.endpoint, {ErrorCode::permission_denied,
                                                  fmt::format("{} does not know this cluster's secret", connection.from),
                                                  "start both processes with the same secret"});
  }
  if (connection.wanted != 0 && connection.wanted != challenge->server.id) {
    return break_connection(connection.endpoint,
                            {ErrorCode::unavailable,
                             fmt::format("another process ({:016x}) listens at {} now", challenge->server.id, connection.from), {}});
  }
  connection.phase = Connection::Phase::challenged;
  // The server has proven itself; its first frames may follow its welcome closely.
  ucx_.set_receive_limit(connection.endpoint, options_.max_frame_bytes);
  const Proof proof = prove_client(options_.secret, connection.handshake);
  post(connection, FrameType::proof, {proof.begin(), proof.end()}, Clock::now());
}

void Courier::on_proof(Connection& connection, const FrameArrived& frame) {
  auto proof = decode_proof(frame.data.bytes());
  if (!proof || !same_proof(*proof, prove_client(options_.secret, connection.handshake))) {
    return break_connection(connection.endpoint, {ErrorCode::permission_denied, "it does not know this cluster's secret",
                                                  "start both processes with the same secret"});
  }
  ucx_.set_receive_limit(connection.endpoint, options_.max_frame_bytes);
  post(connection, FrameType::welcome, {}, Clock::now());
  admit(connection);
}

void Courier::on_welcome(Connection& connection) { admit(connection); }

void Courier::admit(Connection& connection) {
  if (connection.side == Connection::Side::server) {
    Peer& peer = peer_for(connection.remote);
    if (peer.connections.size() >= kMaxConnectionsAPeer) {
      return refuse(connection.endpoint, {ErrorCode::conflict, "it has more connections to this process than it needs", {}});
    }
    connection.peer = &peer;
    peer.connections.push_back(connection.endpoint);
  } else if (connection.peer->address.id == 0) {
    connection.peer = &name_peer(*connection.peer, connection.remote);
  }
  connection.phase = Connection::Phase::proven;
  Peer& peer = *connection.peer;
  spdlog::debug("fabric: connected with process {:016x} ({})", peer.address.id, connection.from);
  if (peer.sender == 0) peer.sender = connection.endpoint;
  pump(peer);
  if (shutting_down_) wind_down(peer);
}

}  // namespace ds::fabric
