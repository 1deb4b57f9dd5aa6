#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "actors/data/geometry.hpp"

namespace ds::data {
namespace {

using Offsets = std::array<std::int64_t, 3>;

/// Copies the window that begins at `from` (which may lie outside: zeros there) and has the extents `to`.
template <class T>
void copy_window(const std::vector<T>& in, const Grid& grid, const Offsets& from,
                 const std::array<std::size_t, 3>& to, std::vector<T>& out) {
  out.resize(grid.outer * to[0] * to[1] * to[2] * grid.inner);
  const auto [depth, height, width] = grid.extents;
  const auto reaches_out = [&](std::size_t axis) {
    return from[axis] < 0 ||
           from[axis] + static_cast<std::int64_t>(to[axis]) > static_cast<std::int64_t>(grid.extents[axis]);
  };
  if (reaches_out(0) || reaches_out(1) || reaches_out(2)) std::ranges::fill(out, T{});
  const auto columns = static_cast<std::int64_t>(to[2]);
  const std::int64_t first = std::clamp<std::int64_t>(-from[2], 0, columns);  // of those with pixels
  const std::int64_t last =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(width) - from[2], first, columns);
  T* row = out.data();
  for (std::size_t o = 0; o < grid.outer; ++o) {
    for (std::size_t z = 0; z < to[0]; ++z) {
      for (std::size_t y = 0; y < to[1]; ++y, row += to[2] * grid.inner) {
        const std::int64_t in_z = static_cast<std::int64_t>(z) + from[0];
        const std::int64_t in_y = static_cast<std::int64_t>(y) + from[1];
        const bool inside = in_z >= 0 && in_z < static_cast<std::int64_t>(depth) && in_y >= 0 &&
                            in_y < static_cast<std::int64_t>(height) && first < last;
        if (!inside) continue;
        const std::size_t begin =
            (((o * depth + static_cast<std::size_t>(in_z)) * height + static_cast<std::size_t>(in_y)) *
                 width +
             static_cast<std::size_t>(first + from[2])) *
            grid.inner;
        const auto before = static_cast<std::size_t>(first) * grid.inner;
        const auto copied = static_cast<std::size_t>(last - first) * grid.inner;
        std::copy_n(in.data() + begin, copied, row + before);
      }
    }
  }
}

class CropWindow final : public GeometryTransform {
 public:
  CropWindow(const scheduler::Crop& spec, std::string field)
      : GeometryTransform(std::move(field)), spec_(spec), to_(three_extents(spec.size)) {}

  Result<void> apply(Sample& sample, const RandomStream* random) const override {
    auto fits = check_mask(sample);
    if (!fits) return fits;
    Value& value = image(sample);
    const Grid grid = grid_of(value);
    const Offsets from = choose_window(grid, spec_.random ? random : nullptr);
    thread_local std::vector<std::uint8_t> spare_pixels;
    thread_local std::vector<std::int64_t> spare_whole;
    if (value.has_pixels) {
      copy_window(value.pixels, grid, from, to_, spare_pixels);
      value.pixels.swap(spare_pixels);
    } else {
      copy_window(value.numbers, grid, from, to_, value.spare);
      value.numbers.swap(value.spare);
    }
    set_extents(value, to_);
    if (Value* label = mask(sample)) {
      copy_window(label->whole, mask_grid_of(*label), from, to_, spare_whole);
      label->whole.swap(spare_whole);
      set_extents(*label, to_);
    }
    return {};
  }

 protected:
  Result<void> plan_extents(std::vector<std::int64_t>& spatial) override {
    if (spec_.size.size() != spatial.size())
      return fail(ErrorCode::invalid_argument,
                  fmt::format("crop: {} sizes for {} dimensions", spec_.size.size(), spatial.size()));
    spatial.assign(spec_.size.begin(), spec_.size.end());
    return {};
  }

 private:
  Offsets choose_window(const Grid& grid, const RandomStream* random) const {
    Offsets from{};
    for (std::size_t axis = 3 - spec_.size.size(); axis < 3; ++axis) {
      const auto padding = static_cast<std::int64_t>(spec_.padding);
      const std::int64_t room =
          static_cast<std::int64_t>(grid.extents[axis]) + 2 * padding - static_cast<std::int64_t>(to_[axis]);
      // A smaller image lies in the middle of its window; what is drawn doesn't depend on that.
      const std::int64_t chosen =
          random != nullptr && room > 0
              ? static_cast<std::int64_t>(random->bits(axis) % static_cast<std::uint64_t>(room + 1))
              : (room >= 0 ? room / 2 : -((1 - room) / 2));
      from[axis] = chosen - padding;
    }
    return from;
  }

  scheduler::Crop spec_;
  std::array<std::size_t, 3> to_;
};

/// As `std::reverse`, eight bytes at a time.
void reverse_bytes(std::uint8_t* first, std::uint8_t* last) {
  for (; last - first >= 16; first += 8, last -= 8) {
    std::uint64_t low = 0, high = 0;
    std::memcpy(&low, first, 8);
    std::memcpy(&high, last - 8, 8);
    low = __builtin_bswap64(low);
    high = __builtin_bswap64(high);
    std::memcpy(first, &high, 8);
    std::memcpy(last - 8, &low, 8);
  }
  std::reverse(first, last);
}

/// Reverses one axis in place.
template <class T>
void reverse_axis(std::vector<T>& values, const Grid& grid, std::size_t axis) {
  std::size_t inner = grid.inner;
  for (std::size_t i = axis + 1; i < 3; ++i) inner *= grid.extents[i];
  const std::size_t extent = grid.extents[axis];
  const std::size_t block = extent * inner;
  for (T* at = values.data(); at != values.data() + values.size(); at += block) {
    if (inner == 1) {
      if constexpr (sizeof(T) == 1)
        reverse_bytes(at, at + extent);
      else
        std::reverse(at, at + extent);
      continue;
    }
    for (std::size_t low = 0, high = extent - 1; low < high; ++low, --high)
      std::swap_ranges(at + low * inner, at + (low + 1) * inner, at + high * inner);
  }
}

class FlipAxes final : public GeometryTransform {
 public:
  FlipAxes(const scheduler::Flip& spec, std::string field)
      : GeometryTransform(std::move(field)), probability_(spec.probability) {
    for (const std::string& name : spec.axes)
      axes_.push_back(name == "depth" ? 0U : name == "vertical" ? 1U : 2U);
  }

  Result<void> apply(Sample& sample, const RandomStream* random) const override {
    if (random == nullptr) return {};
    auto fits = check_mask(sample);
    if (!fits) return fits;
    Value& value = image(sample);
    const Grid grid = grid_of(value);
    for (const std::size_t axis : axes_) {
      if (random->uniform(axis) >= probability_ || grid.count() == 0) continue;
      if (value.has_pixels)
        reverse_axis(value.pixels, grid, axis);
      else
        reverse_axis(value.numbers, grid, axis);
      if (Value* label = mask(sample)) reverse_axis(label->whole, mask_grid_of(*label), axis);
    }
    return {};
  }

 protected:
  Result<void> plan_extents(std::vector<std::int64_t>& spatial) override {
    const bool flips_depth = std::ranges::find(axes_, 0U) != axes_.end();
    if (!flips_depth || spatial.size() == 3) return {};
    return fail(ErrorCode::invalid_argument, "flip: an image has no depth");
  }

 private:
  double probability_;
  std::vector<std::size_t> axes_;
};

}  // namespace

std::shared_ptr<Transform> make_crop(const scheduler::Crop& spec, const std::string& field) {
  return std::make_shared<CropWindow>(spec, field);
}
std::shared_ptr<Transform> make_flip(const scheduler::Flip& spec, const std::string& field) {
  return std::make_shared<FlipAxes>(spec, field);
}

}  // namespace ds::data
