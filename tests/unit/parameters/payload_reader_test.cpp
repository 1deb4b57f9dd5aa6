#include "actors/parameters/payload_reader.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "kernels/compression.hpp"
#include "tests/unit/parameters/shard_job.hpp"

namespace ds::parameters {
namespace {

constexpr std::size_t kElements = 10'000;

std::vector<float> read_all(const Payload& payload, std::size_t elements) {
  auto reader = PayloadReader::open(payload, elements);
  if (!reader) throw std::runtime_error(reader.error().message);
  std::vector<float> values;
  std::vector<float> scratch(4096);
  for (std::size_t first = 0; first < elements; first += scratch.size()) {
    const std::size_t count = std::min(scratch.size(), elements - first);
    const float* part = reader->read(first, count, scratch.data());
    for (std::size_t i = 0; i < count; ++i) values.push_back(part == nullptr ? 0.0F : part[i]);
  }
  return values;
}

bool is_refused(const Payload& payload, std::uint64_t elements) {
  const auto reader = PayloadReader::open(payload, elements);
  return !reader && reader.error().code == ErrorCode::invalid_argument;
}

TEST(PayloadReader, ReadsDenseVectorsWhereverTheyLie) {
  std::mt19937 generator(1);
  const auto values = random_values(generator, kElements);
  EXPECT_EQ(bits_of(read_all(dense(values), kElements)), bits_of(values));
  std::string shifted = "x" + bits_of(values);
  const Buffer odd = Buffer::copy_of(std::string_view(shifted)).slice(1, kElements * 4);
  EXPECT_EQ(bits_of(read_all({Form::dense, {}, odd}, kElements)), bits_of(values));
}

TEST(PayloadReader, ReadsRunsThatCrossAnyBorderAsZerosBetween) {
  std::mt19937 generator(2);
  for (int round = 0; round < 50; ++round) {
    std::vector<float> values(kElements), named;
    std::vector<parameters::Run> runs;
    for (std::uint64_t at = generator() % 3000; at < kElements; at += 1 + generator() % 3000) {
      const std::uint64_t count = std::min<std::uint64_t>(1 + generator() % 5000, kElements - at);
      const auto some = random_values(generator, count);
      std::ranges::copy(some, values.begin() + static_cast<std::ptrdiff_t>(at));
      named.insert(named.end(), some.begin(), some.end());
      runs.push_back({at, count});
      at += count;
    }
    EXPECT_EQ(bits_of(read_all({Form::runs, runs, to_buffer(named)}, kElements)), bits_of(values));
  }
}

TEST(PayloadReader, ReadsEncodingsAsTheKernelsDecodeThem) {
  std::mt19937 generator(3);
  const auto values = random_values(generator, kElements);
  for (const auto& [form, compression] : {std::pair(Form::float16, kernels::Compression::float16),
                                          std::pair(Form::bfloat16, kernels::Compression::bfloat16),
                                          std::pair(Form::int8, kernels::Compression::int8)}) {
    std::vector<std::byte> bytes(kernels::encoded_bytes(compression, kElements));
    kernels::encode(compression, values, bytes);
    std::vector<float> decoded(kElements);
    ASSERT_TRUE(kernels::decode(compression, bytes, decoded));
    EXPECT_EQ(bits_of(read_all({form, {}, Buffer::copy_of(bytes)}, kElements)), bits_of(decoded));
    bytes.pop_back();
    EXPECT_TRUE(is_refused({form, {}, Buffer::copy_of(bytes)}, kElements));
  }
  std::vector<float> residual(kElements);
  const auto bytes = kernels::encode_top_k(values, residual, 777);
  std::vector<float> decoded(kElements);
  ASSERT_TRUE(kernels::decode(kernels::Compression::top_k, bytes, decoded));
  EXPECT_EQ(bits_of(read_all({Form::top_k, {}, Buffer::copy_of(bytes)}, kElements)), bits_of(decoded));
}

TEST(PayloadReader, RefusesWhatIsNoVector) {
  const auto values = std::vector<float>(8, 1.0F);
  const Buffer two = to_buffer(std::vector<float>(2, 1.0F));
  constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
  EXPECT_TRUE(is_refused(dense(values), 7));
  EXPECT_TRUE(is_refused({Form::dense, {{0, 8}}, to_buffer(values)}, 8)) << "dense with runs";
  EXPECT_TRUE(is_refused({static_cast<Form>(200), {}, to_buffer(values)}, 8)) << "no form";
  EXPECT_TRUE(is_refused({Form::runs, {{4, 1}, {3, 1}}, two}, 8)) << "falling";
  EXPECT_TRUE(is_refused({Form::runs, {{3, 1}, {3, 1}}, two}, 8)) << "twice";
  EXPECT_TRUE(is_refused({Form::runs, {{3, 0}}, {}}, 8)) << "empty";
  EXPECT_TRUE(is_refused({Form::runs, {{7, 2}}, two}, 8)) << "beyond the end";
  EXPECT_TRUE(is_refused({Form::runs, {{9, 2}}, two}, 8)) << "behind the end";
  EXPECT_TRUE(is_refused({Form::runs, {{1, kHuge}}, two}, 8)) << "an overflow";
  EXPECT_TRUE(is_refused({Form::runs, {{0, 3}}, two}, 8)) << "fewer values than named";
  EXPECT_TRUE(is_refused({Form::top_k, {}, {}}, 8)) << "no number";
}

TEST(PayloadReader, IsSafeWithAnyBytes) {
  std::mt19937 generator(4);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(generator() % 40, '\0');
    for (char& byte : bytes) byte = static_cast<char>(generator() % 4 == 0 ? generator() : generator() % 3);
    Payload payload{static_cast<Form>(generator() % 7), {}, Buffer::copy_of(std::string_view(bytes))};
    if (generator() % 2 == 0) payload.runs.push_back({generator() % 10, generator() % 10});
    const std::uint64_t elements = generator() % 12;
    if (!PayloadReader::open(payload, elements)) continue;
    EXPECT_EQ(read_all(payload, elements).size(), elements);
  }
}

TEST(WriteOver, ChangesWhatRunsNameAndNothingElse) {
  std::vector<float> to{1, 2, 3, 4, 5};
  const Payload some{Form::runs, {{1, 1}, {3, 2}}, to_buffer(std::vector<float>{7, 8, 9})};
  ASSERT_TRUE(write_over(some, to));
  EXPECT_EQ(to, (std::vector<float>{1, 7, 3, 8, 9}));
  EXPECT_FALSE(write_over({Form::runs, {{4, 2}}, to_buffer(std::vector<float>{0, 0})}, to));
  EXPECT_FALSE(write_over({Form::float16, {}, {}}, to));
  EXPECT_EQ(to, (std::vector<float>{1, 7, 3, 8, 9}));
  ASSERT_TRUE(write_over(dense(std::vector<float>{5, 4, 3, 2, 1}), to));
  EXPECT_EQ(to, (std::vector<float>{5, 4, 3, 2, 1}));
}

}  // namespace
}  // namespace ds::parameters
