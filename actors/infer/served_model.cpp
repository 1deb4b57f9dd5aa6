#include "actors/infer/served_model.hpp"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <utility>

#include "actors/infer/compute_device.hpp"
#include "actors/infer/device_pass.hpp"
#include "actors/infer/int8_pass.hpp"
#include "actors/infer/model_files.hpp"
#include "actors/infer/torch_served_model.hpp"
#include "actors/train/models/script_archive.hpp"
#include "actors/train/models/torch_process.hpp"

namespace ds::infer {
namespace {

/// Of whatever failed when the GPU was lost: it says nothing of the model.
Error lost_device(std::string_view device, const Error& what_failed) {
  return {ErrorCode::unavailable,
          fmt::format("device {}: this process can't use the GPU any more: {}", device, what_failed.message),
          "another process may; if it comes again on this GPU only, see what nvidia-smi and dmesg say of it"};
}

Result<std::unique_ptr<ServedModel>> load_on(const ComputeDevice& device, ModelSource source,
                                             const ModelOptions& options) {
  auto files = model_file_names();
  auto module = train::read_script_archive(std::move(source.archive), source.origin,
                                           train::ArchiveUse::serving, std::nullopt, files, device.device());
  if (!module) return tl::unexpected(module.error());
  auto beside = read_model_files(files);
  if (!beside) return refuse_model(source.origin, beside.error().message);
  module->eval();
  if (device.is_gpu()) {
    const auto moved = train::guarded(
        fmt::format("model.source: {}: the model can't be prepared for {}", source.origin, options.device),
        ErrorCode::invalid_argument, [&]() -> Result<void> {
          compute_on(*module, device.device());
          return {};
        });
    if (!moved) return tl::unexpected(moved.error());
  }
  Int8Sizes int8;
  if (options.int8) {
    auto made = to_int8(*module);
    if (!made) return fail(made.error().code, source.origin + ": " + made.error().message, made.error().hint);
    int8 = {made->linear_layers, made->lstm_layers, made->bytes_before, made->bytes_after};
    module = std::move(made->module);
  }
  auto model = std::make_unique<TorchServedModel>(*std::move(module), device, int8, *std::move(beside),
                                                  std::move(source), options);
  if (const auto tried = model->try_out(); !tried) return tl::unexpected(tried.error());
  if (options.bf16) {
    if (const auto used = model->use_bf16(); !used) return tl::unexpected(used.error());
  }
  return model;
}

}  // namespace

Result<std::unique_ptr<ServedModel>> ServedModel::load(ModelSource source, const ModelOptions& options) {
  train::prepare_process();
  if (options.int8 && options.bf16) {
    return fail(ErrorCode::invalid_argument,
                source.origin + ": it can be served in bf16 or in int8, not in both",
                "leave one of them out");
  }
  if (options.int8 && options.device != "cpu") {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: int8 layers compute on the CPU, and the device is {}", source.origin,
                            options.device),
                "serve it in bf16 there, or in int8 on the CPU");
  }
  const auto device = ComputeDevice::open(options.device);
  if (!device) return tl::unexpected(device.error());
  auto model = load_on(*device, std::move(source), options);
  if (!model && !device->is_usable()) return tl::unexpected(lost_device(options.device, model.error()));
  return model;
}

}  // namespace ds::infer
