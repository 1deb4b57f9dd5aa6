#include "actors/infer/quantization_report.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace ds::infer {
namespace {

using Json = nlohmann::json;

std::string percent(double share) {
  return fmt::format("{:.1f} %", share * 100);
}

double mebibytes(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

std::string layers_of(const QuantizationReport& report) {
  const auto count = [](std::uint32_t layers, const char* kind) {
    return fmt::format("{} {} layer{}", layers, kind, layers == 1 ? "" : "s");
  };
  if (report.lstm_layers == 0) return count(report.linear_layers, "linear");
  if (report.linear_layers == 0) return count(report.lstm_layers, "LSTM");
  return count(report.linear_layers, "linear") + " and " + count(report.lstm_layers, "LSTM");
}

std::string quality_of(const QuantizationReport& report) {
  if (report.accuracy_before && report.accuracy_after)
    return fmt::format("accuracy {} instead of {}", percent(*report.accuracy_after),
                       percent(*report.accuracy_before));
  auto text = fmt::format("outputs are {:.2g} % off", report.relative_error * 100);
  if (report.agreement) text += fmt::format(", {} of answers are the same", percent(*report.agreement));
  return text;
}

Json or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}
std::optional<double> or_none(const Json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

}  // namespace

std::string to_text(const QuantizationReport& report) {
  return fmt::format(
      "int8: {} in {:.3g} instead of {:.3g} MiB; {:.3g} instead of {:.3g} ms for a row, {:.3g} instead of "
      "{:.3g} for "
      "{}; {} ({})",
      layers_of(report), mebibytes(report.bytes_after), mebibytes(report.bytes_before), report.one_ms_after,
      report.one_ms_before, report.batch_ms_after, report.batch_ms_before, report.batch_rows,
      quality_of(report), report.compared_on);
}

std::string to_json(const QuantizationReport& report) {
  return Json{{"to", "int8"},
              {"linear_layers", report.linear_layers},
              {"lstm_layers", report.lstm_layers},
              {"bytes_before", report.bytes_before},
              {"bytes_after", report.bytes_after},
              {"batch_rows", report.batch_rows},
              {"one_ms_before", report.one_ms_before},
              {"one_ms_after", report.one_ms_after},
              {"batch_ms_before", report.batch_ms_before},
              {"batch_ms_after", report.batch_ms_after},
              {"compared_on", report.compared_on},
              {"rows", report.rows},
              {"relative_error", report.relative_error},
              {"agreement", or_null(report.agreement)},
              {"accuracy_before", or_null(report.accuracy_before)},
              {"accuracy_after", or_null(report.accuracy_after)},
              {"text", to_text(report)}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<QuantizationReport> report_from_json(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    QuantizationReport report;
    report.linear_layers = json.at("linear_layers");
    report.lstm_layers = json.at("lstm_layers");
    report.bytes_before = json.at("bytes_before");
    report.bytes_after = json.at("bytes_after");
    report.batch_rows = json.at("batch_rows");
    report.one_ms_before = json.at("one_ms_before");
    report.one_ms_after = json.at("one_ms_after");
    report.batch_ms_before = json.at("batch_ms_before");
    report.batch_ms_after = json.at("batch_ms_after");
    report.compared_on = json.at("compared_on");
    report.rows = json.at("rows");
    report.relative_error = json.at("relative_error");
    report.agreement = or_none(json.at("agreement"));
    report.accuracy_before = or_none(json.at("accuracy_before"));
    report.accuracy_after = or_none(json.at("accuracy_after"));
    return report;
  } catch (const Json::exception& thrown) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("not a report of a quantization: {}", thrown.what()));
  }
}

Result<void> check_quantization(const QuantizationReport& report, const QuantizationBounds& bounds) {
  if (!std::isfinite(report.relative_error)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("quantize: int8 makes outputs that are no numbers, where fp32 has some ({})",
                            report.compared_on),
                "leave quantize out");
  }
  if (report.accuracy_before && report.accuracy_after) {
    const double loss = *report.accuracy_before - *report.accuracy_after;
    if (loss <= bounds.max_loss) return {};
    return fail(
        ErrorCode::invalid_argument,
        fmt::format(
            "quantize: int8 loses {} of accuracy, {} instead of {} on {}, and quantize.max_loss is {}",
            percent(loss), percent(*report.accuracy_after), percent(*report.accuracy_before),
            report.compared_on, bounds.max_loss),
        "leave quantize out, or say quantize: {max_loss: …} with what may be lost");
  }
  if (report.relative_error <= bounds.max_error) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("quantize: int8 makes outputs {:.2g} % off on {}, and quantize.max_error is {}",
                          report.relative_error * 100, report.compared_on, bounds.max_error),
              "say quantize: {eval: …} with labelled data to compare accuracies, or {max_error: …}");
}

}  // namespace ds::infer
