#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/train/models/gradient_sink.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace ds::train {
namespace {

TEST(GradientSink, HasZerosInPlaceBeforeItIsSettledWhereThereIsNoGradient) {
  const std::vector<TensorSlot> slots{{"first", {2}, 0, 2}, {"second", {3}, 2, 3}};
  std::vector<float> own(5, 9.0F), memory(5, 7.0F);
  GradientSink sink(slots, own);
  sink.move_to(memory);
  sink.add(1, at::Tensor());
  EXPECT_EQ(memory, (std::vector<float>{7, 7, 0, 0, 0})) << "who was told of it may read it";
  sink.add(1, at::full({3}, 2.0F));
  sink.add(1, at::Tensor());
  EXPECT_EQ(memory, (std::vector<float>{7, 7, 2, 2, 2}));
  sink.settle();
  EXPECT_EQ(memory, (std::vector<float>{0, 0, 2, 2, 2}));
  EXPECT_EQ(own, std::vector<float>(5, 9.0F));
  EXPECT_THROW(sink.add(0, at::zeros({3})), std::exception) << "a gradient of another size";
}

TEST(GradientSink, MeasuresWhatIsAddedNotWhatThereIsThenWhenItIsTold) {
  const std::vector<TensorSlot> slots{{"first", {2}, 0, 2}, {"second", {3}, 2, 3}};
  std::vector<float> own(5);
  GradientSink sink(slots, own);
  sink.add(0, at::full({2}, 5.0F));
  EXPECT_EQ(sink.take_squared_norm(), 0) << "nobody has asked";
  sink.measure(true);
  sink.add(1, at::full({3}, 2.0F));
  sink.add(0, at::full({2}, 1.0F));
  EXPECT_EQ(sink.take_squared_norm(), 14);
  sink.add(0, at::Tensor());
  sink.add(1, at::full({3}, 1.0F));
  EXPECT_EQ(sink.take_squared_norm(), 3);
  EXPECT_EQ(sink.take_squared_norm(), 0);
  EXPECT_EQ(std::vector<float>(sink.all().begin(), sink.all().end()), (std::vector<float>{6, 6, 3, 3, 3}));
  sink.measure(false);
  sink.add(0, at::full({2}, 1.0F));
  EXPECT_EQ(sink.take_squared_norm(), 0);
}

}  // namespace
}  // namespace ds::train
