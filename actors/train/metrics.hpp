#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ds::train {

/// Sums over rows from which metrics of a validation set are finished. Sums of parts, added element by
/// element, are those of the whole; so they travel through an all-reduce as a plain vector of doubles, exact
/// while they stay under 2^53.
///
/// Layout of the vector: loss, rows, elements, right elements, rows x classes with a Dice value, then for
/// each class the sum of its Dice values and their number, then the confusion matrix, expected class by
/// expected class.
class MetricSums {
 public:
  /// `classes` 0: the label is no class, only the loss counts.
  explicit MetricSums(std::uint32_t classes) : classes_(classes), values_(size_for(classes)) {}
  MetricSums(std::uint32_t classes, std::vector<double> values);

  static std::size_t size_for(std::uint32_t classes);

  /// Adds rows. An expected class of -1 is unknown: it counts as wrong for the accuracy of whole rows
  /// (`elements` 1), for nothing otherwise.
  void add(double loss, std::uint64_t rows, std::uint64_t elements, std::span<const std::int64_t> predicted,
           std::span<const std::int64_t> expected);

  std::span<double> values() { return values_; }
  std::span<const double> values() const { return values_; }

  double rows() const;      ///< that have a loss
  double loss() const;      ///< mean over the rows that have one; 0 without rows
  double accuracy() const;  ///< right elements among all
  /// Mean over the classes that are expected or predicted anywhere of 2 TP / (2 TP + FP + FN).
  double macro_f1() const;
  /// For each foreground class (all but 0) the mean over the rows that expect or predict it of 2 |A and B| /
  /// (|A| + |B|), then the mean over the classes that have such rows; 1 when no class has any.
  double dice() const;

 private:
  double& confusion(std::int64_t expected, std::int64_t predicted);
  double confusion(std::size_t expected, std::size_t predicted) const;

  std::uint32_t classes_;
  std::vector<double> values_;
};

/// The area under the ROC curve, exact; ties count half. `scores` are rows x classes, expected classes of -1
/// are left out. For two classes that of class 1, for more the mean over the classes against the rest, of
/// those that have both. Nothing when no class has both, or a score is not a number.
std::optional<double> auc(std::span<const float> scores, std::span<const std::int64_t> expected,
                          std::uint32_t classes);

}  // namespace ds::train
