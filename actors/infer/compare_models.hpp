#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "actors/infer/quantization_report.hpp"
#include "actors/infer/served_model.hpp"

namespace ds::infer {

/// Requests that two models are compared on.
struct Evaluation {
  std::vector<ServedModel::Tensors> batches;
  std::vector<std::string> labels;  ///< of all rows, a class's name or number; empty: none are known
  std::string name;                 ///< of the data: `test.csv`
};

/// Numbers that are drawn from the standard normal distribution, whole numbers from 0 to below 100 (or fewer,
/// where the model takes no such), words of random letters; always the same.
Evaluation make_random_evaluation(ServedModel& model, std::uint32_t rows);

/// Runs both models on all of it, or as much as `limit` allows, then times them in turns on a row and on a
/// batch of the first. Fills everything of the report but layers and bytes. The models are used on this
/// thread. Errors: what the models have against the data.
Result<QuantizationReport> compare_models(ServedModel& before, ServedModel& after,
                                          const Evaluation& evaluation, std::chrono::milliseconds limit);

}  // namespace ds::infer
