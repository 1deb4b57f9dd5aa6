#include "actors/fabric/frame.hpp"

#include <gtest/gtest.h>

#include <random>

#include "actors/fabric/handshake.hpp"

namespace ds::fabric {
namespace {

constexpr std::uint64_t kLimit = 1 << 20;

FrameHeader example() {
  return {FrameType::data, 2, {77, 5, 9}, {0, 1, 4096}};
}

TEST(FrameHeader, ComesBackAsItWasWritten) {
  const FrameHeader header = example();
  auto decoded = decode_frame_header(encode_frame_header(header), kLimit);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, header);
  EXPECT_EQ(decoded->total_bytes(), 4097u);
}

TEST(FrameHeader, RefusesEveryTruncationAndEveryExtraByte) {
  auto block = encode_frame_header(example());
  for (std::size_t length = 0; length < block.size(); ++length) {
    EXPECT_FALSE(decode_frame_header(std::span(block).first(length), kLimit)) << length;
  }
  block.push_back(std::byte{0});
  EXPECT_FALSE(decode_frame_header(block, kLimit));
}

TEST(FrameHeader, RefusesTooManyPartsAndTooManyBytes) {
  FrameHeader header = example();
  header.part_sizes.assign(kMaxParts, 1);
  EXPECT_TRUE(decode_frame_header(encode_frame_header(header), kLimit));
  header.part_sizes.push_back(1);
  EXPECT_FALSE(decode_frame_header(encode_frame_header(header), kLimit));
  header.part_sizes = {kLimit, 1};
  EXPECT_FALSE(decode_frame_header(encode_frame_header(header), kLimit));
  header.part_sizes = {~std::uint64_t{0}, ~std::uint64_t{0}, 2};  // sums to 0 when it overflows
  EXPECT_FALSE(decode_frame_header(encode_frame_header(header), kLimit));
}

TEST(FrameHeader, RefusesAnotherVersion) {
  auto block = encode_frame_header(example());
  block[0] = std::byte{kFrameVersion + 1};
  EXPECT_FALSE(decode_frame_header(block, kLimit));
}

TEST(FrameHeader, SurvivesRandomBytesAndNeverExceedsItsBounds) {
  std::mt19937_64 random(20261124);
  const auto valid = encode_frame_header(example());
  for (int round = 0; round < 200'000; ++round) {
    std::vector<std::byte> block(random() % 80);
    for (auto& byte : block) byte = static_cast<std::byte>(random());
    // Half of the rounds start like a valid header, so that the deeper checks are met as well.
    if (round % 2 == 0) {
      block = valid;
      block[random() % block.size()] = static_cast<std::byte>(random());
    }
    auto decoded = decode_frame_header(block, kLimit);
    if (!decoded) continue;
    EXPECT_LE(decoded->part_sizes.size(), kMaxParts);
    EXPECT_LE(decoded->total_bytes(), kLimit);
    EXPECT_EQ(encode_frame_header(*decoded), block);
  }
}

TEST(Handshake, MessagesComeBackAsTheyWereWritten) {
  const Hello hello{{1, "127.0.0.1", 9000}, random_nonce(), 5};
  EXPECT_EQ(decode_hello(encode_hello(hello)).value(), hello);
  const Challenge challenge{{2, "::1", 9001}, random_nonce(), prove_server("s", {})};
  EXPECT_EQ(decode_challenge(encode_challenge(challenge)).value(), challenge);
  const Enter enter{random_nonce(), prove_entering("s", {})};
  EXPECT_EQ(decode_enter(encode_enter(enter)).value(), enter);
}

TEST(Handshake, DecodersRefuseTruncationAndImpossibleAddresses) {
  const Hello hello{{1, "127.0.0.1", 9000}, random_nonce(), 5};
  const auto block = encode_hello(hello);
  for (std::size_t length = 0; length < block.size(); ++length) {
    EXPECT_FALSE(decode_hello(std::span(block).first(length)));
  }
  Hello wrong = hello;
  wrong.client.id = 0;
  EXPECT_FALSE(decode_hello(encode_hello(wrong)));
  wrong = hello;
  wrong.client.host = "evil.example";
  EXPECT_FALSE(decode_hello(encode_hello(wrong)));
}

TEST(Handshake, ProofsDifferBySecretSideNonceAndProcess) {
  const Handshake base{1, 2, random_nonce(), random_nonce()};
  const Proof proof = prove_server("secret", base);
  EXPECT_TRUE(same_proof(proof, prove_server("secret", base)));
  EXPECT_FALSE(same_proof(proof, prove_server("Secret", base)));
  EXPECT_FALSE(same_proof(proof, prove_client("secret", base)));
  Handshake other = base;
  other.server_nonce[0] ^= std::byte{1};
  EXPECT_FALSE(same_proof(proof, prove_server("secret", other)));
  other = base;
  other.server = 3;
  EXPECT_FALSE(same_proof(proof, prove_server("secret", other)));
}

}  // namespace
}  // namespace ds::fabric
