#pragma once

#include <memory>
#include <string>

#include "actors/infer/served_model.hpp"
#include "actors/train/session.hpp"
#include "scheduler/spec/serve_spec.hpp"
#include "storage/result.hpp"

namespace ds::replica {

/// What a replica knows besides its job's file.
struct QuantizationContext {
  std::string training_directory = {},
              training_text = {};  ///< the file of the checkpoint's job; may be empty
  std::string accepted = {};       ///< the report of a replica before: it is not compared again
};

/// The model with layers of 8 bits, compared with fp32 on the data that `choose_evaluation` finds, and only
/// when it is within the job's bounds (`infer::check_quantization`). The report is with the model. `state`:
/// of its checkpoint, where it is one. May take half a minute.
Result<std::unique_ptr<infer::ServedModel>> load_quantized(infer::ModelSource source,
                                                           infer::ModelOptions options,
                                                           const scheduler::QuantizeSpec& quantize,
                                                           const train::StateImage* state,
                                                           const QuantizationContext& context);

}  // namespace ds::replica
