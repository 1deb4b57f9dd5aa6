#pragma once

// Private to actors/infer.

#include <c10/core/Device.h>
#include <torch/csrc/jit/api/module.h>

namespace ds::infer {

/// Lets a module that was written or traced for one device compute on another: tensors that its program makes
/// without saying where, or on a device that it names (as a constant, by a text, or as an attribute of a
/// module), are made on `device`. A device that it has otherwise stays: out of a list, say, or as an
/// argument. Its own tensors have to be there already. To be called before the module has run. Throws what
/// torch throws.
void compute_on(const torch::jit::Module& module, c10::Device device);

}  // namespace ds::infer
