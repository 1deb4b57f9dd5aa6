#include "actors/data/transform.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "array_files.hpp"
#include "files.hpp"

namespace ds::data {
namespace {

using scheduler::Crop;
using scheduler::DataSpec;
using scheduler::ElasticDeform;
using scheduler::Flip;
using scheduler::Noise;
using scheduler::Normalize;
using scheduler::OneHot;
using scheduler::Resize;
using scheduler::Rotate;
using scheduler::TransformSpec;

/// An image (or volume) and a mask of the same extents, through transforms.
struct Changed {
  std::vector<float> image;
  std::vector<std::int64_t> mask;
  std::vector<std::int64_t> image_shape, mask_shape;
};

Changed change(const std::vector<std::int64_t>& shape, const std::vector<float>& image,
               const std::vector<TransformSpec>& specs, const RandomStream* random = nullptr) {
  std::vector<std::int64_t> spatial(shape.begin() + 1, shape.end());
  std::vector<FieldPlan> plans{{"image", Form::numbers, shape}, {"label", Form::whole, spatial}};
  const auto transforms = make_transforms(specs, {}, plans);
  if (!transforms) {
    ADD_FAILURE() << transforms.error().message;
    return {};
  }
  Sample sample;
  sample.fields.resize(2);
  sample.fields[0].shape = shape;
  sample.fields[0].numbers = image;
  sample.fields[1].form = Form::whole;
  sample.fields[1].shape = spatial;
  for (std::size_t i = 0; i < sample.fields[1].count(); ++i)
    sample.fields[1].whole.push_back(static_cast<std::int64_t>(image[i]));
  for (const auto& transform : *transforms) EXPECT_TRUE(transform->apply(sample, random));
  EXPECT_EQ(sample.fields[0].shape, plans[0].shape);
  EXPECT_EQ(sample.fields[1].shape, plans[1].shape);
  return {sample.fields[0].numbers, sample.fields[1].whole, sample.fields[0].shape, sample.fields[1].shape};
}

const RandomStream kRandom(7, Stream::transform, {1, 2, 3});

TEST(Resize, MixesNeighboursAndTakesTheNearestLabel) {
  auto out = change({1, 1, 2}, {0, 4}, {{Resize{{1, 4}}, ""}});
  EXPECT_EQ(out.image, (std::vector<float>{0, 1, 3, 4}));
  EXPECT_EQ(out.mask, (std::vector<std::int64_t>{0, 0, 4, 4}));
  // Shrinking weighs all that lies under the new pixel.
  out = change({1, 1, 4}, {0, 4, 8, 12}, {{Resize{{1, 2}}, ""}});
  EXPECT_FLOAT_EQ(out.image[0], (3 * 0 + 3 * 4 + 1 * 8) / 7.0F);
  EXPECT_FLOAT_EQ(out.image[1], (1 * 4 + 3 * 8 + 3 * 12) / 7.0F);
  EXPECT_EQ(out.mask, (std::vector<std::int64_t>{4, 12}));
}

TEST(Resize, WorksAlongEveryAxisOfAVolume) {
  const Changed out = change({1, 2, 1, 1}, {0, 4}, {{Resize{{4, 2, 1}}, ""}});
  EXPECT_EQ(out.image, (std::vector<float>{0, 0, 1, 1, 3, 3, 4, 4}));
  EXPECT_EQ(out.mask, (std::vector<std::int64_t>{0, 0, 0, 0, 4, 4, 4, 4}));
}

TEST(Resize, GivesPixelsAndNumbersTheSame) {
  Value pixels;
  pixels.shape = {3, 5, 4};
  pixels.has_pixels = true;
  for (int i = 0; i < 60; ++i) pixels.pixels.push_back(static_cast<std::uint8_t>(i * 41 % 256));
  Sample a, b;
  a.fields = {pixels};
  b.fields = {pixels};
  b.fields[0].to_numbers();
  std::vector<FieldPlan> plans{{"image", Form::numbers, {3, 5, 4}}};
  const std::vector<TransformSpec> specs{{Resize{{3, 7}}, ""}};
  const auto transforms = make_transforms(specs, {}, plans);
  ASSERT_TRUE(transforms);
  ASSERT_TRUE((*transforms)[0]->apply(a, nullptr));
  ASSERT_TRUE((*transforms)[0]->apply(b, nullptr));
  ASSERT_EQ(a.fields[0].numbers.size(), 63U);
  for (std::size_t i = 0; i < 63; ++i) EXPECT_NEAR(a.fields[0].numbers[i], b.fields[0].numbers[i], 1e-5);
}

TEST(Crop, TakesTheMiddleAndPadsWhatIsSmaller) {
  EXPECT_EQ(change({1, 1, 5}, {1, 2, 3, 4, 5}, {{Crop{{1, 3}, 0, true}, ""}}).image,
            (std::vector<float>{2, 3, 4}));
  const Changed out = change({1, 1, 2}, {1, 2}, {{Crop{{3, 5}, 0, false}, ""}});
  EXPECT_EQ(out.image, (std::vector<float>{0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(out.mask, (std::vector<std::int64_t>{0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0}));
}

TEST(Crop, TakesEveryWindowOfThePaddedImageAtRandom) {
  std::set<std::vector<float>> seen;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const RandomStream random(i, Stream::transform, {});
    const Changed out = change({1, 1, 3}, {1, 2, 3}, {{Crop{{1, 3}, 1, true}, ""}}, &random);
    EXPECT_EQ(std::vector<std::int64_t>(out.image.begin(), out.image.end()), out.mask);
    seen.insert(out.image);
  }
  // Rows above and below are all zeros.
  EXPECT_EQ(seen, (std::set<std::vector<float>>{{0, 0, 0}, {0, 1, 2}, {1, 2, 3}, {2, 3, 0}}));
}

TEST(Flip, ReversesAxesOfImageAndMask) {
  const std::vector<float> cube{1, 2, 3, 4, 5, 6, 7, 8};
  const auto flip = [&](std::vector<std::string> axes) {
    const Changed out = change({1, 2, 2, 2}, cube, {{Flip{std::move(axes), 1.0}, ""}}, &kRandom);
    EXPECT_EQ(std::vector<std::int64_t>(out.image.begin(), out.image.end()), out.mask);
    return out.image;
  };
  EXPECT_EQ(flip({"horizontal"}), (std::vector<float>{2, 1, 4, 3, 6, 5, 8, 7}));
  EXPECT_EQ(flip({"vertical"}), (std::vector<float>{3, 4, 1, 2, 7, 8, 5, 6}));
  EXPECT_EQ(flip({"depth"}), (std::vector<float>{5, 6, 7, 8, 1, 2, 3, 4}));
  EXPECT_EQ(change({1, 2, 2, 2}, cube, {{Flip{{"depth"}, 1.0}, ""}}).image, cube);  // not while validating
  std::size_t flipped = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const RandomStream random(i, Stream::transform, {});
    flipped += change({1, 1, 2}, {1, 2}, {{Flip{{"horizontal"}, 0.25}, ""}}, &random).image[0] == 2 ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(flipped), 250, 60);
}

TEST(Rotate, TurnsByAtMostItsDegrees) {
  std::vector<float> image(81, 0);
  image[4 * 9 + 8] = 9;  // right of the middle
  for (std::uint64_t i = 0; i < 50; ++i) {
    const RandomStream random(i, Stream::transform, {});
    const Changed out = change({1, 9, 9}, image, {{Rotate{15}, ""}}, &random);
    double sum = 0, y = 0;
    for (std::size_t k = 0; k < 81; ++k) {
      sum += static_cast<double>(out.image[k]);
      y += static_cast<double>(out.image[k]) * (static_cast<double>(k / 9) - 4);
    }
    ASSERT_GT(sum, 0);
    EXPECT_LE(std::abs(y / sum), 4 * std::sin(15 * 3.1416 / 180) + 0.5) << i;
  }
  const Changed still = change({1, 9, 9}, image, {{Rotate{0}, ""}}, &kRandom);
  EXPECT_EQ(still.image, image);
}

TEST(ElasticDeform, MovesSmoothlyInTwoAndThreeDimensions) {
  // Of a ramp, what was moved can be read off each pixel.
  std::vector<float> ramp(2 * 16 * 16);
  for (std::size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<float>(i % 16);
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{2, 16, 16}, {1, 2, 16, 16}}) {
    const Changed out = change(shape, ramp, {{ElasticDeform{30, 3}, ""}}, &kRandom);
    double largest = 0, roughest = 0;
    for (std::size_t i = 16; i < 256; ++i) {
      if (i % 16 < 4 || i % 16 > 11) continue;
      const double moved = static_cast<double>(out.image[i]) - static_cast<double>(ramp[i]);
      largest = std::max(largest, std::abs(moved));
      roughest = std::max(roughest, std::abs(static_cast<double>(out.image[i] - out.image[i - 16])));
    }
    EXPECT_GT(largest, 0.2);
    EXPECT_LT(largest, 6);
    EXPECT_LT(roughest, 1.5);
    EXPECT_EQ(out.image, change(shape, ramp, {{ElasticDeform{30, 3}, ""}}, &kRandom).image);
  }
  EXPECT_EQ(change({1, 2, 2}, {1, 2, 3, 4}, {{ElasticDeform{0, 1}, ""}}, &kRandom).image,
            (std::vector<float>{1, 2, 3, 4}));
}

TEST(Noise, HasTheDeviationAskedFor) {
  const Changed out = change({1, 100, 101}, std::vector<float>(10100, 0), {{Noise{0.5}, ""}}, &kRandom);
  double sum = 0, squares = 0;
  for (const float number : out.image) {
    sum += static_cast<double>(number);
    squares += static_cast<double>(number) * static_cast<double>(number);
  }
  EXPECT_NEAR(sum / 10100, 0, 0.02);
  EXPECT_NEAR(std::sqrt(squares / 10100), 0.5, 0.02);
}

TEST(Normalize, TakesGivenOrTheSamplesOwnFigures) {
  EXPECT_EQ(change({2, 1, 2}, {1, 2, 3, 4}, {{Normalize{{1, 2}, {1, 0.5}, false}, ""}}).image,
            (std::vector<float>{0, 1, 2, 4}));
  EXPECT_EQ(change({2, 1, 2}, {1, 2, 3, 4}, {{Normalize{{1}, {2}, false}, ""}}).image,
            (std::vector<float>{0, 0.5, 1, 1.5}));
  const Changed own = change({1, 1, 4}, {1, 1, 3, 3}, {{Normalize{{}, {}, true}, ""}});
  EXPECT_EQ(own.image, (std::vector<float>{-1, -1, 1, 1}));
  EXPECT_EQ(change({1, 1, 2}, {5, 5}, {{Normalize{{}, {}, true}, ""}}).image, (std::vector<float>{0, 0}));
}

/// Bytes take other ways through flip, crop and normalize than numbers do.
TEST(Transforms, GivePixelsTheBitsThatNumbersGet) {
  for (const std::int64_t channels : {1, 3}) {
    const std::vector<double> mean(static_cast<std::size_t>(channels), 0.1307);
    const std::vector<double> deviation(static_cast<std::size_t>(channels), 0.3081);
    for (std::int64_t width = 1; width <= 40; ++width) {
      const std::int64_t height = 1 + width % 7;
      const auto size =
          std::vector<std::uint32_t>{static_cast<std::uint32_t>(height), static_cast<std::uint32_t>(width)};
      std::vector<FieldPlan> plans{{"image", Form::numbers, {channels, height, width}}};
      const auto transforms =
          make_transforms(std::vector<TransformSpec>{{Flip{{"horizontal", "vertical"}}, ""},
                                                     {Crop{size, 2, true}, ""},
                                                     {Normalize{mean, deviation, false}, ""}},
                          {}, plans);
      ASSERT_TRUE(transforms) << transforms.error().message;
      Sample as_pixels, as_numbers;
      for (std::uint64_t draw = 0; draw < 12; ++draw) {
        for (Sample* sample : {&as_pixels, &as_numbers}) {
          sample->fields.resize(1);
          Value& image = sample->fields[0];
          image.shape = {channels, height, width};
          image.pixels.resize(image.count());
          for (std::size_t i = 0; i < image.pixels.size(); ++i)
            image.pixels[i] = static_cast<std::uint8_t>((i * 37 + draw * 11) % 256);
          image.has_pixels = true;
          if (sample == &as_numbers) image.to_numbers();
          const RandomStream random(5, Stream::transform, {draw});
          for (const auto& transform : *transforms) ASSERT_TRUE(transform->apply(*sample, &random));
        }
        ASSERT_EQ(as_pixels.fields[0].numbers, as_numbers.fields[0].numbers)
            << channels << " channels, width " << width << ", draw " << draw;
      }
    }
  }
}

TEST(OneHot, MarksTheClass) {
  const DataFolder folder;
  DataSpec spec;
  spec.train = {.paths = {folder.write("a.csv", "x,y\n1,b\n2,a\n3,c\n")},
                .columns = {{"features", {"x"}}, {"label", {"y"}}}};
  spec.transforms = {transform(OneHot{})};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(floats_of(whole_batch(*data), "label"), (std::vector<float>{0, 1, 0, 1, 0, 0, 0, 0, 1}));
  EXPECT_EQ(data->fields().back(), (FieldShape{"label", Element::float32, {3}}));
}

TEST(Transforms, SayWhatDoesNotFit) {
  const auto error = [](std::vector<FieldPlan> plans, TransformSpec spec) {
    const std::vector<TransformSpec> specs{std::move(spec)};
    const auto made = make_transforms(specs, {}, plans);
    return made ? "no error" : made.error().message;
  };
  const FieldPlan image{"image", Form::numbers, {3, 8, 8}};
  const FieldPlan text{"text", Form::text, {}};
  EXPECT_EQ(error({image}, {Resize{{4}}, ""}), "data.transforms[0]: resize: 1 sizes for 2 dimensions");
  EXPECT_EQ(error({image}, {Crop{{4, 4, 4}}, ""}), "data.transforms[0]: crop: 3 sizes for 2 dimensions");
  EXPECT_EQ(error({image}, {Flip{{"depth"}}, ""}), "data.transforms[0]: flip: an image has no depth");
  EXPECT_EQ(error({image}, {Normalize{{1, 2}, {1}}, ""}),
            "data.transforms[0]: 2 means and 1 deviations for the 3 channels of \"image\"");
  EXPECT_EQ(error({text}, {Noise{}, "text"}),
            "data.transforms[0]: the field \"text\" holds text, not numbers");
  EXPECT_EQ(error({text}, {Noise{}, "txt"}), "data.transforms[0]: there is no field \"txt\"");
  EXPECT_EQ(error({image}, {OneHot{}, ""}), "data.transforms[0]: none of the fields label is there");
}

/// Adds one to every number, as somebody's own transform.
class AddOne final : public Transform {
 public:
  Result<void> plan(std::vector<FieldPlan>&) override { return {}; }
  Result<void> apply(Sample& sample, const RandomStream*) const override {
    for (float& number : sample.fields[0].numbers) ++number;
    return {};
  }
};

TEST(Transforms, CanBeOnesOwn) {
  const DataFolder folder;
  DataSpec spec;
  spec.train = {.paths = {folder.write("x.npy", make_npy("<f4", "(2, 1)", raw_bytes<float>({1, 2})))}};
  DatasetOptions options;
  options.further = {std::make_shared<AddOne>()};
  EXPECT_EQ(floats_of(whole_batch(*open_or_fail(spec, options)), "features"), (std::vector<float>{2, 3}));
}

}  // namespace
}  // namespace ds::data
