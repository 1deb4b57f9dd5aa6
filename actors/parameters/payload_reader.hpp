#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "actors/parameters/requests.hpp"
#include "storage/result.hpp"

namespace ds::parameters {

/// Reads a vector from left to right, whatever its form, without ever having all of it in memory.
class PayloadReader {
 public:
  /// `invalid_argument` when `payload` is no vector of `elements` elements. Any payload is safe.
  static Result<PayloadReader> open(const Payload& payload, std::uint64_t elements);

  /// Elements [first, first + count): where they lie already, or `scratch` after they were written there;
  /// null when all are +0.0 because the form leaves them out. `first` is a multiple of
  /// `kernels::kScaleBlock` and not before what was read last; so is `first + count`, but for the end.
  const float* read(std::uint64_t first, std::size_t count, float* scratch);

 private:
  PayloadReader(const Payload& payload, std::uint64_t elements);

  Result<void> check() const;
  Result<void> check_runs() const;
  Result<void> check_kept() const;
  const float* read_dense(std::uint64_t first, std::size_t count, float* scratch) const;
  const float* read_runs(std::uint64_t first, std::size_t count, float* scratch);
  const float* read_kept(std::uint64_t first, std::size_t count, float* scratch);
  const float* read_encoded(std::uint64_t first, std::size_t count, float* scratch) const;

  Form form_;
  std::vector<Run> runs_;
  Buffer bytes_;
  std::uint64_t elements_;
  std::size_t next_ = 0;             ///< the first run, or kept element, that is not all before what is read
  std::uint64_t values_before_ = 0;  ///< of runs before that one
};

/// Writes a `dense` vector, or the parts that `runs` name, over `to`. `invalid_argument` as above and for
/// other forms, then nothing is written.
Result<void> write_over(const Payload& payload, std::span<float> to);

}  // namespace ds::parameters
