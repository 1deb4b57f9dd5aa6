#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "actors/collective/communicator.hpp"
#include "actors/parameters/payload_reader.hpp"
#include "actors/parameters/sparse_rows.hpp"
#include "actors/train/gradient_encoder.hpp"
#include "actors/train/gradient_fold.hpp"
#include "actors/train/row_tables.hpp"
#include "actors/train/worker_state.hpp"

namespace ds::train {
namespace {

std::vector<float> random_values(std::mt19937& generator, std::size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(generator()) / 1e9F - 2;
  return values;
}

Buffer borrow(const std::vector<float>& values) {
  return {nullptr, std::as_bytes(std::span(values))};
}

std::vector<float> decode(const parameters::Payload& payload, std::size_t elements) {
  std::vector<float> values(elements), scratch(elements);
  auto reader = parameters::PayloadReader::open(payload, elements);
  if (!reader) throw std::runtime_error(reader.error().message);
  const float* from = reader->read(0, elements, scratch.data());
  if (from != nullptr) std::copy_n(from, elements, values.begin());
  return values;
}

TEST(GradientFold, LeavesTheMaximalSubtreesWithTheBitsOfAnAllReduce) {
  std::mt19937 generator(1);
  for (const std::uint32_t leaves : {1U, 2U, 3U, 6U, 7U}) {
    std::vector<std::vector<float>> gradients;
    for (std::uint32_t leaf = 0; leaf < leaves; ++leaf) gradients.push_back(random_values(generator, 100));
    std::vector<float> whole(100);
    std::vector<collective::ConstVector> inputs(gradients.begin(), gradients.end());
    ASSERT_TRUE(collective::Communicator(leaves).all_reduce(inputs, collective::Vector(whole)));
    GradientFold fold(leaves);
    std::vector<float> memory;  // all gradients come through the same memory
    for (int round = 0; round < 2; ++round) {
      fold.begin();
      for (std::uint32_t leaf = 0; leaf < leaves; ++leaf) {
        fold.settle();
        memory = gradients[leaf];
        fold.add(leaf, borrow(memory));
      }
      const auto sums = fold.sums();
      ASSERT_EQ(sums.size(), 1U);
      EXPECT_EQ(sums[0].values, borrow(whole)) << leaves << " leaves";
      if (leaves > 1) continue;
      EXPECT_EQ(sums[0].values.bytes().data(), borrow(memory).bytes().data()) << "no copy";
    }
    for (std::uint32_t first = 0; first < leaves; ++first) {
      fold.begin();
      for (std::uint32_t leaf = first; leaf < leaves; ++leaf) fold.add(leaf, borrow(gradients[leaf]));
      std::vector<collective::TreeNode> nodes;
      for (const auto& sum : fold.sums()) nodes.push_back(sum.node);
      EXPECT_EQ(nodes, collective::maximal_subtrees(first, leaves, leaves));
    }
  }
}

TEST(GradientEncoder, SendsWhatTopKLeftOutLaterAndAStepThatIsRepeatedAsItWas) {
  std::mt19937 generator(2);
  const std::vector<parameters::KeyRange> ranges{{0, 60}, {60, 100}};
  GradientEncoder encoder({"top_k", 0.1}, ranges, {{}, {}});
  std::vector<float> sent(100), all(100);
  for (std::uint64_t step = 0; step < 400; ++step) {
    const auto gradient = step < 200 ? random_values(generator, 100) : std::vector<float>(100);
    const auto payloads = encoder.encode(3, step, borrow(gradient));
    EXPECT_EQ(encoder.encode(3, step, borrow(gradient)), payloads);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto part = decode(payloads[i], ranges[i].size());
      EXPECT_EQ(std::ranges::count_if(part, [](float value) { return value != 0; }) <= (i == 0 ? 6 : 4),
                true);
      for (std::size_t at = 0; at < part.size(); ++at) sent[ranges[i].first + at] += part[at];
    }
    for (std::size_t at = 0; at < 100; ++at) all[at] += gradient[at];
  }
  for (std::size_t at = 0; at < 100; ++at) EXPECT_NEAR(sent[at], all[at], 1e-2);
}

TEST(GradientEncoder, DoesNotKeepWhatIsNotFinite) {
  GradientEncoder encoder({"top_k", 0.25}, {{0, 8}}, {{}});
  std::vector<float> bad(8, std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isinf(decode(encoder.encode(0, 0, borrow(bad))[0], 8)[0])) << "the servers see it";
  const auto next = decode(encoder.encode(0, 1, borrow(std::vector<float>(8, 1.0F)))[0], 8);
  EXPECT_EQ(next, (std::vector<float>{1, 1, 0, 0, 0, 0, 0, 0}));
}

TEST(RowTables, AreLargeMatricesAsFarAsTheirRowsAreWhole) {
  const std::vector<TensorSlot> slots{{"embedding.weight", {300, 10}, 0, 3000},
                                      {"output.weight", {10, 300}, 3000, 3000},
                                      {"output.bias", {1000}, 6000, 1000},
                                      {"other.weight", {256, 4}, 7000, 1024}};
  using parameters::RowTable;
  using parameters::tables_in;
  const std::vector<RowTable> all{{0, 300, 10}, {7000, 256, 4}};
  EXPECT_EQ(row_tables(slots), all);
  EXPECT_EQ(tables_in({0, 8024}, all), all);
  EXPECT_EQ(tables_in({15, 2995}, all), (std::vector<RowTable>{{5, 297, 10}}));
  EXPECT_EQ(tables_in({2995, 7003}, all), (std::vector<RowTable>{}));
}

TEST(WorkerState, SurvivesItsBytesAndIsRefusedWhenTheyDoNotFit) {
  WorkerState state{7, {}, {1.5F, -0.0F}, {1LL << 40, -3}};
  state.progress.best = 0.25;
  state.progress.bad_records = 4;
  const Buffer bytes = to_buffer(state);
  const auto back = to_worker_state(bytes, 2, 2);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, state);
  EXPECT_EQ(to_worker_state(bytes, 2, 1).error().code, ErrorCode::data_loss);
  EXPECT_EQ(to_worker_state({}, 0, 0).error().code, ErrorCode::data_loss);
}

}  // namespace
}  // namespace ds::train
