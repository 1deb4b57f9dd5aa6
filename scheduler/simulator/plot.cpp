#include "scheduler/simulator/plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string_view>

namespace ds::simulator {
namespace {

constexpr double kLeft = 70;
constexpr double kWidth = 1100;  ///< of both charts
constexpr double kMaxRow = 12;
constexpr double kMaxGantt = 900;
constexpr double kGap = 70;
constexpr double kCurve = 300;

/// Pixels from seconds along the horizontal axis.
struct TimeAxis {
  double end_s = 1;

  double at(double seconds) const { return kLeft + kWidth * seconds / end_s; }
  /// Between two labels: the first of these steps that needs at most twelve.
  double step_s() const {
    constexpr std::array kSteps{1.0,    5.0,    15.0,    60.0,    300.0,   900.0,   1800.0,
                                3600.0, 7200.0, 21600.0, 43200.0, 86400.0, 604800.0};
    const auto step = std::find_if(kSteps.begin(), kSteps.end(), [&](double s) { return end_s / s <= 12; });
    return step == kSteps.end() ? end_s / 12 : *step;
  }
};

std::string label(double seconds) {
  if (seconds >= 3600) return fmt::format("{:.4g} h", seconds / 3600);
  return seconds >= 60 ? fmt::format("{:.4g} min", seconds / 60) : fmt::format("{:.4g} s", seconds);
}

std::string escape(std::string_view text) {
  std::string safe;
  for (const char letter : text) {
    switch (letter) {
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '&':
        safe += "&amp;";
        break;
      default:
        safe += static_cast<unsigned char>(letter) < ' ' ? ' ' : letter;
    }
  }
  return safe;
}

/// Lines and labels of a chart between two heights.
void draw_axis(std::string& svg, const TimeAxis& axis, double top, double bottom, std::string_view title) {
  auto out = std::back_inserter(svg);
  fmt::format_to(out, "<text x='{:.1f}' y='{:.1f}' class='title'>{}</text>\n", kLeft, top - 12, title);
  const double step_s = axis.step_s();
  for (int i = 0; i * step_s <= axis.end_s; ++i) {
    const double x = axis.at(i * step_s);
    fmt::format_to(out, "<path d='M{:.1f} {:.1f}V{:.1f}' class='grid'/>", x, top, bottom);
    fmt::format_to(out, "<text x='{:.1f}' y='{:.1f}' text-anchor='middle'>{}</text>\n", x, bottom + 16,
                   label(i * step_s));
  }
}

/// Light to dark, the most slots at the end.
std::string colour(std::uint32_t slots, std::uint32_t most) {
  const double share = most > 1 ? std::log2(slots) / std::log2(most) : 1;
  return fmt::format("hsl(215 70% {:.0f}%)", 75 - 50 * share);
}

void draw_gantt(std::string& svg, const Outcome& outcome, double top, double row) {
  const TimeAxis axis{outcome.makespan_s};
  const double bottom = top + row * static_cast<double>(outcome.jobs.size());
  draw_axis(svg, axis, top, bottom, "Jobs: when they waited and when they had slots");
  std::uint32_t most = 1;
  for (const JobOutcome& job : outcome.jobs) {
    for (const SlotSpan& span : job.spans) most = std::max(most, span.slots);
  }
  auto out = std::back_inserter(svg);
  double y = top;
  for (const JobOutcome& job : outcome.jobs) {
    fmt::format_to(out, "<g><title>{}</title><path d='M{:.1f} {:.1f}H{:.1f}' class='wait'/>",
                   escape(job.name), axis.at(job.submitted_s), y + row / 2,
                   axis.at(job.was_refused() ? job.submitted_s : job.done_s));
    for (const SlotSpan& span : job.spans) {
      const double x = axis.at(span.from_s);
      fmt::format_to(out, "<rect x='{:.1f}' y='{:.2f}' width='{:.1f}' height='{:.2f}' fill='{}'/>", x,
                     y + row * 0.1, axis.at(span.to_s) - x, row * 0.8, colour(span.slots, most));
    }
    svg += "</g>\n";
    y += row;
  }
}

void draw_completion(std::string& svg, const Outcome& outcome, double top) {
  std::vector<double> times;
  for (const JobOutcome& job : outcome.jobs) {
    if (!job.was_refused()) times.push_back(job.done_s - job.submitted_s);
  }
  std::sort(times.begin(), times.end());
  if (times.empty()) return;  // all were refused
  const TimeAxis axis{times.back()};
  draw_axis(svg, axis, top, top + kCurve, "Share of jobs done, by time since their submission");
  auto out = std::back_inserter(svg);
  for (int percent = 0; percent <= 100; percent += 25) {
    const double y = top + kCurve * (1 - percent / 100.0);
    fmt::format_to(out, "<path d='M{:.1f} {:.1f}h{:.1f}' class='grid'/>", kLeft, y, kWidth);
    fmt::format_to(out, "<text x='{:.1f}' y='{:.1f}' text-anchor='end'>{} %</text>\n", kLeft - 8, y + 4,
                   percent);
  }
  fmt::format_to(out, "<path class='curve' d='M{:.1f} {:.1f}", kLeft, top + kCurve);
  for (std::size_t i = 0; i < times.size(); ++i) {
    const double share = static_cast<double>(i + 1) / static_cast<double>(times.size());
    fmt::format_to(out, "H{:.1f}V{:.1f}", axis.at(times[i]), top + kCurve * (1 - share));
  }
  svg += "'/>\n";
}

}  // namespace

std::string draw_svg(const Outcome& outcome) {
  const double row = std::min(kMaxRow, kMaxGantt / static_cast<double>(outcome.jobs.size()));
  const double gantt = row * static_cast<double>(outcome.jobs.size());
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0:.0f}' height='{1:.0f}' viewBox='0 0 {0:.0f} "
      "{1:.0f}'>\n",
      kLeft + kWidth + 40, kGap + gantt + kGap + kCurve + kGap / 2);
  svg +=
      "<style>text{font:12px sans-serif;fill:#333}.title{font-size:14px;font-weight:bold}.grid{stroke:#ddd}"
      ".wait{stroke:#999}.curve{stroke:#1d4f91;stroke-width:2;fill:none}</style>\n"
      "<rect width='100%' height='100%' fill='white'/>\n";
  draw_gantt(svg, outcome, kGap, row);
  draw_completion(svg, outcome, kGap + gantt + kGap);
  return svg + "</svg>\n";
}

}  // namespace ds::simulator
