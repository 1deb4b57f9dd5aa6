#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/dataset/data_file.hpp"
#include "storage/result.hpp"

namespace ds::storage {

/// The numbers that array files hold.
enum class Number : std::uint8_t {
  uint8,
  int8,
  uint16,
  int16,
  uint32,
  int32,
  uint64,
  int64,
  float32,
  float64,
  boolean
};

std::size_t bytes_of(Number number);
bool is_whole(Number number);
/// By the names of the job file (`uint8`, `float32`, …).
std::optional<Number> number_of_name(std::string_view name);

/// What an array file's header says.
struct ArrayLayout {
  Number number = Number::uint8;
  bool big_endian = false;
  std::vector<std::uint64_t> shape;  ///< the first dimension counts samples; C order
  std::uint64_t data_offset = 0;
};

/// How many numbers `shape` from dimension `first` on has; nullopt past 2^40.
std::optional<std::uint64_t> count_of(std::span<const std::uint64_t> shape, std::size_t first = 0);

/// The header of an IDX file (MNIST's format): two zero bytes, type, rank, big-endian extents. Errors name
/// the file: no such header, or fewer bytes behind it than it says.
Result<ArrayLayout> read_idx_layout(const DataFile& file);
/// The header of a .npy file, versions 1 to 3. Fortran order, structures and Python objects are refused.
Result<ArrayLayout> read_npy_layout(const DataFile& file);

/// Turns numbers as they lie in a file into ours.
void convert_numbers(std::string_view bytes, Number number, bool big_endian, std::span<float> out);
/// False when one is not whole or does not fit.
bool convert_numbers(std::string_view bytes, Number number, bool big_endian, std::span<std::int64_t> out);

/// The arrays of a .npz archive, each unpacked to a temporary file. `names` without `.npy`; one that is
/// missing is `invalid_argument` with the nearest there is.
Result<std::vector<std::shared_ptr<const DataFile>>> open_npz(const std::filesystem::path& file,
                                                              std::span<const std::string> names,
                                                              const std::shared_ptr<PieceCache>& cache);

}  // namespace ds::storage
