#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/fabric/buffer.hpp"
#include "actors/infer/served_model.hpp"
#include "actors/replica/quantized_model.hpp"
#include "actors/train/session.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "storage/result.hpp"

namespace ds::replica {

// What a replica does with torch, on its model's thread. They may take long.

/// A model's file. Errors, naming the path: `not_found`; `invalid_argument` for a pipe or a device, of which
/// nothing is read.
Result<std::string> read_archive(const std::string& path);

/// Where a model is taken from that is not the file which its job names.
struct GivenModel {
  std::optional<train::StateImage> state;  ///< of a checkpoint
  Buffer archive;                          ///< else a TorchScript file
  std::string origin;                      ///< for errors
};

/// A model's file by its content, as SHA-256 in hexadecimal.
struct FileIdentity {
  std::string wanted;  ///< what the job's other replicas serve; empty: not known
  std::string found;   ///< what was read
};

/// The model that the job's file names, unless it is `given`. A file that is not the one that is wanted is a
/// `conflict`, before anything of it is run. With `quantize` it has been compared with fp32,
/// and accepted; with `batching.padding` its answers have been found to stay the same when it is padded.
Result<std::unique_ptr<infer::ServedModel>> load_model(const scheduler::JobSpec& spec,
                                                       const GivenModel* given,
                                                       const QuantizationContext& context = {},
                                                       FileIdentity* file = nullptr);

/// A measured run.
struct Observation {
  std::uint32_t rows = 0;
  std::int64_t took_us = 0;
};
/// Runs it on zeros until it is as fast as it gets: what is built at the first calls is built. What fails on
/// zeros is left to requests.
std::vector<Observation> warm_up(infer::ServedModel& model);

struct BatchOutcome {
  std::vector<Result<infer::ServedModel::Tensors>> answers;  ///< one a request
  std::int64_t took_us = 0;
  bool was_split = false;                 ///< together they failed, so they ran apart
  serving::PaddedElements elements = {};  ///< of inputs that were padded, as the model's `padding` says
};
/// Requests of shapes whose `serving::shape_key` is equal. One that the model can't take fails alone; where
/// memory is too short for all, they run in halves. Once the model has lost its device, all fail.
BatchOutcome run_batch(infer::ServedModel& model, const std::vector<infer::ServedModel::Tensors>& requests);

}  // namespace ds::replica
