#pragma once

#include <memory>

namespace ds::train {

/// While it lives, matrix products and convolutions of this thread take and give binary16: what comes in, the
/// weights too, and what goes out is rounded to it, and in the backward pass the gradients at both places. As
/// mixed precision on a GPU (Micikevicius et al., "Mixed Precision Training", ICLR 2018), products are added
/// up in float32. Everything else, and the memory of tensors, stays float32.
///
/// Emulated, because torch 1.13 has neither matrix products nor convolutions of binary16 on a processor: it
/// shows what a model does in fp16 and is no faster than float32.
class HalfPrecision {
 public:
  explicit HalfPrecision(bool on);
  ~HalfPrecision();
  HalfPrecision(const HalfPrecision&) = delete;
  HalfPrecision& operator=(const HalfPrecision&) = delete;

 private:
  struct Switch;
  std::unique_ptr<Switch> switch_;  ///< null: off
};

}  // namespace ds::train
