#include "actors/replica/quantized_model.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "actors/infer/compare_models.hpp"
#include "actors/replica/evaluation_data.hpp"

namespace ds::replica {
namespace {

constexpr std::chrono::seconds kCompareLimit{20};

}  // namespace

Result<std::unique_ptr<infer::ServedModel>> load_quantized(infer::ModelSource source,
                                                           infer::ModelOptions options,
                                                           const scheduler::QuantizeSpec& quantize,
                                                           const train::StateImage* state,
                                                           const QuantizationContext& context) {
  options.int8 = true;
  auto int8 = infer::ServedModel::load(context.accepted.empty() ? source : std::move(source), options);
  if (!int8) return int8;
  if (!context.accepted.empty()) {
    (*int8)->set_quantization(context.accepted);
    return int8;
  }
  options.int8 = false;
  auto fp32 = infer::ServedModel::load(std::move(source), options);
  if (!fp32) return fp32;
  const auto evaluation = choose_evaluation(quantize, state, context, **fp32);
  if (!evaluation) return tl::unexpected(evaluation.error());
  auto report = infer::compare_models(**fp32, **int8, *evaluation, kCompareLimit);
  if (!report) {
    return fail(report.error().code,
                fmt::format("quantize: int8 can't be compared with fp32 on {}: {}", evaluation->name,
                            report.error().message),
                "say quantize: {eval: …} with data that the model takes");
  }
  const infer::Int8Sizes& sizes = (*int8)->int8_sizes();
  report->linear_layers = sizes.linear_layers;
  report->lstm_layers = sizes.lstm_layers;
  report->bytes_before = sizes.bytes_before;
  report->bytes_after = sizes.bytes_after;
  spdlog::info("{}", infer::to_text(*report));
  const infer::QuantizationBounds bounds{quantize.max_loss, quantize.max_error};
  if (const auto accepted = infer::check_quantization(*report, bounds); !accepted)
    return tl::unexpected(accepted.error());
  (*int8)->set_quantization(infer::to_json(*report));
  return int8;
}

}  // namespace ds::replica
