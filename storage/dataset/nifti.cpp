#include "storage/dataset/nifti.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace ds::storage {
namespace {

constexpr std::uint64_t kMaxExtent = 4096;

tl::unexpected<Error> fail_volume(const std::string& name, std::string_view what, std::string hint = {}) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", name, what), std::move(hint));
}

/// Fields of the header by their offsets in the standard (nifti1.h).
class Header {
 public:
  Header(std::string_view bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}

  std::int64_t whole(std::size_t offset, Number number) const {
    std::int64_t value = 0;
    convert_numbers(bytes_.substr(offset), number, big_endian_, std::span(&value, 1));
    return value;
  }
  double real(std::size_t offset) const {
    float value = 0;
    convert_numbers(bytes_.substr(offset), Number::float32, big_endian_, std::span(&value, 1));
    return static_cast<double>(value);
  }

 private:
  std::string_view bytes_;
  bool big_endian_;
};

bool read_number(std::int64_t code, Number& number) {
  switch (code) {
    case 2:
      number = Number::uint8;
      return true;
    case 4:
      number = Number::int16;
      return true;
    case 8:
      number = Number::int32;
      return true;
    case 16:
      number = Number::float32;
      return true;
    case 64:
      number = Number::float64;
      return true;
    case 256:
      number = Number::int8;
      return true;
    case 512:
      number = Number::uint16;
      return true;
    case 768:
      number = Number::uint32;
      return true;
    case 1024:
      number = Number::int64;
      return true;
    case 1280:
      number = Number::uint64;
      return true;
    default:
      return false;
  }
}

Result<std::string_view> stored(std::string_view file, const NiftiLayout& layout, const std::string& name) {
  const std::uint64_t size = layout.count() * bytes_of(layout.number);
  if (file.size() < layout.data_offset || file.size() - layout.data_offset < size)
    return fail_volume(name,
                       fmt::format("the file ends after {} bytes, its header tells of {}", file.size(),
                                   layout.data_offset + size),
                       "It is cut off or damaged; fetch it again.");
  return file.substr(layout.data_offset, size);
}

}  // namespace

Result<NiftiLayout> read_nifti_layout(std::string_view first_bytes, const std::string& name) {
  if (first_bytes.size() < kNiftiHeaderBytes - 4) return fail_volume(name, "too short for a NIfTI-1 header");
  NiftiLayout layout;
  layout.big_endian = Header(first_bytes, false).whole(0, Number::int32) != 348;
  const Header header(first_bytes, layout.big_endian);
  if (header.whole(0, Number::int32) != 348) return fail_volume(name, "no NIfTI-1 file");
  const std::string_view magic = first_bytes.substr(344, 4);
  if (magic == std::string_view("ni1\0", 4))
    return fail_volume(name, "a pair of header and image", "Make it one .nii file.");
  if (magic != std::string_view("n+1\0", 4)) return fail_volume(name, "no NIfTI-1 file");
  const std::int64_t rank = header.whole(40, Number::int16);
  if (rank < 1 || rank > 7) return fail_volume(name, "the NIfTI-1 header's dimensions are damaged");
  std::uint64_t extents[7] = {1, 1, 1, 1, 1, 1, 1};
  for (std::int64_t i = 0; i < rank; ++i) {
    const std::int64_t extent = header.whole(static_cast<std::size_t>(42 + 2 * i), Number::int16);
    if (extent < 1 || static_cast<std::uint64_t>(extent) > kMaxExtent)
      return fail_volume(name,
                         fmt::format("the NIfTI-1 header has the extent {} (1 to {})", extent, kMaxExtent));
    if (i >= 3 && extent != 1) return fail_volume(name, "a volume of more than three dimensions");
    extents[i] = static_cast<std::uint64_t>(extent);
  }
  layout.width = extents[0];
  layout.height = extents[1];
  layout.depth = extents[2];
  const std::int64_t type = header.whole(70, Number::int16);
  if (!read_number(type, layout.number))
    return fail_volume(name, fmt::format("voxels of NIfTI-1's type {} are not supported", type));
  const double offset = header.real(108);
  if (!(offset >= 348 && offset < 1e9))
    return fail_volume(name, "the NIfTI-1 header's vox_offset is damaged");
  layout.data_offset = static_cast<std::uint64_t>(offset);
  const double slope = header.real(112);
  const double intercept = header.real(116);
  // A slope of 0 means that values are not scaled.
  if (std::isfinite(slope) && slope != 0 && std::isfinite(intercept)) {
    layout.slope = slope;
    layout.intercept = intercept;
  }
  return layout;
}

Result<void> read_nifti_voxels(std::string_view file, const NiftiLayout& layout, const std::string& name,
                               std::span<float> out) {
  const auto bytes = stored(file, layout, name);
  if (!bytes) return tl::unexpected(bytes.error());
  convert_numbers(*bytes, layout.number, layout.big_endian, out);
  if (layout.slope == 1 && layout.intercept == 0) return {};
  for (float& value : out)
    value = static_cast<float>(layout.slope * static_cast<double>(value) + layout.intercept);
  return {};
}

Result<void> read_nifti_voxels(std::string_view file, const NiftiLayout& layout, const std::string& name,
                               std::span<std::int64_t> out) {
  const auto bytes = stored(file, layout, name);
  if (!bytes) return tl::unexpected(bytes.error());
  if (!convert_numbers(*bytes, layout.number, layout.big_endian, out))
    return fail_volume(name, "a mask whose voxels are not whole numbers");
  return {};
}

}  // namespace ds::storage
