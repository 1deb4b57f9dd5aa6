#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "actors/data/geometry.hpp"

namespace ds::data {
namespace {

/// Which elements of a line make one of the resized line, and their weights.
struct Taps {
  std::size_t in = 0, out = 0;
  std::vector<std::size_t> first;
  std::vector<std::size_t> count;
  std::size_t most = 0;
  std::vector<float> weights;  // `most` for each

  /// A triangle as wide as the step when it shrinks (so that no detail is skipped, as Pillow's BILINEAR
  /// does), else between the two nearest; centres at a half.
  void choose(std::size_t from, std::size_t to) {
    if (in == from && out == to) return;
    in = from;
    out = to;
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    const double support = std::max(scale, 1.0);
    most = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
    first.assign(to, 0);
    count.assign(to, 0);
    weights.assign(to * most, 0);
    for (std::size_t j = 0; j < to; ++j) {
      const double centre = (static_cast<double>(j) + 0.5) * scale;
      const auto low = static_cast<std::size_t>(std::max(0.0, std::floor(centre - support + 0.5)));
      const auto high = std::min(from, static_cast<std::size_t>(std::floor(centre + support + 0.5)));
      double sum = 0;
      for (std::size_t i = low; i < high; ++i) {
        const double weight = std::max(0.0, 1 - std::abs(static_cast<double>(i) + 0.5 - centre) / support);
        weights[j * most + i - low] = static_cast<float>(weight);
        sum += weight;
      }
      first[j] = low;
      count[j] = high - low;
      for (std::size_t k = 0; k < count[j]; ++k)
        weights[j * most + k] = static_cast<float>(static_cast<double>(weights[j * most + k]) / sum);
    }
  }
};

/// out[j] = sum of weight * in[line], for lines of `inner` numbers.
template <class T>
void mix_lines(const T* in, const Taps& taps, std::size_t inner, float* out) {
  for (std::size_t j = 0; j < taps.out; ++j, out += inner) {
    const float* weights = taps.weights.data() + j * taps.most;
    const T* line = in + taps.first[j] * inner;
    for (std::size_t i = 0; i < inner; ++i) out[i] = weights[0] * static_cast<float>(line[i]);
    for (std::size_t k = 1; k < taps.count[j]; ++k) {
      line += inner;
      const float weight = weights[k];
      for (std::size_t i = 0; i < inner; ++i) out[i] += weight * static_cast<float>(line[i]);
    }
  }
}

/// Along the last axis: `lines` lines of `taps.in` places of `channels` numbers each; channel `c` of place
/// `j` of line `l` goes to out[c * plane + l * taps.out + j].
template <int kChannels>
void mix_places(const float* in, const Taps& taps, std::size_t lines, float scale, float* out) {
  const std::size_t plane = lines * taps.out;
  for (std::size_t l = 0; l < lines; ++l, in += taps.in * kChannels) {
    for (std::size_t j = 0; j < taps.out; ++j) {
      const float* weights = taps.weights.data() + j * taps.most;
      const float* place = in + taps.first[j] * kChannels;
      float sums[kChannels] = {};
      for (std::size_t k = 0; k < taps.count[j]; ++k, place += kChannels) {
        for (int c = 0; c < kChannels; ++c) sums[c] += weights[k] * place[c];
      }
      for (int c = 0; c < kChannels; ++c)
        out[static_cast<std::size_t>(c) * plane + l * taps.out + j] = sums[c] * scale;
    }
  }
}

class ResizeImage final : public GeometryTransform {
 public:
  ResizeImage(const scheduler::Resize& spec, std::string field)
      : GeometryTransform(std::move(field)), size_(spec.size), to_(three_extents(spec.size)) {}

  Result<void> apply(Sample& sample, const RandomStream*) const override {
    auto fits = check_mask(sample);
    if (!fits) return fits;
    Value& value = image(sample);
    const Grid grid = grid_of(value);
    if (grid.count() == 0) return fail(ErrorCode::invalid_argument, "resize: an image without pixels");
    if (grid.extents != to_) {
      if (value.has_pixels)
        resize_pixels(value, grid);
      else
        resize_numbers(value, grid);
      set_extents(value, to_);
    }
    if (Value* label = mask(sample)) resize_mask(*label);
    return {};
  }

 protected:
  Result<void> plan_extents(std::vector<std::int64_t>& spatial) override {
    if (size_.size() != spatial.size())
      return fail(ErrorCode::invalid_argument,
                  fmt::format("resize: {} sizes for {} dimensions", size_.size(), spatial.size()));
    spatial.assign(size_.begin(), size_.end());
    return {};
  }

 private:
  static Taps& taps_for(std::size_t axis, std::size_t in, std::size_t out) {
    thread_local std::array<Taps, 3> kept;  // most images of a set have one size
    kept[axis].choose(in, out);
    return kept[axis];
  }

  void resize_pixels(Value& value, const Grid& grid) const {
    const Taps& rows = taps_for(1, grid.extents[1], to_[1]);
    const Taps& columns = taps_for(2, grid.extents[2], to_[2]);
    const std::size_t inner = grid.extents[2] * grid.inner;
    value.spare.resize(to_[1] * inner);
    mix_lines(value.pixels.data(), rows, inner, value.spare.data());
    value.numbers.resize(grid.inner * to_[1] * to_[2]);
    constexpr float kScale = 1.0F / 255;
    if (grid.inner == 1)
      mix_places<1>(value.spare.data(), columns, to_[1], kScale, value.numbers.data());
    else
      mix_places<3>(value.spare.data(), columns, to_[1], kScale, value.numbers.data());
    value.has_pixels = false;
  }

  void resize_numbers(Value& value, const Grid& grid) const {
    std::array<std::size_t, 3> now = grid.extents;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (now[axis] == to_[axis]) continue;
      const Taps& taps = taps_for(axis, now[axis], to_[axis]);
      std::size_t outer = grid.outer;
      std::size_t inner = 1;
      for (std::size_t i = 0; i < axis; ++i) outer *= now[i];
      for (std::size_t i = axis + 1; i < 3; ++i) inner *= now[i];
      value.spare.resize(outer * taps.out * inner);
      if (axis == 2) {
        mix_places<1>(value.numbers.data(), taps, outer, 1, value.spare.data());
      } else {
        for (std::size_t o = 0; o < outer; ++o)
          mix_lines(value.numbers.data() + o * taps.in * inner, taps, inner,
                    value.spare.data() + o * taps.out * inner);
      }
      value.numbers.swap(value.spare);
      now[axis] = to_[axis];
    }
  }

  void resize_mask(Value& label) const {
    const Grid grid = mask_grid_of(label);
    if (grid.extents == to_) return;
    thread_local std::vector<std::int64_t> spare;
    spare.resize(to_[0] * to_[1] * to_[2]);
    std::int64_t* out = spare.data();
    const auto nearest = [&](std::size_t axis, std::size_t at) {
      return (2 * at + 1) * grid.extents[axis] / (2 * to_[axis]);
    };
    for (std::size_t z = 0; z < to_[0]; ++z) {
      for (std::size_t y = 0; y < to_[1]; ++y) {
        const std::int64_t* row =
            label.whole.data() + (nearest(0, z) * grid.extents[1] + nearest(1, y)) * grid.extents[2];
        for (std::size_t x = 0; x < to_[2]; ++x) *out++ = row[nearest(2, x)];
      }
    }
    label.whole.swap(spare);
    set_extents(label, to_);
  }

  std::vector<std::uint32_t> size_;
  std::array<std::size_t, 3> to_;
};

}  // namespace

std::shared_ptr<Transform> make_resize(const scheduler::Resize& spec, const std::string& field) {
  return std::make_shared<ResizeImage>(spec, field);
}

}  // namespace ds::data
