#include "clients/head_metrics.hpp"

#include <fmt/format.h>

#include <string>

#include "clients/failure.hpp"

namespace ds::clients {

constexpr std::size_t kMaxMetricsBytes = 64U << 20;

std::vector<Sample> get_head_metrics(ApiClient& api, std::chrono::milliseconds limit) {
  std::string text;
  const auto take = [&](std::string_view bytes) {
    text += bytes;
    return text.size() <= kMaxMetricsBytes;
  };
  api.download("/metrics", take, limit);
  if (text.size() > kMaxMetricsBytes) {
    throw Failure(
        ExitCode::unexpected, "bad_answer",
        fmt::format("{} has more than {} MiB of metrics", api.head().text(), kMaxMetricsBytes >> 20),
        "ds-submit metrics JOB shows those of one job");
  }
  return read_exposition(text);
}

}  // namespace ds::clients
