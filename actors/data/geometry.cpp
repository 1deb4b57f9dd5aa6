#include "actors/data/geometry.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace ds::data {
namespace {

constexpr std::array<std::string_view, 1> kImageField{"image"};
constexpr std::string_view kMaskField = "label";

}  // namespace

Result<void> GeometryTransform::plan(std::vector<FieldPlan>& fields) {
  const auto found = find_field(fields, name_, kImageField, Form::numbers);
  if (!found) return tl::unexpected(found.error());
  field_ = *found;
  std::vector<std::int64_t>& shape = fields[field_].shape;
  if (shape.size() != 3 && shape.size() != 4)
    return fail(ErrorCode::invalid_argument,
                fmt::format("the field \"{}\" is neither an image nor a volume", fields[field_].name));
  std::vector<std::int64_t> spatial(shape.begin() + 1, shape.end());
  auto planned = plan_extents(spatial);
  if (!planned) return planned;
  std::ranges::copy(spatial, shape.begin() + 1);
  const auto label = std::ranges::find(fields, kMaskField, &FieldPlan::name);
  if (label == fields.end() || label->form != Form::whole || label->shape.size() != spatial.size()) return {};
  mask_ = static_cast<std::size_t>(label - fields.begin());
  label->shape = spatial;
  return {};
}

Result<void> GeometryTransform::plan_extents(std::vector<std::int64_t>&) {
  return {};
}

Result<void> GeometryTransform::check_mask(const Sample& sample) const {
  if (!mask_) return {};
  const std::vector<std::int64_t>& of_image = sample.fields[field_].shape;
  const std::vector<std::int64_t>& of_mask = sample.fields[*mask_].shape;
  if (std::equal(of_image.begin() + 1, of_image.end(), of_mask.begin(), of_mask.end())) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("the image is {} and its mask {}",
                          fmt::join(of_image.begin() + 1, of_image.end(), "x"), fmt::join(of_mask, "x")));
}

Grid grid_of(const Value& image) {
  Grid grid;
  const std::size_t axes = image.shape.size() - 1;
  for (std::size_t i = 0; i < axes; ++i)
    grid.extents[3 - axes + i] = static_cast<std::size_t>(image.shape[i + 1]);
  (image.has_pixels ? grid.inner : grid.outer) = static_cast<std::size_t>(image.shape[0]);
  return grid;
}

Grid mask_grid_of(const Value& mask) {
  Grid grid;
  const std::size_t axes = mask.shape.size();
  for (std::size_t i = 0; i < axes; ++i) grid.extents[3 - axes + i] = static_cast<std::size_t>(mask.shape[i]);
  return grid;
}

void set_extents(Value& value, const std::array<std::size_t, 3>& extents) {
  const std::size_t rank = value.shape.size();
  const std::size_t axes = value.form == Form::whole ? rank : rank - 1;
  for (std::size_t i = 0; i < axes; ++i)
    value.shape[rank - axes + i] = static_cast<std::int64_t>(extents[3 - axes + i]);
}

std::array<std::size_t, 3> three_extents(const std::vector<std::uint32_t>& size) {
  std::array<std::size_t, 3> extents{1, 1, 1};
  for (std::size_t i = 0; i < size.size(); ++i) extents[3 - size.size() + i] = size[i];
  return extents;
}

}  // namespace ds::data
