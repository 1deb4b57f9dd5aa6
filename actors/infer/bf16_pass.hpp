#pragma once

// Private to actors/infer.

#include <torch/csrc/jit/api/module.h>

#include "storage/result.hpp"

namespace ds::infer {

/// A module that computes in BF16: frozen, every floating-point tensor in it converted, and every place where
/// its program says a floating-point type, or leaves it to torch's default. What layers with weights take is
/// converted on the way in, where the program has made it of whole numbers. The given one, which must be in
/// evaluation mode and takes BF16 from now on, is not to be used any more. Its operators have been checked
/// before. `is_on_gpu`: its attention may be computed as one, where torch has that. Errors:
/// `invalid_argument` when it can't be frozen.
Result<torch::jit::Module> to_bf16(const torch::jit::Module& module, bool is_on_gpu);

}  // namespace ds::infer
