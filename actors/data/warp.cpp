#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "actors/data/geometry.hpp"

namespace ds::data {
namespace {

/// Where each place of the result is looked up in the source: an offset for each axis.
struct Displacement {
  std::array<std::vector<float>, 3> along;  // an axis without one is not displaced
};

/// The eight (or four) corners around a place, and how much each counts.
struct Corners {
  std::array<std::int64_t, 8> offsets;  // -1: outside
  std::array<float, 8> weights;
};

/// Looks images up between their places and masks at the nearest one.
class Lookup {
 public:
  /// `clamps`: places outside have the value of the border, else they are 0.
  Lookup(const std::array<std::size_t, 3>& extents, bool clamps) : clamps_(clamps) {
    for (std::size_t i = 0; i < 3; ++i) extents_[i] = static_cast<std::int64_t>(extents[i]);
  }

  std::int64_t nearest(std::array<float, 3> at) const {
    std::array<std::int64_t, 3> place{};
    for (std::size_t i = 0; i < 3; ++i) place[i] = static_cast<std::int64_t>(std::floor(at[i] + 0.5F));
    return offset_of(place);
  }

  std::size_t corners(std::array<float, 3> at, Corners& corners) const {
    std::array<std::int64_t, 3> low{};
    std::array<float, 3> part{};
    for (std::size_t i = 0; i < 3; ++i) {
      const float floor = std::floor(at[i]);
      low[i] = static_cast<std::int64_t>(floor);
      part[i] = at[i] - floor;
    }
    const std::size_t count = extents_[0] == 1 ? 4 : 8;
    for (std::size_t k = 0; k < count; ++k) {
      const std::array<std::int64_t, 3> up{static_cast<std::int64_t>(k >> 2U & 1U),
                                           static_cast<std::int64_t>(k >> 1U & 1U),
                                           static_cast<std::int64_t>(k & 1U)};
      float weight = 1;
      for (std::size_t i = count == 4 ? 1 : 0; i < 3; ++i) weight *= up[i] != 0 ? part[i] : 1 - part[i];
      corners.offsets[k] = offset_of({low[0] + up[0], low[1] + up[1], low[2] + up[2]});
      corners.weights[k] = weight;
    }
    return count;
  }

 private:
  std::int64_t offset_of(std::array<std::int64_t, 3> place) const {
    for (std::size_t i = 0; i < 3; ++i) {
      if (clamps_)
        place[i] = std::clamp<std::int64_t>(place[i], 0, extents_[i] - 1);
      else if (place[i] < 0 || place[i] >= extents_[i])
        return -1;
    }
    return (place[0] * extents_[1] + place[1]) * extents_[2] + place[2];
  }

  std::array<std::int64_t, 3> extents_;
  bool clamps_;
};

/// Fills every place of image and mask with what lies at `source_of(z, y, x)`.
template <class SourceOf>
void warp(Value& value, Value* label, bool clamps, SourceOf&& source_of) {
  value.to_numbers();
  const Grid grid = grid_of(value);
  const Lookup lookup(grid.extents, clamps);
  const std::size_t plane = grid.places();
  value.spare.resize(value.numbers.size());
  thread_local std::vector<std::int64_t> spare_whole;
  if (label != nullptr) spare_whole.resize(label->whole.size());
  std::size_t place = 0;
  Corners corners{};
  for (std::size_t z = 0; z < grid.extents[0]; ++z) {
    for (std::size_t y = 0; y < grid.extents[1]; ++y) {
      for (std::size_t x = 0; x < grid.extents[2]; ++x, ++place) {
        const std::array<float, 3> at = source_of(place, z, y, x);
        const std::size_t count = lookup.corners(at, corners);
        for (std::size_t c = 0; c < grid.outer; ++c) {
          const float* in = value.numbers.data() + c * plane;
          float sum = 0;
          for (std::size_t k = 0; k < count; ++k) {
            if (corners.offsets[k] >= 0) sum += corners.weights[k] * in[corners.offsets[k]];
          }
          value.spare[c * plane + place] = sum;
        }
        if (label == nullptr) continue;
        const std::int64_t nearest = lookup.nearest(at);
        spare_whole[place] = nearest < 0 ? 0 : label->whole[static_cast<std::size_t>(nearest)];
      }
    }
  }
  value.numbers.swap(value.spare);
  if (label != nullptr) label->whole.swap(spare_whole);
}

class RotateImage final : public GeometryTransform {
 public:
  RotateImage(double degrees, std::string field) : GeometryTransform(std::move(field)), degrees_(degrees) {}

  Result<void> apply(Sample& sample, const RandomStream* random) const override {
    if (random == nullptr) return {};
    auto fits = check_mask(sample);
    if (!fits) return fits;
    const double angle = (2 * random->uniform(0) - 1) * degrees_ * std::numbers::pi / 180;
    const auto cosine = static_cast<float>(std::cos(angle));
    const auto sine = static_cast<float>(std::sin(angle));
    const Grid grid = grid_of(image(sample));
    const float middle_y = static_cast<float>(grid.extents[1] - 1) / 2;
    const float middle_x = static_cast<float>(grid.extents[2] - 1) / 2;
    warp(image(sample), mask(sample), false,
         [&](std::size_t, std::size_t z, std::size_t y, std::size_t x) -> std::array<float, 3> {
           const float from_y = static_cast<float>(y) - middle_y;
           const float from_x = static_cast<float>(x) - middle_x;
           return {static_cast<float>(z), cosine * from_y - sine * from_x + middle_y,
                   sine * from_y + cosine * from_x + middle_x};
         });
    return {};
  }

 private:
  double degrees_;
};

/// Smooths lines of `extent` numbers that lie `stride` apart, the border's numbers going on outside.
class GaussianFilter {
 public:
  explicit GaussianFilter(double sigma) {
    const auto radius = static_cast<std::size_t>(std::ceil(3 * sigma));
    double sum = 0;
    for (std::size_t i = 0; i <= 2 * radius; ++i) {
      const double distance = (static_cast<double>(i) - static_cast<double>(radius)) / sigma;
      weights_.push_back(static_cast<float>(std::exp(-0.5 * distance * distance)));
      sum += static_cast<double>(weights_.back());
    }
    for (float& weight : weights_) weight = static_cast<float>(static_cast<double>(weight) / sum);
  }

  /// `inner` lines at once: numbers[(o * extent + i) * inner + k].
  void smooth(std::vector<float>& numbers, std::size_t extent, std::size_t inner,
              std::vector<float>& spare) const {
    const std::size_t radius = weights_.size() / 2;
    spare.assign(numbers.size(), 0);
    const std::size_t block = extent * inner;
    for (std::size_t begin = 0; begin < numbers.size(); begin += block) {
      for (std::size_t i = 0; i < extent; ++i) {
        float* out = spare.data() + begin + i * inner;
        for (std::size_t k = 0; k < weights_.size(); ++k) {
          const std::size_t at = std::clamp(i + k, radius, radius + extent - 1) - radius;
          const float* in = numbers.data() + begin + at * inner;
          const float weight = weights_[k];
          for (std::size_t j = 0; j < inner; ++j) out[j] += weight * in[j];
        }
      }
    }
    numbers.swap(spare);
  }

 private:
  std::vector<float> weights_;
};

/// Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied to Visual Document
/// Analysis" (ICDAR 2003): uniform noise in ±alpha, smoothed, is how far each place moves.
class DeformElastically final : public GeometryTransform {
 public:
  DeformElastically(const scheduler::ElasticDeform& spec, std::string field)
      : GeometryTransform(std::move(field)),
        alpha_(spec.alpha),
        sigma_(spec.sigma),
        filter_(std::clamp(spec.sigma, kSmallestSigma, kLargest)) {}

  Result<void> apply(Sample& sample, const RandomStream* random) const override {
    if (random == nullptr) return {};
    auto fits = check_mask(sample);
    if (!fits) return fits;
    const Grid grid = grid_of(image(sample));
    thread_local Displacement moved;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (grid.extents[axis] == 1)
        moved.along[axis].assign(grid.places(), 0);
      else
        displace(grid, *random, axis, moved.along[axis]);
    }
    warp(image(sample), mask(sample), true,
         [&](std::size_t place, std::size_t z, std::size_t y, std::size_t x) -> std::array<float, 3> {
           return {static_cast<float>(z) + moved.along[0][place],
                   static_cast<float>(y) + moved.along[1][place],
                   static_cast<float>(x) + moved.along[2][place]};
         });
    return {};
  }

 protected:
  Result<void> plan_extents(std::vector<std::int64_t>&) override {
    if (sigma_ >= kSmallestSigma && sigma_ <= kLargest && alpha_ >= 0 && alpha_ <= kLargest) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("elastic_deform: alpha must be in 0 to {1}, sigma in {0} to {1}", kSmallestSigma,
                            kLargest));
  }

 private:
  void displace(const Grid& grid, const RandomStream& random, std::size_t axis,
                std::vector<float>& out) const {
    thread_local std::vector<float> spare;
    const std::size_t places = grid.places();
    out.resize(places);
    for (std::size_t i = 0; i < places; ++i)
      out[i] = static_cast<float>(alpha_ * (2 * random.uniform(axis * places + i) - 1));
    std::size_t inner = 1;
    for (std::size_t a = 3; a-- > 0; inner *= grid.extents[a]) {
      if (grid.extents[a] > 1) filter_.smooth(out, grid.extents[a], inner, spare);
    }
  }

  static constexpr double kSmallestSigma = 0.1, kLargest = 1000;

  double alpha_, sigma_;
  GaussianFilter filter_;
};

}  // namespace

std::shared_ptr<Transform> make_rotate(const scheduler::Rotate& spec, const std::string& field) {
  return std::make_shared<RotateImage>(spec.degrees, field);
}
std::shared_ptr<Transform> make_elastic_deform(const scheduler::ElasticDeform& spec,
                                               const std::string& field) {
  return std::make_shared<DeformElastically>(spec, field);
}

}  // namespace ds::data
