#include "actors/serving/tensor.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace ds::serving {
namespace {

TEST(Datatypes, HaveTheNamesAndSizesOfTheProtocol) {
  EXPECT_EQ(to_string(Datatype::boolean), "BOOL");
  EXPECT_EQ(to_string(Datatype::bytes), "BYTES");
  EXPECT_EQ(size_of(Datatype::bf16), 2U);
  EXPECT_EQ(size_of(Datatype::int64), 8U);
  EXPECT_EQ(size_of(Datatype::bytes), 0U);
  for (int type = 0; type <= static_cast<int>(Datatype::bytes); ++type)
    EXPECT_EQ(datatype_from(to_string(static_cast<Datatype>(type))), static_cast<Datatype>(type));
  EXPECT_EQ(datatype_from("fp32"), std::nullopt);
}

TEST(Shapes, ThatOverflowHaveNoCount) {
  using Shape = std::vector<std::int64_t>;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(count_elements(Shape{}), 1U);
  EXPECT_EQ(count_elements(Shape{2, 3}), 6U);
  EXPECT_EQ(count_elements(Shape{kMost, 0}), 0U);
  EXPECT_EQ(count_elements(Shape{kMost}), static_cast<std::uint64_t>(kMost));
  EXPECT_EQ(count_elements(Shape{kMost, 2}), std::nullopt);
  EXPECT_EQ(count_elements(Shape{1LL << 32, 1LL << 32}), std::nullopt);
  EXPECT_EQ(count_elements(Shape{2, -1}), std::nullopt);
}

}  // namespace
}  // namespace ds::serving
