#pragma once

#include <memory>

#include "actors/data/dataset.hpp"
#include "actors/train/model.hpp"
#include "actors/train/session.hpp"
#include "actors/train/state_description.hpp"
#include "scheduler/spec/job_spec.hpp"

namespace ds::train {

/// What a session is made of.
struct SessionParts {
  scheduler::JobSpec spec;
  std::unique_ptr<data::Dataset> training;
  std::unique_ptr<data::Dataset> validation;  ///< may be null
  std::unique_ptr<Model> model;
  StateDescription description;
  Buffer module;                 ///< the TorchScript file's bytes; empty: a model of the zoo
  double majority_accuracy = 0;  ///< on the validation set, of the most frequent training label
};

/// Opens the data and builds the model. Errors as `TrainingSession::create`.
Result<SessionParts> make_parts(const scheduler::JobSpec& spec);

/// Judges the validation set, each logical rank its share. `step` and `noise_scale` are left 0. `pieces` may
/// be null.
Result<EvaluationResult> evaluate_model(const SessionParts& parts, collective::Communicator& communicator,
                                        PieceWatch* pieces);

/// The metrics that an evaluation gives: those asked for, or those that fit the loss.
std::vector<std::string> metric_names(const scheduler::JobSpec& spec, std::uint32_t classes);

}  // namespace ds::train
