#include "actors/infer/tensor_bridge.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

namespace ds::infer {
namespace {

TEST(TensorBridge, CutsRowsThatThereAreAndNoOthers) {
  const at::Tensor whole = at::arange(12, at::kFloat).reshape({3, 4});
  const auto rows = slice(whole, "scores", 1, 2);
  EXPECT_EQ(rows.shape, (std::vector<std::int64_t>{2, 4}));
  EXPECT_EQ(static_cast<const void*>(rows.bytes.bytes().data()), whole.data_ptr<float>() + 4);
  EXPECT_EQ(rows.bytes.size(), 8 * sizeof(float));
  EXPECT_THROW(slice(whole, "scores", 2, 2), c10::Error);
  EXPECT_THROW(slice(whole, "scores", 0, 4), c10::Error);
  EXPECT_THROW(slice(at::zeros({}), "scores", 0, 1), c10::Error);
}

}  // namespace
}  // namespace ds::infer
