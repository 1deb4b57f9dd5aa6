#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/infer/text_encoder.hpp"
#include "actors/serving/model_metadata.hpp"
#include "storage/result.hpp"

namespace ds::infer {

/// What an export of ours puts beside the module in the archive.
struct ModelFiles {
  std::vector<serving::TensorSpec> inputs;  ///< in the order of `forward`'s arguments; empty: it is no such
  std::optional<TextEncoder> encoder;
  std::size_t encoded = 0;          ///< which input the encoder makes
  std::vector<std::string> labels;  ///< by class; empty: the label is no class
};

/// Names of the files, with empty texts to be filled in.
std::map<std::string, std::string> model_file_names();

/// Pure. Errors: `invalid_argument` when a file is not what an export writes.
Result<ModelFiles> read_model_files(const std::map<std::string, std::string>& files);

}  // namespace ds::infer
