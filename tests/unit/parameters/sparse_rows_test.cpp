#include "actors/parameters/sparse_rows.hpp"

#include <gtest/gtest.h>

#include "actors/parameters/payload_reader.hpp"
#include "tests/unit/parameters/shard_job.hpp"

namespace ds::parameters {
namespace {

std::vector<float> read_all(const Payload& payload, std::size_t elements) {
  std::vector<float> values(elements), scratch(elements);
  auto reader = PayloadReader::open(payload, elements);
  if (!reader) throw std::runtime_error(reader.error().message);
  const float* from = reader->read(0, elements, scratch.data());
  if (from != nullptr) std::copy_n(from, elements, values.begin());
  return values;
}

TEST(ZeroRows, AreLeftOutWithoutChangingABit) {
  std::mt19937 generator(9);
  int sparse = 0, whole = 0;
  for (int round = 0; round < 300; ++round) {
    const std::uint64_t width = 1 + generator() % 9, rows = 1 + generator() % 200;
    const std::uint64_t before = generator() % 20, after = generator() % 20;
    const std::size_t elements = before + rows * width + after;
    std::vector<float> gradient(elements);
    for (std::size_t i = 0; i < elements; ++i)
      if (i < before || i >= before + rows * width) gradient[i] = 1.5F;
    const std::uint64_t busy = generator() % (rows + 1);
    for (std::uint64_t i = 0; i < busy; ++i)
      gradient[before + (generator() % rows) * width + generator() % width] = i % 3 == 0 ? -0.0F : 2.0F;
    const RowTable table{before, rows, width};
    const Buffer whole_gradient = to_buffer(gradient);
    const Payload payload = leave_out_zero_rows(whole_gradient, std::span(&table, 1));
    EXPECT_EQ(bits_of(read_all(payload, elements)), bits_of(gradient));
    if (payload.form == Form::runs) {
      ++sparse;
      EXPECT_LE(2 * (payload.bytes.size() + payload.runs.size() * sizeof(parameters::Run)),
                elements * sizeof(float));
    } else {
      ++whole;
      EXPECT_EQ(payload.bytes.bytes().data(), whole_gradient.bytes().data()) << "its own memory";
    }
  }
  EXPECT_GT(sparse, 20);
  EXPECT_GT(whole, 20);
}

TEST(ZeroRows, OfAModelWithoutTablesStay) {
  const Buffer zeros = to_buffer(std::vector<float>(100));
  EXPECT_EQ(leave_out_zero_rows(zeros, {}).form, Form::dense);
}

}  // namespace
}  // namespace ds::parameters
