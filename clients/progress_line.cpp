#include "clients/progress_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "clients/json_fields.hpp"
#include "clients/printable.hpp"
#include "clients/time_text.hpp"

namespace ds::clients {
namespace {

constexpr std::size_t kBarColumns = 22;

std::vector<std::string> training_fields(const nlohmann::json& job, std::optional<std::int64_t> eta_s) {
  const std::int64_t step = integer_at(job, "step");
  const std::int64_t total = integer_at(job, "total_steps");
  const std::int64_t per_epoch = integer_at(job, "steps_per_epoch");
  std::vector<std::string> fields{fmt::format("step {}/{}", format_count(step), format_count(total))};
  if (per_epoch > 0) {
    const std::int64_t epochs = (total + per_epoch - 1) / per_epoch;
    fields.push_back(fmt::format("epoch {}/{}", std::min(integer_at(job, "epoch") + 1, epochs), epochs));
  }
  if (const auto loss = number_at(job, "metrics.loss")) fields.push_back(fmt::format("loss {:.3f}", *loss));
  if (const auto accuracy = number_at(job, "metrics.accuracy")) {
    fields.push_back(fmt::format("accuracy {:.1f}%", *accuracy * 100));
  }
  const std::size_t workers = array_at(job, "workers").size();
  if (workers > 0) fields.push_back(fmt::format("{} worker{}", workers, workers == 1 ? "" : "s"));
  if (const auto rate = number_at(job, "metrics.samples_per_s")) {
    fields.push_back(fmt::format("{} samples/s", format_count(std::llround(*rate))));
  }
  if (eta_s) fields.push_back("ETA " + format_duration(*eta_s));
  return fields;
}

}  // namespace

std::string format_bar(double part, std::size_t width) {
  if (width < 3) return std::string(width, ' ');
  const std::size_t inside = width - 2;
  const double clipped = std::isfinite(part) ? std::clamp(part, 0.0, 1.0) : 0.0;
  const auto full = static_cast<std::size_t>(clipped * static_cast<double>(inside));
  return "[" + std::string(full, '#') + std::string(inside - full, '.') + "]";
}

std::string format_progress(const nlohmann::json& job, std::optional<std::int64_t> eta_s,
                            std::optional<std::size_t> width) {
  const std::int64_t total = integer_at(job, "total_steps");
  const std::int64_t step = integer_at(job, "step");
  std::string line = printable_line(text_at(job, "state"));
  std::vector<std::string> fields;
  if (total > 0 && (step > 0 || line == "RUNNING")) {
    const double part = static_cast<double>(step) / static_cast<double>(total);
    if (width && *width >= 60) line += " " + format_bar(part, kBarColumns);
    line += fmt::format(" {:3.0f}%", std::floor(std::clamp(part, 0.0, 1.0) * 100));
    fields = training_fields(job, eta_s);
  }
  const std::string reason = printable_line(text_at(job, "reason"));
  if (!reason.empty() && text_at(job, "state") != "RUNNING") fields.insert(fields.begin(), reason);
  for (const auto& field : fields) {
    if (width && display_width(line) + 2 + display_width(field) > *width) break;
    line += "  " + field;
  }
  return width ? cut_to_width(line, *width) : line;
}

void EtaEstimate::observe(std::int64_t step, double now_s) {
  if (step < step_ || step_ < 0) {
    steps_per_s_ = 0;
  } else if (step == step_ || now_s <= now_s_) {
    return;
  } else {
    const double rate = static_cast<double>(step - step_) / (now_s - now_s_);
    constexpr double kNewest = 0.2;  // smooths polls that fall between two steps
    steps_per_s_ = steps_per_s_ > 0 ? (1 - kNewest) * steps_per_s_ + kNewest * rate : rate;
  }
  step_ = step;
  now_s_ = now_s;
}

std::optional<std::int64_t> EtaEstimate::seconds_left(std::int64_t total_steps) const {
  if (steps_per_s_ <= 0 || total_steps < step_) return std::nullopt;
  return std::llround(static_cast<double>(total_steps - step_) / steps_per_s_);
}

}  // namespace ds::clients
