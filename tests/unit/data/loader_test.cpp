#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <type_traits>

#include "actors/data/byte_pairs.hpp"
#include "actors/data/data_loader.hpp"
#include "actors/data/sample_order.hpp"
#include "array_files.hpp"
#include "files.hpp"

namespace ds::data {
namespace {

using scheduler::TransformSpec;

/// 103 images of 4 x 4 pixels, each its own number.
DataLoader::Options image_options(const DataFolder& folder) {
  std::string pixels;
  for (int i = 0; i < 103; ++i) pixels.append(16, static_cast<char>(i));
  DataLoader::Options options;
  options.source = {.paths = {folder.write("x.idx", make_idx({103, 4, 4}, pixels))}};
  options.batch_size = 10;
  options.seed = 5;
  return options;
}

std::vector<TransformSpec> random_transforms() {
  return {transform(scheduler::Crop{{4, 4}, 2, true}), transform(scheduler::Flip{{"horizontal", "vertical"}}),
          transform(scheduler::Rotate{}), transform(scheduler::ElasticDeform{}),
          transform(scheduler::Noise{})};
}

std::vector<std::vector<float>> batches_of(const DataLoader& loader, std::uint64_t epoch) {
  std::vector<std::vector<float>> batches;
  for (const Batch& batch : loader.epoch(epoch)) batches.push_back(floats_of(batch, "image"));
  return batches;
}

TEST(DataLoader, GivesEverySampleOnceAnEpochInAnotherOrderEach) {
  const DataFolder folder;
  const auto loader = DataLoader::open(image_options(folder));
  ASSERT_TRUE(loader) << loader.error().message;
  EXPECT_EQ(loader->size(), 11U);
  std::vector<std::vector<float>> orders;
  for (std::uint64_t epoch = 0; epoch < 2; ++epoch) {
    std::vector<float> order;
    for (const auto& batch : batches_of(*loader, epoch)) {
      for (std::size_t i = 0; i < batch.size(); i += 16) order.push_back(batch[i] * 255);
    }
    orders.push_back(order);
    std::ranges::sort(order);
    ASSERT_EQ(order.size(), 103U);
    for (std::size_t i = 0; i < order.size(); ++i) EXPECT_NEAR(order[i], static_cast<float>(i), 0.001);
  }
  EXPECT_NE(orders[0], orders[1]);
}

/// Bytes that this process has asked the system to read.
std::uint64_t bytes_read() {
  std::ifstream counts("/proc/self/io");
  std::string name;
  std::uint64_t bytes = 0;
  counts >> name >> bytes;
  EXPECT_EQ(name, "rchar:");
  return bytes;
}

TEST(DataLoader, GoesOnAtNineTenthsOfAHundredMillionSamplesWithoutReadingTheOthers) {
  constexpr std::uint32_t kSamples = 100'000'000;
  static_assert(std::is_trivially_copyable_v<SampleOrder> && sizeof(SampleOrder) <= 64,
                "an order holds no list of its samples");
  const DataFolder folder;
  DataLoader::Options options;
  const std::string file = folder.write("x.idx", make_idx({kSamples, 1}, ""));
  std::filesystem::resize_file(file, std::filesystem::file_size(file) + kSamples);  // zeros, on no disk
  options.source = {.paths = {file}};
  options.batch_size = 100;
  options.threads = 0;
  const auto loader = DataLoader::open(options);
  ASSERT_TRUE(loader) << loader.error().message;
  ASSERT_EQ(loader->size(), kSamples / 100);
  const std::uint64_t before = bytes_read();
  const auto batch = loader->make_batch(0, loader->size() / 10 * 9);
  ASSERT_TRUE(batch) << batch.error().message;
  EXPECT_LT(bytes_read() - before, 16U << 20) << "a window of blocks, not nine tenths of the file";
  const SampleOrder order(kSamples, options.seed, true);
  ASSERT_EQ(batch->samples.size(), 100U);
  for (std::uint64_t i = 0; i < 100; ++i)
    EXPECT_EQ(batch->samples[i], order.sample_at(0, std::uint64_t{kSamples} / 10 * 9 + i));
}

TEST(DataLoader, GivesTheSameBatchesWhateverTheNumberOfThreads) {
  const DataFolder folder;
  DataLoader::Options options = image_options(folder);
  options.transforms = random_transforms();
  options.threads = 0;
  const auto plain = batches_of(*DataLoader::open(options), 3);
  ASSERT_EQ(plain.size(), 11U);
  for (const std::uint32_t threads : {1U, 3U, 8U}) {
    options.threads = threads;
    options.prefetch = 1 + threads % 3;
    EXPECT_EQ(batches_of(*DataLoader::open(options), 3), plain) << threads;
  }
  options.seed = 6;
  EXPECT_NE(batches_of(*DataLoader::open(options), 3), plain);
  options.seed = 5;
  options.training = false;
  EXPECT_NE(batches_of(*DataLoader::open(options), 3), plain);
}

TEST(DataLoader, StopsInTheMidstOfAnEpoch) {
  const DataFolder folder;
  DataLoader::Options options = image_options(folder);
  options.threads = 4;
  options.drop_last = true;
  const auto loader = DataLoader::open(options);
  ASSERT_TRUE(loader);
  EXPECT_EQ(loader->size(), 10U);
  for (int round = 0; round < 50; ++round) {
    auto epoch = loader->epoch(0);
    for (int i = 0; i < round % 11; ++i) ASSERT_TRUE(*epoch.next());
  }
}

TEST(DataLoader, ThrowsInALoopAndReturnsOtherwise) {
  const DataFolder folder;
  DataLoader::Options options = image_options(folder);
  const auto loader = DataLoader::open(options);
  ASSERT_TRUE(loader);
  std::filesystem::resize_file(folder.path() / "x.idx", 100);
  EXPECT_THROW(batches_of(*loader, 0), DataError);
  auto epoch = loader->epoch(0);
  const auto first = epoch.next();
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, ErrorCode::conflict);
  EXPECT_FALSE(epoch.next());
}

TEST(Draw, DecidesWhatIsRandomByThePlaceInTrainingAlone) {
  const DataFolder folder;
  scheduler::DataSpec spec;
  spec.train = image_options(folder).source;
  spec.transforms = random_transforms();
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  const auto whole = floats_of(*data->make_batch(first_samples(6), Draw{9, 4, 1, 0}), "image");
  std::vector<float> halves;
  for (const std::uint64_t first : {0, 3}) {
    const std::vector<std::uint64_t> samples{first, first + 1, first + 2};
    const auto half = floats_of(*data->make_batch(samples, Draw{9, 4, 1, first}), "image");
    halves.insert(halves.end(), half.begin(), half.end());
  }
  EXPECT_EQ(halves, whole);
  EXPECT_NE(floats_of(*data->make_batch(first_samples(6), Draw{9, 4, 2, 0}), "image"), whole);
  EXPECT_NE(floats_of(*data->make_batch(first_samples(6), Draw{9, 5, 1, 0}), "image"), whole);
}

TEST(BytePairs, JoinsTheMostFrequentPairsAndEncodesBySameRules) {
  WordCounts counts;
  counts.add_text(
      "low low low low low lower lower newest newest newest newest newest newest widest widest widest");
  const BytePairs pairs = BytePairs::learn(counts, 40);
  ASSERT_GE(pairs.merges().size(), 3U);
  EXPECT_EQ(pairs.merges()[0], (std::pair<std::string, std::string>{"e", "s"}));
  EXPECT_EQ(pairs.merges()[1], (std::pair<std::string, std::string>{"es", "t"}));
  const BytePairs again(pairs.tokens(), pairs.merges());
  std::vector<std::int64_t> numbers;
  again.encode("Low, lowest Zebra", 100, numbers);
  std::string text;
  for (const std::int64_t number : numbers) text += pairs.tokens()[static_cast<std::size_t>(number)];
  EXPECT_TRUE(text.starts_with("▁low▁lowest<unknown>")) << text;
  again.encode("low lowest", 2, numbers);
  EXPECT_EQ(numbers.size(), 2U);
}

TEST(BytePairs, KeepsToItsLimitAndTakesLongWordsForUnknown) {
  WordCounts counts;
  counts.add_text("aa aa aa bb bb ab ab aabb aabb");
  EXPECT_EQ(BytePairs::learn(counts, 6).tokens().size(), 6U);
  EXPECT_EQ(BytePairs::learn(counts, 0).tokens().size(), 2U);
  std::vector<std::int64_t> numbers;
  BytePairs::learn(counts, 20).encode(std::string(100'000, 'a'), 10, numbers);
  EXPECT_EQ(numbers, (std::vector<std::int64_t>{1}));
}

}  // namespace
}  // namespace ds::data
