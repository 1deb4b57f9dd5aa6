#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/train/models/script_text.hpp"

namespace ds::train {

// Each adds a layer's parameters, which begin as PyTorch's do, to a text, and gives the expression that
// applies it to `x`.

std::string add_linear(ScriptText& text, const std::string& layer, std::int64_t inputs, std::int64_t outputs,
                       const std::string& x);

/// Row 0 is the padding token's: zero, and without gradient.
std::string add_embedding(ScriptText& text, const std::string& layer, std::int64_t rows, std::int64_t width,
                          const std::string& x);

/// A convolution in as many dimensions as `kernel` has, padded by half of it.
struct Convolution {
  std::int64_t inputs = 1, outputs = 1;
  std::vector<std::int64_t> kernel;
  std::int64_t stride = 1;
  bool bias = false;
};
std::string add_convolution(ScriptText& text, const std::string& layer, const Convolution& shape,
                            const std::string& x);

/// Counts its batches in `num_batches_tracked`, which `count_batches` writes the line for.
std::string add_batch_norm(ScriptText& text, const std::string& layer, std::int64_t channels,
                           const std::string& x);
std::string count_batches(const ScriptText& text);

/// In groups of eight channels where these divide them.
std::string add_group_norm(ScriptText& text, const std::string& layer, std::int64_t channels,
                           const std::string& x);

std::string add_layer_norm(ScriptText& text, const std::string& layer, std::int64_t width,
                           const std::string& x);

/// A line that drops elements of `x`; nothing when the probability is 0.
std::string dropout_line(const std::string& x, double probability);

/// The line that returns `x`, [rows, elements], as samples of this shape.
std::string return_shaped(const std::string& x, const std::vector<std::int64_t>& shape);

/// `[1, 1]`: a TorchScript list of `count` times `value`.
std::string repeated(std::int64_t value, std::size_t count);

}  // namespace ds::train
