#pragma once

#include <array>
#include <cstdint>

namespace ds::serving {

/// How long a batch takes by its number of rows, learnt from those that have run.
///
/// A line a + b * rows by least squares, in which a batch counts 1 % less with each later one, times a
/// correction for what is no line (padding, caches, thread counts): that of its size where enough such
/// batches have run, else that of its class (1, 2, 3 to 4, 5 to 8 …). A batch that took more than three times
/// what was expected counts as three times; after three in a row that took three times or a third, all before
/// is forgotten: a page fault teaches little, another speed of the machine everything. a and b are never
/// negative. Pure.
class ServiceFit {
 public:
  void observe(std::uint32_t rows, std::int64_t service_us);

  bool is_known() const { return observed_ > 0; }
  /// The most rows that were observed at once.
  std::uint32_t largest_seen() const { return largest_seen_; }

  /// Zero while nothing is known.
  double expect_us(std::uint32_t rows) const;
  /// Not exceeded by 95 of 100 batches.
  double upper_us(std::uint32_t rows) const { return expect_us(rows) * (1 + margin_); }
  /// What a batch costs beside its rows, and what each row costs.
  double fixed_us() const { return fixed_us_; }
  double per_row_us() const { return per_row_us_; }

  /// The most rows, 1 to `most`, of which `upper_us` is within the budget; 0: none. Looks at each.
  std::uint32_t largest_within(double budget_us, std::uint32_t most) const;

 private:
  static constexpr std::uint32_t kExactSizes = 128;  ///< that have a correction of their own
  struct Correction {
    std::uint64_t learnt = 0;
    double part = 0;  ///< moving average of measured over the line, less 1
    void learn(double error);
  };
  void fit();
  void forget();

  std::uint64_t observed_ = 0;  ///< since it has forgotten
  std::uint32_t largest_seen_ = 0, outliers_in_a_row_ = 0;
  double weight_ = 0, rows_ = 0, rows_squared_ = 0, us_ = 0, rows_us_ = 0;  ///< decayed sums
  double fixed_us_ = 0, per_row_us_ = 0;
  double margin_ = 0.1;
  std::array<Correction, 33> correction_{};  ///< by class
  std::array<Correction, kExactSizes + 1> exact_{};
};

}  // namespace ds::serving
