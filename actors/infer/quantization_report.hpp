#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/result.hpp"

namespace ds::infer {

/// What it did to a model that its layers compute with whole numbers of 8 bits, against the same in fp32.
struct QuantizationReport {
  std::uint32_t linear_layers = 0, lstm_layers = 0;  ///< that were replaced
  std::uint64_t bytes_before = 0, bytes_after = 0;   ///< of all its tensors
  std::uint32_t batch_rows = 0;                      ///< of the larger batch that was timed
  double one_ms_before = 0, one_ms_after = 0;        ///< a batch of one row, median
  double batch_ms_before = 0, batch_ms_after = 0;    ///< the larger batch
  std::string compared_on;                           ///< `170 rows of test.csv`
  std::uint64_t rows = 0;                            ///< that were compared
  double relative_error = 0;  ///< of all numbers in the outputs: |after - before| / |before|
  std::optional<double>
      agreement;  ///< rows with the same largest output; none: they are no scores of classes
  std::optional<double> accuracy_before, accuracy_after;  ///< none: there are no labels to compare with
  bool operator==(const QuantizationReport&) const = default;
};

/// One line for people.
std::string to_text(const QuantizationReport& report);
/// One object, with `text` as above; equal reports give equal bytes.
std::string to_json(const QuantizationReport& report);
/// Errors: `invalid_argument`.
Result<QuantizationReport> report_from_json(const std::string& json);

struct QuantizationBounds {
  double max_loss = 0.01;   ///< of accuracy
  double max_error = 0.05;  ///< of the outputs, where there is no accuracy
};
/// `invalid_argument`, with the numbers and what to do, when it is worse than the bounds allow. Outputs that
/// are no numbers any more are refused whatever the bounds.
Result<void> check_quantization(const QuantizationReport& report, const QuantizationBounds& bounds);

}  // namespace ds::infer
