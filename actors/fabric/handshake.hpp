#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/fabric/transport.hpp"
#include "storage/result.hpp"

namespace ds::fabric {

// How two processes prove to each other that they know the cluster's secret without showing it:
//
//   client                                      server
//   HELLO {address, nonce_c, wanted id}   ->
//                                         <-    CHALLENGE {address, nonce_s, proof of the server}
//   PROOF {proof of the client}           ->
//                                         <-    WELCOME {UCX port, local socket}
//   ... then over the local socket on the same host, over UCX from elsewhere:
//   ENTER {nonce_c, proof of entering}    ->
//                                         <-    WELCOME {proof of having entered}
//
// A proof is HMAC-SHA256 under the secret over a label, both nonces and both ids. The labels differ, so that
// no proof can be sent back or used in another place; the nonces are fresh, so that a recorded handshake is
// worthless.

using Nonce = std::array<std::byte, 32>;
using Proof = std::array<std::byte, 32>;

struct Hello {
  ProcessAddress client;
  Nonce nonce{};
  std::uint64_t wanted = 0;  ///< the id the server must have; 0: any
  bool operator==(const Hello&) const = default;
};

/// The first thing over the local socket or UCX.
struct Enter {
  Nonce client_nonce{};
  Proof proof{};
  bool operator==(const Enter&) const = default;
};

/// Where processes of the same host can reach this one.
struct LaneAddress {
  std::string host;  ///< equal where sockets are shared; empty: not offered
  std::string name;  ///< of a Unix socket in the abstract namespace
  bool operator==(const LaneAddress&) const = default;
};

/// The last message of the door.
struct Welcome {
  std::uint16_t ucx_port = 0;
  LaneAddress lane;
  bool operator==(const Welcome&) const = default;
};

struct Challenge {
  ProcessAddress server;
  Nonce nonce{};
  Proof proof{};
  bool operator==(const Challenge&) const = default;
};

std::vector<std::byte> encode_hello(const Hello& hello);
std::vector<std::byte> encode_challenge(const Challenge& challenge);
std::vector<std::byte> encode_enter(const Enter& enter);
std::vector<std::byte> encode_welcome(const Welcome& welcome);
/// The decoders read what came from anybody and refuse (`invalid_argument`) everything that is not exactly
/// one message.
Result<Hello> decode_hello(std::span<const std::byte> block);
Result<Challenge> decode_challenge(std::span<const std::byte> block);
Result<Enter> decode_enter(std::span<const std::byte> block);
Result<Welcome> decode_welcome(std::span<const std::byte> block);
Result<Proof> decode_proof(std::span<const std::byte> block);

/// Both sides of a handshake as each end sees them.
struct Handshake {
  std::uint64_t client = 0;
  std::uint64_t server = 0;
  Nonce client_nonce{};
  Nonce server_nonce{};
};

Proof prove_server(std::string_view secret, const Handshake& handshake);
Proof prove_client(std::string_view secret, const Handshake& handshake);
/// The two that tie the UCX connection to the handshake before it.
Proof prove_entering(std::string_view secret, const Handshake& handshake);
Proof prove_entered(std::string_view secret, const Handshake& handshake);
/// Compares in a time that does not depend on where they differ.
bool same_proof(const Proof& a, const Proof& b);

/// From the system's generator for secrets.
Nonce random_nonce();
/// Random, never 0.
std::uint64_t random_process_id();

}  // namespace ds::fabric
