#pragma once

#include <torch/csrc/jit/api/module.h>

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "storage/result.hpp"

namespace ds::train {

/// What a refusal says: which key of the job's file names the archive, and what won't do with it.
enum class ArchiveUse { training, serving };

/// Reads a TorchScript archive that a stranger may have written.
///
/// An archive is a program, so nothing of it runs before it has been checked. Its records first, before torch
/// reads them: no code that runs while loading (`find_code_run_while_loading`), no objects of classes that
/// are written in C++, no format of old torches. Then, once torch has compiled it: all operators of all its
/// functions must be allowed (`is_allowed_operator`), and `forward` must not assign attributes that are no
/// tensors, for those would be state that nobody checkpoints. `forward` must take `inputs` arguments. All
/// else is `invalid_argument` and names the file.
Result<torch::jit::Module> load_script_archive(const std::string& path, std::size_t inputs);
/// The same of an archive's bytes; errors name `origin`. `inputs`: none, whatever `forward` takes. What the
/// archive holds beside the module under the names in `extra_files` is put there; what it lacks stays empty.
/// All its tensors, those in its program too, lie on `device`.
Result<torch::jit::Module> read_script_archive(std::string bytes, const std::string& origin, ArchiveUse use,
                                               std::optional<std::size_t> inputs,
                                               std::map<std::string, std::string>& extra_files,
                                               c10::Device device = c10::kCPU);

}  // namespace ds::train
