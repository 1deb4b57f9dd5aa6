#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "actors/data/batch.hpp"
#include "scheduler/spec/train_spec.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// How a model's output and the label fit together.
enum class Fit : std::uint8_t {
  scores,     ///< label: a class each; output: a score for each class in dimension 1
  one_score,  ///< label: 0 or 1 each; output: one score each
  numbers,    ///< label: numbers; output: as many
};

/// The weighted sum of a job's losses. A row's loss is the mean over its elements (pixels of a mask, numbers
/// of a vector) whose label is known, and the batch's is the sum of its rows': so any cut of a batch adds up.
///
/// - cross_entropy: PyTorch's, times the class's weight (not divided by the weights' sum). Of a float label
///   with a probability for each class too.
/// - focal: -(1 - p)^gamma log p of the right class's probability, times its weight.
/// - bce: with logits; over scores of more classes, each class against the rest, mean over the classes.
/// - mse: squared difference.
/// - dice: 1 - (2 sum pt + 1) / (sum p + sum t + 1) over a row's elements, mean over the classes but class 0.
///
/// An int64 label of -1 is unknown: it has no loss.
class Loss {
 public:
  /// `invalid_argument` names the job file's field when output, label and terms do not fit. Shapes are those
  /// of a sample.
  static Result<Loss> create(const std::vector<scheduler::LossTerm>& terms, std::uint32_t classes,
                             const data::FieldShape& label, const std::vector<std::int64_t>& output);

  Fit fit() const { return fit_; }

  /// Of float32 outputs and labels as `to_label` makes them; one number.
  at::Tensor sum(const at::Tensor& output, const at::Tensor& label) const;

  /// The label of a batch as the losses want it: int64 classes or float32 numbers, in the shape they have in
  /// the output.
  at::Tensor to_label(const at::Tensor& label) const;

  /// Brings an output into the shape the losses want (a single score or number may have a dimension more).
  at::Tensor to_output(const at::Tensor& output) const;

 private:
  struct Term {
    scheduler::LossTerm spec;
    at::Tensor class_weights;  ///< undefined: all 1
  };

  at::Tensor sum_of(const Term& term, const at::Tensor& output, const at::Tensor& label) const;
  at::Tensor cross_entropy(const Term& term, const at::Tensor& output, const at::Tensor& label) const;
  at::Tensor focal(const Term& term, const at::Tensor& output, const at::Tensor& label) const;
  at::Tensor bce(const at::Tensor& output, const at::Tensor& label) const;
  at::Tensor mse(const at::Tensor& output, const at::Tensor& label) const;
  at::Tensor dice(const at::Tensor& output, const at::Tensor& label) const;
  at::Tensor sum_rows(const at::Tensor& elements, const at::Tensor& label) const;

  std::vector<Term> terms_;
  Fit fit_ = Fit::scores;
  std::int64_t classes_ = 0;
  std::vector<std::int64_t> label_shape_, output_shape_;  ///< of a sample
  bool knows_unknown_ = false;                            ///< an int64 label may be -1
};

}  // namespace ds::train
