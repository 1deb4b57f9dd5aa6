#include "kernels/compression.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace ds::kernels {
namespace {

using Vector = std::vector<float>;
using Bytes = std::vector<std::byte>;

constexpr auto kDense = {Compression::none, Compression::float16, Compression::bfloat16, Compression::int8};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Of very different magnitudes, subnormals among them.
Vector random_vector(std::size_t size, std::mt19937& random) {
  std::uniform_real_distribution<float> mantissa(-1, 1);
  std::uniform_int_distribution<int> exponent(-140, 12);
  Vector vector(size);
  const int base = exponent(random);
  for (float& value : vector) value = std::ldexp(mantissa(random), base + exponent(random) % 4);
  return vector;
}

Bytes encoded(Compression compression, const Vector& vector) {
  Bytes bytes(encoded_bytes(compression, vector.size()));
  encode(compression, vector, bytes);
  return bytes;
}

Vector decoded(Compression compression, const Bytes& bytes, std::size_t size) {
  Vector out(size, 77);
  EXPECT_TRUE(decode(compression, bytes, out));
  return out;
}

std::vector<std::uint32_t> bits_of(const Vector& vector) {
  std::vector<std::uint32_t> bits;
  for (const float value : vector) bits.push_back(std::bit_cast<std::uint32_t>(value));
  return bits;
}

TEST(Compression, KeepsEveryBitWhenThereIsNone) {
  std::mt19937 random(1);
  const Vector vector = random_vector(1000, random);
  EXPECT_EQ(bits_of(decoded(Compression::none, encoded(Compression::none, vector), 1000)), bits_of(vector));
}

TEST(Compression, IsWrongByNoMoreThanItsRounding) {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    const std::size_t size = random() % 1500;
    const Vector vector = random_vector(size, random);
    const Vector half = decoded(Compression::float16, encoded(Compression::float16, vector), size);
    const Vector brain = decoded(Compression::bfloat16, encoded(Compression::bfloat16, vector), size);
    const Vector whole = decoded(Compression::int8, encoded(Compression::int8, vector), size);
    for (std::size_t i = 0; i < size; ++i) {
      const double x = vector[i];
      ASSERT_LE(std::abs(half[i] - x), std::max(std::abs(x) * 0x1p-11, 0x1p-25));
      ASSERT_LE(std::abs(brain[i] - x), std::max(std::abs(x) * 0x1p-8, 0x1p-133));
      const auto block = vector.begin() + static_cast<std::ptrdiff_t>(i / kScaleBlock * kScaleBlock);
      const auto end = vector.end() - block > 256 ? block + 256 : vector.end();
      const auto largest =
          std::max_element(block, end, [](float a, float b) { return std::abs(a) < std::abs(b); });
      // Half a scale; far down in the subnormals the scale itself is rounded.
      ASSERT_LE(std::abs(whole[i] - x), std::abs(double{*largest}) / 254 * (1 + 1e-5) + 1e-43);
    }
  }
}

TEST(Compression, OfBlocksKeepsTheLargestAndZero) {
  Vector vector(600, 0.0F);
  vector[10] = -12.7F;
  vector[11] = 0.1F;
  vector[12] = 0.049F;
  vector[599] = 1e-20F;
  const Vector out = decoded(Compression::int8, encoded(Compression::int8, vector), 600);
  EXPECT_FLOAT_EQ(out[10], -12.7F);
  EXPECT_FLOAT_EQ(out[11], 0.1F);
  EXPECT_EQ(out[12], 0);
  EXPECT_EQ(out[300], 0);
  EXPECT_FLOAT_EQ(out[599], 1e-20F) << "a block has its own scale";
}

TEST(Compression, LetsNoElementThatIsNotFiniteGetLost) {
  for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    Vector vector(700, 1.0F);
    vector[300] = bad;
    for (const Compression compression : kDense) {
      const Vector out = decoded(compression, encoded(compression, vector), 700);
      EXPECT_FALSE(std::isfinite(out[300]));
      EXPECT_TRUE(std::isfinite(out[0]));
      EXPECT_TRUE(std::isfinite(out[699]));
    }
    Vector residual(700);
    const Vector sent = decoded(Compression::top_k, encode_top_k(vector, residual, 1), 700);
    EXPECT_EQ(bits_of(sent)[300], std::bit_cast<std::uint32_t>(0.0F + bad)) << "it is the first to be sent";
  }
}

TEST(TopK, SendsTheLargestAndKeepsTheRest) {
  Vector residual{0, 0.5F, 0, 0, 0};
  const Vector gradient{1, 2, -3, 0.25F, -1};
  const Bytes bytes = encode_top_k(gradient, residual, 2);
  EXPECT_EQ(decoded(Compression::top_k, bytes, 5), (Vector{0, 2.5F, -3, 0, 0}));
  EXPECT_EQ(residual, (Vector{1, 0, 0, 0.25F, -1}));
  const Bytes next = encode_top_k(gradient, residual, 2);
  EXPECT_EQ(decoded(Compression::top_k, next, 5), (Vector{2, 0, -3, 0, 0})) << "of 2, 2, -3, 0.5, -2";
}

TEST(TopK, SendsTheFirstOfEqualMagnitudes) {
  Vector residual(6);
  const Bytes bytes = encode_top_k(Vector{1, -2, 2, 2, -2, 3}, residual, 3);
  EXPECT_EQ(decoded(Compression::top_k, bytes, 6), (Vector{0, -2, 2, 0, 0, 3}));
  EXPECT_EQ(residual, (Vector{1, 0, 0, 2, -2, 0}));
}

TEST(TopK, SplitsTheSumOfVectorAndResidualToTheBit) {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    const std::size_t size = 1 + random() % 2000;
    const Vector vector = random_vector(size, random);
    Vector residual = random_vector(size, random);
    if (round % 3 == 0) std::fill(residual.begin(), residual.end(), 0.0F);
    Vector sum(size);
    for (std::size_t i = 0; i < size; ++i) sum[i] = vector[i] + residual[i];
    const std::size_t kept = random() % (size + 1);
    const Vector sent = decoded(Compression::top_k, encode_top_k(vector, residual, kept), size);
    std::size_t gone = 0;
    float least = kInfinity, most = 0;
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_TRUE(sent[i] == 0 || residual[i] == 0) << "an element is sent whole or kept whole";
      ASSERT_EQ(sent[i] + residual[i], sum[i]);
      if (sent[i] != 0) ++gone, least = std::min(least, std::abs(sent[i]));
      most = std::max(most, std::abs(residual[i]));
    }
    ASSERT_LE(gone, kept);
    ASSERT_TRUE(gone == 0 || least >= most);
  }
}

TEST(TopK, SendsEverythingInTheEnd) {
  std::mt19937 random(4);
  const Vector gradient = random_vector(1000, random);
  const Vector nothing(1000);
  Vector residual(1000), total(1000);
  for (int step = 0; step < 20; ++step) {
    const Bytes bytes = encode_top_k(step == 0 ? gradient : nothing, residual, count_kept(0.05, 1000));
    const Vector sent = decoded(Compression::top_k, bytes, 1000);
    for (std::size_t i = 0; i < 1000; ++i) total[i] += sent[i];
  }
  EXPECT_EQ(total, gradient);
}

TEST(TopK, CountsAtLeastOneAndAtMostAll) {
  EXPECT_EQ(count_kept(0.01, 0), 0U);
  EXPECT_EQ(count_kept(0.01, 5), 1U);
  EXPECT_EQ(count_kept(0.01, 101), 2U);
  EXPECT_EQ(count_kept(0, 7), 1U);
  EXPECT_EQ(count_kept(1, 7), 7U);
  EXPECT_EQ(count_kept(5, 7), 7U);
}

TEST(TopK, RefusesPlacesThatAreNotThereOrOutOfOrder) {
  const auto make = [](const std::vector<std::uint32_t>& words) {
    Bytes bytes(words.size() * 4);
    std::memcpy(bytes.data(), words.data(), bytes.size());
    return bytes;
  };
  Vector out(4);
  EXPECT_TRUE(decode(Compression::top_k, make({0}), out));
  EXPECT_TRUE(decode(Compression::top_k, make({2, 0, 3, 1, 1}), out));
  EXPECT_FALSE(decode(Compression::top_k, make({2, 3, 0, 1, 1}), out));
  EXPECT_FALSE(decode(Compression::top_k, make({2, 1, 1, 1, 1}), out));
  EXPECT_FALSE(decode(Compression::top_k, make({1, 4, 1}), out));
  EXPECT_FALSE(decode(Compression::top_k, make({1, 0xFFFFFFFFU, 1}), out));
  EXPECT_FALSE(decode(Compression::top_k, make({5, 0, 1, 2, 3, 4, 1, 1, 1, 1, 1}), out));
  EXPECT_FALSE(decode(Compression::top_k, make({0xFFFFFFFFU}), out));
  EXPECT_FALSE(decode(Compression::top_k, make({1, 0}), out));
  EXPECT_FALSE(decode(Compression::top_k, Bytes(3), out));
  EXPECT_FALSE(decode(Compression::top_k, {}, out));
}

TEST(Compression, DecodesAnyBytesOrRefusesThem) {
  std::mt19937 random(5);
  int taken = 0;
  for (int round = 0; round < 20'000; ++round) {
    const auto compression = static_cast<Compression>(random() % 5);
    const std::size_t size = random() % 600;
    const std::size_t right = encoded_bytes(compression, size, random() % (size + 1));
    // Allocated to the byte, so that a read beyond it is one beyond the heap's block.
    Bytes bytes(random() % 2 == 0 ? right : random() % 1500);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    if (compression == Compression::top_k && bytes.size() >= 4) {
      const auto kept = static_cast<std::uint32_t>((bytes.size() - 4) / 8);
      std::memcpy(bytes.data(), &kept, 4);
      std::uint32_t place = 0;
      for (std::uint32_t i = 0; i < kept && random() % 64 != 0; ++i, place += 1 + random() % 3) {
        std::memcpy(bytes.data() + 4 + std::size_t{4} * i, &place, 4);
      }
    }
    Vector out(size);
    taken += decode(compression, bytes, out) ? 1 : 0;
  }
  EXPECT_GT(taken, 5'000);
  EXPECT_LT(taken, 15'000);
}

TEST(CompressionDeathTest, EndsTheProcessWhenSizesDoNotFit) {
  Bytes bytes(7);
  const Vector vector(4);
  EXPECT_DEATH(encode(Compression::float16, vector, bytes), "");
  EXPECT_DEATH(encode(Compression::top_k, vector, bytes), "");
  Vector residual(3);
  EXPECT_DEATH(encode_top_k(vector, residual, 1), "");
  residual.resize(4);
  EXPECT_DEATH(encode_top_k(vector, residual, 5), "");
}

}  // namespace
}  // namespace ds::kernels
