// Requests of unlike lengths: what they are padded with and to, what is taken off answers, and what is
// refused.
#include "actors/serving/padding.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "actors/serving/answer_difference.hpp"
#include "actors/serving/model_metadata.hpp"

namespace ds::serving {
namespace {

template <class Number>
Tensor tensor_of(const std::string& name, Datatype type, std::vector<std::int64_t> shape,
                 const std::vector<Number>& numbers) {
  return {name, type, std::move(shape), Buffer::copy_of(std::as_bytes(std::span(numbers)))};
}

template <class Number>
std::vector<Number> numbers_in(const Tensor& tensor) {
  std::vector<Number> numbers(tensor.bytes.size() / sizeof(Number));
  if (!numbers.empty()) std::memcpy(numbers.data(), tensor.bytes.bytes().data(), tensor.bytes.size());
  return numbers;
}

/// Tokens and their mask of any length, and a number for each row.
const std::vector<TensorSpec> kInputs{{"scale", Datatype::fp32, {-1, 1}},
                                      {"tokens", Datatype::int64, {-1, -1}},
                                      {"mask", Datatype::boolean, {-1, -1}}};
const std::vector<TensorSpec> kOutputs{{"score", Datatype::fp32, {-1, 2}},
                                       {"tags", Datatype::fp32, {-1, -1, 3}}};

Padding planned(const PaddingWish& wish) {
  const auto padding = plan_padding(wish, kInputs, kOutputs);
  EXPECT_TRUE(padding) << padding.error().message;
  return padding.value_or(Padding{});
}

std::vector<Tensor> request_of(std::int64_t length, std::int64_t rows = 1) {
  const auto elements = static_cast<std::size_t>(length * rows);
  return {tensor_of<float>("scale", Datatype::fp32, {rows, 1},
                           std::vector<float>(static_cast<std::size_t>(rows), 2)),
          tensor_of<std::int64_t>("tokens", Datatype::int64, {rows, length},
                                  std::vector<std::int64_t>(elements, 7)),
          tensor_of<std::uint8_t>("mask", Datatype::boolean, {rows, length},
                                  std::vector<std::uint8_t>(elements, 1))};
}

std::string fault_of(const PaddingWish& wish, const std::vector<TensorSpec>& inputs = kInputs) {
  const auto padding = plan_padding(wish, inputs, kOutputs);
  return padding ? "none" : padding.error().message;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Padding, IsOfEveryInputWithOneVariableSizeBesidesTheBatch) {
  const Padding padding = planned({{{4, 8}}, 0, {{"tokens", -1}}, {"tags"}});
  EXPECT_EQ(padding.inputs, (std::vector<Padding::Input>{{1, {1}, -1}, {2, {1}, 0}}));
  EXPECT_EQ(padding.outputs, (std::vector<Padding::Output>{{1, {}, {}}}));
  EXPECT_TRUE(has(fault_of({{{4}}, 2, {}, {}}), "2 is no BOOL, which input mask has"));
  EXPECT_TRUE(has(fault_of({{{4}}, 0.5, {{"mask", 0}}, {}}), "0.5 is no INT64, which input tokens has"));
  EXPECT_TRUE(has(fault_of({{{4}}, 0, {{"scale", 0}}, {}}), "no input scale of a variable size"));
  EXPECT_TRUE(has(fault_of({{{4}}, 0, {}, {"label"}}), "the model has no output label"));
  EXPECT_TRUE(has(fault_of({{{4}}, 0, {}, {}}, {{"x", Datatype::fp32, {-1, 3}}}), "no input of the model"));
  EXPECT_TRUE(has(fault_of({{{4}}, 0, {}, {}}, {{"x", Datatype::fp32, {-1, -1, -1}}}), "2 variable sizes"));
}

/// Images of any height and width, a mask of the same, and weights of each line.
const std::vector<TensorSpec> kImages{{"image", Datatype::fp32, {-1, -1, -1, 3}},
                                      {"mask", Datatype::boolean, {-1, -1, -1}},
                                      {"lines", Datatype::fp32, {-1, -1}}};

std::vector<Tensor> image_of(std::int64_t height, std::int64_t width) {
  const auto points = static_cast<std::size_t>(height * width);
  return {tensor_of<float>("image", Datatype::fp32, {1, height, width, 3}, std::vector<float>(points * 3, 5)),
          tensor_of<std::uint8_t>("mask", Datatype::boolean, {1, height, width},
                                  std::vector<std::uint8_t>(points, 1)),
          tensor_of<float>("lines", Datatype::fp32, {1, height},
                           std::vector<float>(static_cast<std::size_t>(height), 2))};
}

TEST(Padding, HasAListOfBucketsForEachVariableSize) {
  const auto padding = plan_padding({{{4, 8}, {2, 3}}, 0, {}, {}}, kImages, kOutputs);
  ASSERT_TRUE(padding) << padding.error().message;
  EXPECT_EQ(padding->inputs, (std::vector<Padding::Input>{{0, {1, 2}, 0}, {1, {1, 2}, 0}, {2, {1}, 0}}));
  const auto shapes_of = [](const std::vector<Tensor>& request) {
    std::vector<std::vector<std::int64_t>> shapes;
    for (const Tensor& input : request) shapes.push_back(input.shape);
    return shapes;
  };
  auto request = image_of(5, 1);
  EXPECT_EQ(lengths_of(*padding, request), (std::vector<std::int64_t>{5, 1}));
  EXPECT_EQ(pad_inputs(*padding, request), (PaddedElements{15 + 5 + 5, 33 + 11 + 3}));
  EXPECT_EQ(shapes_of(request), (std::vector<std::vector<std::int64_t>>{{1, 8, 2, 3}, {1, 8, 2}, {1, 8}}));
  EXPECT_EQ(numbers_in<std::uint8_t>(request[1]),
            (std::vector<std::uint8_t>{1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0}));
  const auto key = [&padding](std::int64_t height, std::int64_t width) {
    const auto made = image_of(height, width);
    std::vector<std::span<const std::int64_t>> shapes;
    for (const Tensor& input : made) shapes.emplace_back(input.shape);
    return shape_key(shapes, &*padding);
  };
  EXPECT_EQ(key(1, 1), key(4, 2));
  EXPECT_NE(key(4, 2), key(5, 2));
  EXPECT_NE(key(4, 2), key(4, 3)) << "these are two buckets of the second size, and one of the first";
}

TEST(Padding, OfSeveralSizesIsTakenOffWhereItCameFrom) {
  Padding padding{{{4}, {3}}, {}, {{0, {1, 2}, {1, 0}}}};
  std::vector<std::int64_t> numbers(12);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int64_t>(i);
  std::vector<Tensor> answer{tensor_of("turned", Datatype::int64, {1, 3, 4}, numbers)};
  cut_outputs(padding, std::vector<std::int64_t>{3, 2}, answer);
  EXPECT_EQ(answer[0].shape, (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(numbers_in<std::int64_t>(answer[0]), (std::vector<std::int64_t>{0, 1, 2, 4, 5, 6}));
}

TEST(Padding, RefusesBucketsThatCanNotBeRight) {
  const auto fault = [](std::vector<Buckets> buckets, const std::vector<TensorSpec>& inputs = kImages) {
    return fault_of({std::move(buckets), 0, {}, {}}, inputs);
  };
  EXPECT_EQ(fault({{4, 8}, {2}}), "none");
  EXPECT_TRUE(has(fault({}), "there are none"));
  EXPECT_TRUE(has(fault({{4}, {}}), "lengths are from 1 and ascend: []"));
  EXPECT_TRUE(has(fault({{4}, {0, 1}}), "lengths are from 1 and ascend: [0, 1]"));
  EXPECT_TRUE(has(fault({{4, 4}, {2}}), "lengths are from 1 and ascend: [4, 4]"));
  EXPECT_TRUE(has(fault({{4}}), "input image has 2 variable sizes besides the batch, and there are 1 lists"));
  EXPECT_TRUE(
      has(fault({{4}, {4}}, kInputs), "there are 2 lists, and no input has more than 1 variable sizes"));
  EXPECT_TRUE(has(fault({{4096}, {4096}}), "one row of input image would have more than 67108864 bytes"));
  Buckets many(9);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::int64_t>(i + 1);
  EXPECT_TRUE(has(fault({many, many}), "more than 64 shapes"));
}

TEST(Padding, OfSeveralSizesRefusesRequestsThatNoBucketHoldsOrThatAreNotEquallyLong) {
  const auto padding = plan_padding({{{4, 8}, {2}}, 0, {}, {}}, kImages, kOutputs);
  ASSERT_TRUE(padding) << padding.error().message;
  const auto fault = [&](const std::vector<Tensor>& given) {
    const auto fits = check_lengths(*padding, kImages, given);
    return fits ? "none" : fits.error().message;
  };
  EXPECT_EQ(fault(image_of(8, 2)), "none");
  EXPECT_TRUE(has(fault(image_of(9, 2)), "'image' has the length 9 in dimension 1, and 8 is the longest"));
  EXPECT_TRUE(has(fault(image_of(8, 3)), "'image' has the length 3 in dimension 2, and 2 is the longest"));
  EXPECT_TRUE(has(fault(image_of(8, 0)), "its length is 0 in dimension 2"));
  auto unlike = image_of(4, 2);
  unlike[1] = image_of(4, 1)[1];
  EXPECT_TRUE(has(fault(unlike), "'image' and 'mask' have the lengths 2 and 1"));
  unlike = image_of(4, 2);
  unlike[2] = image_of(3, 2)[2];
  EXPECT_TRUE(has(fault(unlike), "'image' and 'lines' have the lengths 4 and 3"));
}

TEST(Padding, GoesToTheSmallestBucketThatHoldsTheLength) {
  const std::vector<std::int64_t> buckets{4, 8, 16};
  EXPECT_EQ(bucket_of(buckets, 1), 4);
  EXPECT_EQ(bucket_of(buckets, 4), 4);
  EXPECT_EQ(bucket_of(buckets, 5), 8);
  EXPECT_EQ(bucket_of(buckets, 16), 16);
  EXPECT_EQ(bucket_of(buckets, 17), 0);
}

TEST(Padding, LetsRequestsOfOneBucketShareABatchAndNoOthers) {
  const Padding padding = planned({{{4, 8}}, 0, {}, {}});
  const auto key = [&padding](std::int64_t length, std::int64_t rows, bool is_padded = true) {
    const auto request = request_of(length, rows);
    std::vector<std::span<const std::int64_t>> shapes;
    for (const Tensor& input : request) shapes.emplace_back(input.shape);
    return shape_key(shapes, is_padded ? &padding : nullptr);
  };
  EXPECT_EQ(key(1, 1), key(4, 3));
  EXPECT_EQ(key(5, 1), key(8, 1));
  EXPECT_NE(key(4, 1), key(5, 1));
  EXPECT_NE(key(1, 1, false), key(4, 1, false)) << "without padding shapes are what they are";
  EXPECT_EQ(key(4, 1), key(4, 1, false)) << "of a bucket's own length it is the same";
}

TEST(Padding, StandsBehindEachRowAndIsCounted) {
  const Padding padding = planned({{{4, 8}}, 0, {{"tokens", -1}}, {}});
  auto inputs = request_of(3, 2);
  EXPECT_EQ(lengths_of(padding, inputs), (std::vector<std::int64_t>{3}));
  EXPECT_EQ(pad_inputs(padding, inputs), (PaddedElements{12, 4}));
  EXPECT_EQ(inputs[0], request_of(3, 2)[0]) << "it has no variable size";
  EXPECT_EQ(inputs[1].shape, (std::vector<std::int64_t>{2, 4}));
  EXPECT_EQ(numbers_in<std::int64_t>(inputs[1]), (std::vector<std::int64_t>{7, 7, 7, -1, 7, 7, 7, -1}));
  EXPECT_EQ(numbers_in<std::uint8_t>(inputs[2]), (std::vector<std::uint8_t>{1, 1, 1, 0, 1, 1, 1, 0}));
  auto whole = request_of(8);
  EXPECT_EQ(pad_inputs(padding, whole), (PaddedElements{16, 0}));
  EXPECT_EQ(whole, request_of(8));
}

TEST(Padding, IsTakenOffAnswersAlongEveryDimensionThatCarriesIt) {
  Padding padding = planned({{{4}}, 0, {}, {"tags"}});
  padding.outputs.front().dimensions = {1, 2};
  padding.outputs.front().lengths = {0, 0};
  std::vector<float> numbers(16);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  std::vector<Tensor> answer{tensor_of<float>("score", Datatype::fp32, {1, 2}, {1, 2}),
                             tensor_of<float>("tags", Datatype::fp32, {1, 4, 4}, numbers)};
  cut_outputs(padding, std::vector<std::int64_t>{2}, answer);
  EXPECT_EQ(answer[0].shape, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(answer[1].shape, (std::vector<std::int64_t>{1, 2, 2}));
  EXPECT_EQ(numbers_in<float>(answer[1]), (std::vector<float>{0, 1, 4, 5}));
}

TEST(Padding, ThatIsCutGivesBackWhatWasPaddedWhateverTheShape) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 500; ++i) {
    std::vector<std::int64_t> shape;
    for (int d = 0; d < 4; ++d) shape.push_back(static_cast<std::int64_t>(random() % 4) + 1);
    const std::size_t dimension = 1 + random() % 3;
    std::vector<std::uint16_t> numbers(*count_elements(shape));
    for (auto& number : numbers) number = static_cast<std::uint16_t>(random());
    const Tensor tensor = tensor_of("x", Datatype::uint16, shape, numbers);
    const auto length = shape[dimension] + static_cast<std::int64_t>(random() % 5);
    const Tensor padded = pad(tensor, dimension, length, 9);
    const auto count = static_cast<std::uint64_t>(std::ranges::count(numbers, 9));
    const auto all = numbers_in<std::uint16_t>(padded);
    ASSERT_EQ(all.size(), *count_elements(padded.shape));
    ASSERT_EQ(static_cast<std::uint64_t>(std::ranges::count(all, 9)), all.size() - numbers.size() + count);
    ASSERT_EQ(cut(padded, dimension, shape[dimension]), tensor);
  }
}

TEST(Padding, RefusesWhatNoBucketHolds) {
  ModelMetadata model;
  model.name = "m";
  model.max_batch_size = 4;
  model.inputs = kInputs;
  model.outputs = kOutputs;
  model.padding = planned({{{4, 8}}, 0, {}, {}});
  const auto fault = [&model](std::vector<Tensor> inputs) {
    InferenceRequest request;
    request.inputs = std::move(inputs);
    const auto rows = check_inputs(model, request);
    return rows ? "none" : rows.error().message;
  };
  EXPECT_EQ(fault(request_of(8, 4)), "none");
  EXPECT_TRUE(has(fault(request_of(9)), "'tokens' has the length 9, and 8 is the longest"))
      << fault(request_of(9));
  EXPECT_TRUE(has(fault(request_of(0)), "its length is 0"));
  auto unlike = request_of(2);
  unlike[2] = request_of(3)[2];
  EXPECT_TRUE(has(fault(unlike), "lengths 2 and 3")) << "padded to one bucket, a model would take them";
  model.padding->buckets = {{std::int64_t{1} << 40}};
  EXPECT_TRUE(has(fault(request_of(2)), "once it is padded to [1,1099511627776]"));
}

TEST(Padding, HasElementsOfEveryTypeThatHasTheValue) {
  const auto first = [](Datatype type, double value) {
    const auto element = element_of(type, value);
    return element ? static_cast<int>((*element)[0]) + 256 * static_cast<int>((*element)[1]) : -1;
  };
  EXPECT_EQ(first(Datatype::int8, -1), 0xff);
  EXPECT_EQ(first(Datatype::int8, 128), -1);
  EXPECT_EQ(first(Datatype::uint8, 255), 255);
  EXPECT_EQ(first(Datatype::uint8, -1), -1);
  EXPECT_EQ(first(Datatype::uint64, 18'446'744'073'709'551'616.0), -1);
  EXPECT_EQ(first(Datatype::int64, -9'223'372'036'854'775'808.0), 0);
  EXPECT_EQ(first(Datatype::fp16, 1), 0x3c00);
  EXPECT_EQ(first(Datatype::fp16, 1e6), -1);
  EXPECT_EQ(first(Datatype::bf16, 1), 0x3f80);
  EXPECT_EQ(first(Datatype::fp32, 1e300), -1);
  EXPECT_EQ(first(Datatype::fp64, std::nan("")), -1);
  EXPECT_EQ(first(Datatype::bytes, 0), -1);
}

TEST(AnswerDifference, IsRelativeToTheLargestNumberAndForgivesWhatIsNoneInBoth) {
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN(),
                  kInfinite = std::numeric_limits<float>::infinity();
  const auto floats = [](const std::vector<float>& numbers) {
    return tensor_of<float>("y", Datatype::fp32, {1, static_cast<std::int64_t>(numbers.size())}, numbers);
  };
  EXPECT_EQ(answer_difference(floats({1, 200}), floats({1, 200})), 0);
  EXPECT_DOUBLE_EQ(answer_difference(floats({1, 200}), floats({3, 200})), 0.01);
  EXPECT_EQ(answer_difference(floats({kNone, kInfinite}), floats({kNone, kInfinite})), 0);
  EXPECT_TRUE(std::isinf(answer_difference(floats({1, 2}), floats({1, kNone}))));
  EXPECT_TRUE(std::isinf(answer_difference(floats({1}), floats({1, 2})))) << "of other shapes";
  const auto whole = [](std::int64_t number) {
    return tensor_of<std::int64_t>("y", Datatype::int64, {1}, {number});
  };
  EXPECT_EQ(answer_difference(whole(7), whole(7)), 0);
  EXPECT_TRUE(std::isinf(answer_difference(whole(7), whole(8))));
}

}  // namespace
}  // namespace ds::serving
