#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "actors/data/transform.hpp"

namespace ds::data {

/// How the elements of an image or a volume lie: `outer` grids one behind the other, of `inner` elements a
/// place. The extents are depth (1 for an image), height and width.
struct Grid {
  std::size_t outer = 1;
  std::array<std::size_t, 3> extents{1, 1, 1};
  std::size_t inner = 1;

  std::size_t places() const { return extents[0] * extents[1] * extents[2]; }
  std::size_t count() const { return outer * places() * inner; }
};

/// Moves an image or a volume, and the mask that belongs to it alike.
class GeometryTransform : public Transform {
 public:
  explicit GeometryTransform(std::string field) : name_(std::move(field)) {}
  Result<void> plan(std::vector<FieldPlan>& fields) final;

 protected:
  /// Says what becomes of the extents; `spatial` has two or three, kAnyExtent among them.
  virtual Result<void> plan_extents(std::vector<std::int64_t>& spatial);

  Value& image(Sample& sample) const { return sample.fields[field_]; }
  Value* mask(Sample& sample) const { return mask_ ? &sample.fields[*mask_] : nullptr; }
  /// An error when the mask's extents are not the image's.
  Result<void> check_mask(const Sample& sample) const;

 private:
  std::string name_;
  std::size_t field_ = 0;
  std::optional<std::size_t> mask_;
};

/// Of an image's or volume's value, as pixels or as numbers.
Grid grid_of(const Value& image);
Grid mask_grid_of(const Value& mask);
/// Writes extents back into a shape of two or three spatial dimensions at its end.
void set_extents(Value& value, const std::array<std::size_t, 3>& extents);

/// Sizes of the job file for `axes` spatial dimensions as (depth, height, width), the depth 1 for an image.
std::array<std::size_t, 3> three_extents(const std::vector<std::uint32_t>& size);

}  // namespace ds::data
