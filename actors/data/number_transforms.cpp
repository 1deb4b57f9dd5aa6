#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numbers>

#include "actors/data/transform.hpp"

namespace ds::data {
namespace {

constexpr std::array<std::string_view, 2> kNumberFields{"image", "features"};
constexpr std::array<std::string_view, 1> kLabelField{"label"};

/// Mean and deviation of all numbers, in double and always in the same order.
void standardize(std::vector<float>& numbers) {
  std::array<double, 4> sums{};
  for (std::size_t i = 0; i < numbers.size(); ++i) sums[i % 4] += static_cast<double>(numbers[i]);
  const auto count = static_cast<double>(numbers.size());
  const double mean = ((sums[0] + sums[1]) + (sums[2] + sums[3])) / count;
  sums = {};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const double distance = static_cast<double>(numbers[i]) - mean;
    sums[i % 4] += distance * distance;
  }
  const double deviation = std::sqrt(((sums[0] + sums[1]) + (sums[2] + sums[3])) / count);
  const auto shift = static_cast<float>(mean);
  const auto scale = static_cast<float>(deviation > 0 ? 1 / deviation : 1);
  for (float& number : numbers) number = (number - shift) * scale;
}

class NormalizeNumbers final : public Transform {
 public:
  NormalizeNumbers(const scheduler::Normalize& spec, std::string field)
      : name_(std::move(field)), spec_(spec) {}

  Result<void> plan(std::vector<FieldPlan>& fields) override {
    const auto found = find_field(fields, name_, kNumberFields, Form::numbers);
    if (!found) return tl::unexpected(found.error());
    field_ = *found;
    if (spec_.per_sample) return {};
    const std::size_t means = spec_.mean.size();
    const std::size_t deviations = spec_.deviation.size();
    const std::int64_t channels = fields[field_].shape.empty() ? 1 : fields[field_].shape[0];
    const auto fits = [&](std::size_t given) {
      return given == 1 || static_cast<std::int64_t>(given) == channels;
    };
    if (!fits(means) || !fits(deviations))
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{} means and {} deviations for the {} channels of \"{}\"", means, deviations,
                              channels, fields[field_].name),
                  "Give one for each channel, or one for all.");
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      const double deviation = spec_.deviation[deviations == 1 ? 0 : c];
      if (!(deviation > 0)) return fail(ErrorCode::invalid_argument, "a deviation must be above 0");
      scales_.push_back(static_cast<float>(1 / deviation));
      shifts_.push_back(static_cast<float>(spec_.mean[means == 1 ? 0 : c]));
    }
    return {};
  }

  Result<void> apply(Sample& sample, const RandomStream*) const override {
    Value& value = sample.fields[field_];
    if (value.has_pixels && !spec_.per_sample) {
      normalize_pixels(value);
      return {};
    }
    value.to_numbers();
    if (spec_.per_sample) {
      if (!value.numbers.empty()) standardize(value.numbers);
      return {};
    }
    const std::size_t plane = value.numbers.size() / scales_.size();
    for (std::size_t c = 0; c < scales_.size(); ++c) {
      const float shift = shifts_[c];
      const float scale = scales_[c];
      float* numbers = value.numbers.data() + c * plane;
      for (std::size_t i = 0; i < plane; ++i) numbers[i] = (numbers[i] - shift) * scale;
    }
    return {};
  }

 private:
  /// In one pass, with the operations of `to_numbers` and of the other way in their order: the same bits.
  void normalize_pixels(Value& value) const {
    value.has_pixels = false;
    value.numbers.resize(value.pixels.size());
    const std::size_t channels = scales_.size(), plane = value.pixels.size() / channels;
    for (std::size_t c = 0; c < channels; ++c) {
      const float shift = shifts_[c];
      const float scale = scales_[c];
      const std::uint8_t* in = value.pixels.data() + c;
      float* out = value.numbers.data() + c * plane;
      const auto normal = [=](std::uint8_t pixel) {
        return (static_cast<float>(pixel) * Value::kPixelScale - shift) * scale;
      };
      if (channels == 1) {
        for (std::size_t i = 0; i < plane; ++i) out[i] = normal(in[i]);
      } else {
        for (std::size_t i = 0; i < plane; ++i) out[i] = normal(in[i * channels]);
      }
    }
  }

  std::string name_;
  scheduler::Normalize spec_;
  std::vector<float> shifts_, scales_;
  std::size_t field_ = 0;
};

class OneHotLabel final : public Transform {
 public:
  OneHotLabel(std::uint32_t classes, std::string field) : name_(std::move(field)), classes_(classes) {}

  Result<void> plan(std::vector<FieldPlan>& fields) override {
    const auto found = find_field(fields, name_, kLabelField, Form::whole);
    if (!found) return tl::unexpected(found.error());
    if (classes_ == 0)
      return fail(ErrorCode::invalid_argument, "the training set does not tell how many classes there are",
                  "Say so: one_hot: {classes: N}.");
    field_ = *found;
    fields[field_].form = Form::numbers;
    fields[field_].shape.insert(fields[field_].shape.begin(), classes_);
    return {};
  }

  Result<void> apply(Sample& sample, const RandomStream*) const override {
    Value& value = sample.fields[field_];
    const std::size_t count = value.whole.size();
    value.numbers.assign(count * classes_, 0);
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t label = value.whole[i];
      if (label == -1) continue;  // none that the training set has
      if (label < 0 || label >= std::int64_t{classes_})
        return fail(ErrorCode::invalid_argument,
                    fmt::format("one_hot: the label {} is not in 0 to {}", label, classes_ - 1));
      value.numbers[static_cast<std::size_t>(label) * count + i] = 1;
    }
    value.form = Form::numbers;
    value.shape.insert(value.shape.begin(), classes_);
    return {};
  }

 private:
  std::string name_;
  std::uint32_t classes_;
  std::size_t field_ = 0;
};

class AddNoise final : public Transform {
 public:
  AddNoise(double deviation, std::string field) : name_(std::move(field)), deviation_(deviation) {}

  Result<void> plan(std::vector<FieldPlan>& fields) override {
    const auto found = find_field(fields, name_, kNumberFields, Form::numbers);
    if (!found) return tl::unexpected(found.error());
    field_ = *found;
    return {};
  }

  /// Box and Muller's two normal numbers from two uniform ones.
  Result<void> apply(Sample& sample, const RandomStream* random) const override {
    if (random == nullptr) return {};
    Value& value = sample.fields[field_];
    value.to_numbers();
    for (std::size_t i = 0; i < value.numbers.size(); i += 2) {
      const double radius = deviation_ * std::sqrt(-2 * std::log(1 - random->uniform(i)));
      const double angle = 2 * std::numbers::pi * random->uniform(i + 1);
      value.numbers[i] += static_cast<float>(radius * std::cos(angle));
      if (i + 1 < value.numbers.size()) value.numbers[i + 1] += static_cast<float>(radius * std::sin(angle));
    }
    return {};
  }

 private:
  std::string name_;
  double deviation_;
  std::size_t field_ = 0;
};

}  // namespace

std::shared_ptr<Transform> make_normalize(const scheduler::Normalize& spec, const std::string& field) {
  return std::make_shared<NormalizeNumbers>(spec, field);
}
std::shared_ptr<Transform> make_one_hot(const scheduler::OneHot& spec, const std::string& field,
                                        std::uint32_t classes) {
  return std::make_shared<OneHotLabel>(spec.classes != 0 ? spec.classes : classes, field);
}
std::shared_ptr<Transform> make_noise(const scheduler::Noise& spec, const std::string& field) {
  return std::make_shared<AddNoise>(spec.deviation, field);
}

}  // namespace ds::data
