// Feeds anything to the decoders of the handshake. The first byte chooses which.
#include "actors/fabric/handshake.hpp"
#include "tests/fuzz/expect.hpp"

using namespace ds::fabric;

namespace {

void check_address(const ProcessAddress& address) {
  EXPECT_HOLDS(address.id != 0);
  EXPECT_HOLDS(address.port != 0);
  EXPECT_HOLDS(!address.host.empty() && address.host.size() <= 64);
}

void check(std::uint8_t which, std::span<const std::byte> block) {
  if (which == 0) {
    auto hello = decode_hello(block);
    if (!hello) return;
    check_address(hello->client);
    EXPECT_SAME_BYTES(encode_hello(*hello), block);
  } else if (which == 1) {
    auto challenge = decode_challenge(block);
    if (!challenge) return;
    check_address(challenge->server);
    EXPECT_SAME_BYTES(encode_challenge(*challenge), block);
  } else if (which == 2) {
    auto enter = decode_enter(block);
    if (enter) EXPECT_SAME_BYTES(encode_enter(*enter), block);
  } else {
    auto proof = decode_proof(block);
    if (proof) EXPECT_SAME_BYTES(*proof, block);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size > 0) check(bytes[0] % 4, std::as_bytes(std::span(bytes, size)).subspan(1));
  return 0;
}
