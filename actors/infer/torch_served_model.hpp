#pragma once

// Private to actors/infer: the model behind `ServedModel`.

#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include <torch/csrc/jit/api/module.h>

#include <ATen/ATen.h>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "actors/infer/compute_device.hpp"
#include "actors/infer/model_files.hpp"
#include "actors/infer/served_model.hpp"

namespace ds::infer {

/// An output.
struct Named {
  std::string name;
  at::Tensor tensor;
};

class TorchServedModel final : public ServedModel {
 public:
  TorchServedModel(torch::jit::Module module, ComputeDevice device, Int8Sizes int8, ModelFiles files,
                   ModelSource source, const ModelOptions& options)
      : module_(std::move(module)),
        device_(device),
        int8_(int8),
        files_(std::move(files)),
        origin_(std::move(source.origin)),
        threads_(options.threads) {
    metadata_.name = options.name;
    metadata_.platform = "pytorch_torchscript";
    metadata_.versions = {options.version};
    metadata_.max_batch_size = options.max_batch_size;
    metadata_.inputs = source.inputs.empty() ? files_.inputs : std::move(source.inputs);
    metadata_.outputs = std::move(source.outputs);
    if (metadata_.inputs != files_.inputs) files_.encoder.reset();
  }

  const serving::ModelMetadata& metadata() const override { return metadata_; }
  const Int8Sizes& int8_sizes() const override { return int8_; }

  /// Finds the outputs out.
  Result<void> try_out();
  /// From now on it computes in BF16, once it has been tried that it can. After `try_out`.
  Result<void> use_bf16();

  bool takes_texts() const override { return files_.encoder.has_value(); }
  Result<void> use_text_buckets(std::span<const std::int64_t> buckets, double tolerance,
                                std::chrono::milliseconds longest) override;
  serving::PaddedElements text_elements() const override { return text_elements_; }

  Result<std::vector<Tensors>> run(std::span<const Tensors* const> requests) override;
  bool is_on_gpu() const override { return device_.is_gpu(); }
  bool has_lost_device() const override { return has_lost_device_; }

 private:
  std::optional<std::size_t> encoded() const {
    return files_.encoder ? std::optional(files_.encoded) : std::nullopt;
  }

  // ---- trials (model_trials.cpp) ----
  Result<void> check_signature() const;
  Result<void> try_text_bucket(std::int64_t bucket, double tolerance);
  at::Tensor zeros_for(std::size_t input, std::int64_t rows, std::int64_t size) const;
  std::vector<c10::IValue> zeros(std::int64_t rows, std::int64_t size) const;
  std::vector<c10::IValue> random_floats(std::int64_t rows, std::int64_t size) const;
  void vary_outputs();
  Result<void> note_outputs(const std::vector<Named>& one_row, const std::vector<Named>& two_rows);

  // ---- requests (torch_served_model.cpp) ----
  at::Tensor tokens_of(std::span<const serving::Tensor* const> texts);
  std::vector<Named> forward(std::vector<c10::IValue> inputs);
  std::vector<Named> name_outputs(const c10::IValue& result) const;
  Result<std::vector<Tensors>> compute(std::span<const Tensors* const> requests);
  bool has_labels(const std::vector<Named>& outputs) const;

  torch::jit::Module module_;
  const ComputeDevice device_;
  bool has_lost_device_ = false;
  const Int8Sizes int8_;
  ModelFiles files_;
  const std::string origin_;
  const std::uint32_t threads_;
  serving::ModelMetadata metadata_;
  std::int64_t tried_size_ = 1;              ///< of dimensions that may have any, which it took
  std::vector<at::ScalarType> given_types_;  ///< of its outputs, which computes in BF16; empty: it doesn't
  std::vector<std::int64_t> text_buckets_;   ///< empty: texts are as long as in training
  serving::PaddedElements text_elements_;
};

/// What is wrong with the model of that origin.
tl::unexpected<Error> refuse_model(const std::string& origin, const std::string& problem,
                                   std::string hint = {});

}  // namespace ds::infer
