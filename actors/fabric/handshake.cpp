#include "actors/fabric/handshake.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>

#include "actors/fabric/wire.hpp"

namespace ds::fabric {
namespace {

constexpr std::size_t kMaxHostLength = 64;  // a numeric IPv6 address with a scope fits

void write_address(WireWriter& out, const ProcessAddress& address) {
  out.integer(address.id);
  out.text(address.host);
  out.integer(address.port);
}

ProcessAddress read_address(WireReader& in) {
  ProcessAddress address;
  address.id = in.integer<std::uint64_t>();
  address.host = in.text();
  address.port = in.integer<std::uint16_t>();
  return address;
}

template <std::size_t N>
void read_block(WireReader& in, std::array<std::byte, N>& out) {
  auto raw = in.bytes(N);
  std::copy(raw.begin(), raw.end(), out.begin());
}

bool plausible(const ProcessAddress& address) {
  auto numeric = [](char c) {
    return std::string_view("0123456789abcdefABCDEF.:%").find(c) != std::string_view::npos;
  };
  return address.id != 0 && address.port != 0 && !address.host.empty() &&
         address.host.size() <= kMaxHostLength &&
         std::all_of(address.host.begin(), address.host.end(), numeric);
}

Proof prove(std::string_view secret, std::string_view label, const Handshake& handshake) {
  WireWriter text;
  text.text(label);
  text.bytes(handshake.client_nonce);
  text.bytes(handshake.server_nonce);
  text.integer(handshake.client);
  text.integer(handshake.server);
  Proof proof{};
  unsigned length = 0;
  const auto& block = text.block();
  // OpenSSL refuses a null key even when its length is 0.
  const char* key = secret.empty() ? "" : secret.data();
  if (HMAC(EVP_sha256(), key, static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(block.data()), block.size(),
           reinterpret_cast<unsigned char*>(proof.data()), &length) == nullptr ||
      length != proof.size()) {
    std::abort();  // without HMAC there is no way to tell friend from foe
  }
  return proof;
}

void fill_random(std::span<std::byte> out) {
  if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) != 1)
    std::abort();
}

}  // namespace

std::vector<std::byte> encode_hello(const Hello& hello) {
  WireWriter out;
  write_address(out, hello.client);
  out.bytes(hello.nonce);
  out.integer(hello.wanted);
  return out.take();
}

std::vector<std::byte> encode_challenge(const Challenge& challenge) {
  WireWriter out;
  write_address(out, challenge.server);
  out.bytes(challenge.nonce);
  out.bytes(challenge.proof);
  return out.take();
}

std::vector<std::byte> encode_enter(const Enter& enter) {
  WireWriter out;
  out.bytes(enter.client_nonce);
  out.bytes(enter.proof);
  return out.take();
}

std::vector<std::byte> encode_welcome(const Welcome& welcome) {
  WireWriter out;
  out.integer(welcome.ucx_port);
  out.text(welcome.lane.host);
  out.text(welcome.lane.name);
  return out.take();
}

Result<Hello> decode_hello(std::span<const std::byte> block) {
  WireReader in(block);
  Hello hello;
  hello.client = read_address(in);
  read_block(in, hello.nonce);
  hello.wanted = in.integer<std::uint64_t>();
  if (!in.complete() || !plausible(hello.client))
    return fail(ErrorCode::invalid_argument, "handshake: malformed hello");
  return hello;
}

Result<Challenge> decode_challenge(std::span<const std::byte> block) {
  WireReader in(block);
  Challenge challenge;
  challenge.server = read_address(in);
  read_block(in, challenge.nonce);
  read_block(in, challenge.proof);
  if (!in.complete() || !plausible(challenge.server)) {
    return fail(ErrorCode::invalid_argument, "handshake: malformed challenge");
  }
  return challenge;
}

Result<Enter> decode_enter(std::span<const std::byte> block) {
  WireReader in(block);
  Enter enter;
  read_block(in, enter.client_nonce);
  read_block(in, enter.proof);
  if (!in.complete()) return fail(ErrorCode::invalid_argument, "handshake: malformed entry");
  return enter;
}

Result<Welcome> decode_welcome(std::span<const std::byte> block) {
  WireReader in(block);
  Welcome welcome;
  welcome.ucx_port = in.integer<std::uint16_t>();
  welcome.lane.host = in.text();
  welcome.lane.name = in.text();
  if (!in.complete() || welcome.ucx_port == 0) {
    return fail(ErrorCode::invalid_argument, "handshake: malformed welcome");
  }
  return welcome;
}

Result<Proof> decode_proof(std::span<const std::byte> block) {
  WireReader in(block);
  Proof proof{};
  read_block(in, proof);
  if (!in.complete()) return fail(ErrorCode::invalid_argument, "handshake: malformed proof");
  return proof;
}

Proof prove_server(std::string_view secret, const Handshake& handshake) {
  return prove(secret, "ds server", handshake);
}
Proof prove_client(std::string_view secret, const Handshake& handshake) {
  return prove(secret, "ds client", handshake);
}

Proof prove_entering(std::string_view secret, const Handshake& handshake) {
  return prove(secret, "ds enter", handshake);
}
Proof prove_entered(std::string_view secret, const Handshake& handshake) {
  return prove(secret, "ds entered", handshake);
}

bool same_proof(const Proof& a, const Proof& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Nonce random_nonce() {
  Nonce nonce{};
  fill_random(nonce);
  return nonce;
}

std::uint64_t random_process_id() {
  std::uint64_t id = 0;
  while (id == 0) fill_random(std::as_writable_bytes(std::span(&id, 1)));
  return id;
}

}  // namespace ds::fabric
