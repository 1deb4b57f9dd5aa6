#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/dataset/array_file.hpp"
#include "storage/result.hpp"

namespace ds::storage {

inline constexpr std::size_t kNiftiHeaderBytes = 352;

/// What the header of a single-file NIfTI-1 volume (.nii) says.
struct NiftiLayout {
  Number number = Number::uint8;
  bool big_endian = false;
  std::uint64_t depth = 1, height = 1, width = 1;  ///< the file's z, y and x; x lies closest
  std::uint64_t data_offset = kNiftiHeaderBytes;
  double slope = 1, intercept = 0;  ///< value = slope * stored + intercept

  std::uint64_t count() const { return depth * height * width; }
};

/// Reads it from the volume's first `kNiftiHeaderBytes` bytes, unpacked. `name` is for errors, which tell
/// what is wrong: no such file, a pair (.hdr and .img), more than three dimensions, complex numbers.
Result<NiftiLayout> read_nifti_layout(std::string_view first_bytes, const std::string& name);

/// The voxels in C order of (depth, height, width), scaled. `file` is the whole volume, unpacked.
Result<void> read_nifti_voxels(std::string_view file, const NiftiLayout& layout, const std::string& name,
                               std::span<float> out);
/// Those of a mask, which must be whole numbers.
Result<void> read_nifti_voxels(std::string_view file, const NiftiLayout& layout, const std::string& name,
                               std::span<std::int64_t> out);

}  // namespace ds::storage
