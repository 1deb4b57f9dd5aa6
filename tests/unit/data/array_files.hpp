#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace ds::data {

inline std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

/// An IDX file of bytes.
inline std::string make_idx(const std::vector<std::uint32_t>& shape, const std::string& bytes) {
  std::string file{'\0', '\0', '\x08', static_cast<char>(shape.size())};
  for (const std::uint32_t extent : shape) file += big_endian(extent);
  return file + bytes;
}

template <class T>
std::string raw_bytes(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline std::string make_npy(const std::string& descr, const std::string& shape, const std::string& bytes,
                            const std::string& order = "False") {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xFF);
  file += static_cast<char>(header.size() >> 8);
  return file + header + bytes;
}

/// A volume of `width` x `height` x `depth` voxels of NIfTI-1's type `type` (2: bytes, 16: float32).
inline std::string make_nifti(std::int16_t width, std::int16_t height, std::int16_t depth, std::int16_t type,
                              const std::string& bytes, float slope = 0, float intercept = 0) {
  std::string header(352, '\0');
  const auto put = [&](std::size_t at, const auto& value) {
    std::memcpy(header.data() + at, &value, sizeof(value));
  };
  put(0, std::int32_t{348});
  put(40, std::int16_t{3});
  put(42, width);
  put(44, height);
  put(46, depth);
  put(70, type);
  put(108, 352.0F);
  put(112, slope);
  put(116, intercept);
  std::memcpy(header.data() + 344, "n+1", 4);
  return header + bytes;
}

}  // namespace ds::data
