#include "actors/train/safetensors.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

namespace ds::train {
namespace {

const std::vector<float> kOne{1, 2, 3, 4, 5, 6};
const std::vector<float> kTwo{-1};

TEST(Safetensors, HasAHeaderThatSaysWhereEachTensorLies) {
  const Buffer file = to_safetensors({{"b", {2, 3}, kOne}, {"a", {1}, kTwo}}, {{"format", "pt"}});
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, file.bytes().data(), 8);
  EXPECT_EQ(header_size % 8, 0U);
  ASSERT_EQ(file.size(), 8 + header_size + 7 * 4);
  const auto header = nlohmann::json::parse(file.text().substr(8, header_size));
  EXPECT_EQ(header["__metadata__"]["format"], "pt");
  EXPECT_EQ(header["a"], (nlohmann::json{{"dtype", "F32"}, {"shape", {1}}, {"data_offsets", {0, 4}}}));
  EXPECT_EQ(header["b"], (nlohmann::json{{"dtype", "F32"}, {"shape", {2, 3}}, {"data_offsets", {4, 28}}}));
  std::vector<float> values(7);
  std::memcpy(values.data(), file.bytes().data() + 8 + header_size, 28);
  EXPECT_EQ(values, (std::vector<float>{-1, 1, 2, 3, 4, 5, 6}));
}

TEST(Safetensors, GivesEqualBytesWhateverTheOrderOfTheTensors) {
  EXPECT_EQ(to_safetensors({{"b", {2, 3}, kOne}, {"a", {1}, kTwo}}, {}),
            to_safetensors({{"a", {1}, kTwo}, {"b", {2, 3}, kOne}}, {}));
}

TEST(Safetensors, HoldsTensorsWithoutElements) {
  EXPECT_NO_THROW(to_safetensors({{"empty", {0, 4}, {}}}, {}));
}

}  // namespace
}  // namespace ds::train
