#pragma once

#include "actors/infer/compare_models.hpp"
#include "actors/replica/quantized_model.hpp"

namespace ds::replica {

/// What a quantized model is compared on: at most `kMostEvaluationRows`, from all over the data.
///
/// `quantize.eval`, else what the checkpoint's job was validated on, else random numbers; also where the
/// validation data can't be read here, which the evaluation's name says. A model that takes texts gets those
/// of the field `text`; one of a checkpoint gets what its job's transforms make of the data; any other gets
/// the fields as they stand in the file, by their names, or the only one. Labels are compared where the data
/// has classes. Errors: of the data that `eval` names.
Result<infer::Evaluation> choose_evaluation(const scheduler::QuantizeSpec& quantize,
                                            const train::StateImage* state,
                                            const QuantizationContext& context, infer::ServedModel& model);

inline constexpr std::uint64_t kMostEvaluationRows = 2000;

}  // namespace ds::replica
