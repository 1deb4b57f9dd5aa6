#include "scheduler/simulator/plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <span>
#include <string_view>
#include <vector>

namespace ds::simulator {
namespace {

constexpr double kLeft = 70;
constexpr double kWidth = 1100;  ///< of both charts
constexpr double kMaxRow = 12;
constexpr double kMaxGantt = 900;
constexpr double kGap = 70;
constexpr double kCurve = 300;
constexpr double kCurveStep = 1;  ///< between two points of a curve with thousands

/// A vertical line of a chart, and what stands below it.
struct Tick {
  double x = 0;
  std::string label;
};

std::string label_time(double seconds) {
  if (seconds >= 3600) return fmt::format("{:.4g} h", seconds / 3600);
  return seconds >= 60 ? fmt::format("{:.4g} min", seconds / 60) : fmt::format("{:.4g} s", seconds);
}

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
  std::vector<Tick> ticks() const {
    std::vector<Tick> ticks;
    for (int i = 0; i * step_s() <= end_s; ++i) ticks.push_back({at(i * step_s()), label_time(i * step_s())});
    return ticks;
  }
};

/// Pixels from shares along the horizontal axis, which ends at `end`.
struct ShareAxis {
  double end = 1;

  double at(double share) const { return kLeft + kWidth * share / end; }
  std::vector<Tick> ticks() const {
    constexpr std::array kSteps{0.1, 0.25, 0.5, 1.0};
    const auto fine = std::find_if(kSteps.begin(), kSteps.end(), [&](double s) { return end / s <= 14; });
    const double step = fine == kSteps.end() ? std::ceil(end / 14) : *fine;
    std::vector<Tick> ticks;
    for (int i = 0; i * step <= end; ++i)
      ticks.push_back({at(i * step), fmt::format("{:.0f} %", 100 * i * step)});
    return ticks;
  }
};

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

void start_page(std::string& svg, double height) {
  fmt::format_to(
      std::back_inserter(svg),
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0:.0f}' height='{1:.0f}' viewBox='0 0 {0:.0f} "
      "{1:.0f}'>\n",
      kLeft + kWidth + 40, height);
  svg +=
      "<style>text{font:12px sans-serif;fill:#333}.title{font-size:14px;font-weight:bold}.grid{stroke:#ddd}"
      ".wait{stroke:#999}.most{stroke:#999;fill:none}.curve{stroke:#1d4f91;stroke-width:2;fill:none}</"
      "style>\n"
      "<rect width='100%' height='100%' fill='white'/>\n";
}

/// Lines and labels of a chart between two heights.
void draw_axis(std::string& svg, std::span<const Tick> ticks, double top, double bottom,
               std::string_view title) {
  auto out = std::back_inserter(svg);
  fmt::format_to(out, "<text x='{:.1f}' y='{:.1f}' class='title'>{}</text>\n", kLeft, top - 12, title);
  for (const Tick& tick : ticks) {
    fmt::format_to(out, "<path d='M{:.1f} {:.1f}V{:.1f}' class='grid'/>", tick.x, top, bottom);
    fmt::format_to(out, "<text x='{:.1f}' y='{:.1f}' text-anchor='middle'>{}</text>\n", tick.x, bottom + 16,
                   tick.label);
  }
}

/// Where a share is in a chart of height `kCurve`.
double height_of(double share, double top) {
  return top + kCurve * (1 - share);
}

/// Horizontal lines of such a chart.
void draw_shares(std::string& svg, double top) {
  auto out = std::back_inserter(svg);
  for (int percent = 0; percent <= 100; percent += 25) {
    const double y = height_of(percent / 100.0, top);
    fmt::format_to(out, "<path d='M{:.1f} {:.1f}h{:.1f}' class='grid'/>", kLeft, y, kWidth);
    fmt::format_to(out, "<text x='{:.1f}' y='{:.1f}' text-anchor='end'>{} %</text>\n", kLeft - 8, y + 4,
                   percent);
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
  draw_axis(svg, axis.ticks(), top, bottom, "Jobs: when they waited and when they had slots");
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
  draw_axis(svg, axis.ticks(), top, top + kCurve, "Share of jobs done, by time since their submission");
  draw_shares(svg, top);
  auto out = std::back_inserter(svg);
  fmt::format_to(out, "<path class='curve' d='M{:.1f} {:.1f}", kLeft, top + kCurve);
  for (std::size_t i = 0; i < times.size(); ++i) {
    const double share = static_cast<double>(i + 1) / static_cast<double>(times.size());
    fmt::format_to(out, "H{:.1f}V{:.1f}", axis.at(times[i]), height_of(share, top));
  }
  svg += "'/>\n";
}

}  // namespace

std::string draw_svg(const Outcome& outcome) {
  const double row = std::min(kMaxRow, kMaxGantt / static_cast<double>(outcome.jobs.size()));
  const double gantt = row * static_cast<double>(outcome.jobs.size());
  std::string svg;
  start_page(svg, kGap + gantt + kGap + kCurve + kGap / 2);
  draw_gantt(svg, outcome, kGap, row);
  draw_completion(svg, outcome, kGap + gantt + kGap);
  return svg + "</svg>\n";
}

std::string draw_svg(const PackingOutcome& outcome) {
  const auto share = [&](double gpu_milli) { return gpu_milli / outcome.gpu_milli; };
  const ShareAxis axis{std::max(1.0, share(outcome.requested_gpu_milli))};
  std::string svg;
  start_page(svg, kGap + kCurve + kGap / 2);
  draw_axis(svg, axis.ticks(), kGap, kGap + kCurve,
            "Share of the GPUs allocated, by the share that those who came have asked for");
  draw_shares(svg, kGap);
  auto out = std::back_inserter(svg);
  fmt::format_to(out, "<path class='most' d='M{:.1f} {:.1f}L{:.1f} {:.1f}H{:.1f}'/>\n", axis.at(0),
                 height_of(0, kGap), axis.at(1), height_of(1, kGap), axis.at(axis.end));
  fmt::format_to(out, "<path class='curve' d='M{:.1f} {:.1f}", axis.at(0), height_of(0, kGap));
  double drawn = axis.at(0);
  for (const PackingPoint& point : outcome.curve) {
    const double x = axis.at(share(point.requested_gpu_milli));
    if (x - drawn < kCurveStep && &point != &outcome.curve.back()) continue;
    fmt::format_to(out, "L{:.1f} {:.1f}", x, height_of(share(point.allocated_gpu_milli), kGap));
    drawn = x;
  }
  fmt::format_to(out, "'/>\n<text x='{:.1f}' y='{:.1f}' text-anchor='end'>{:.1f} %</text>\n", drawn,
                 height_of(share(outcome.allocated_gpu_milli), kGap) + 18,
                 100 * share(outcome.allocated_gpu_milli));
  return svg + "</svg>\n";
}

}  // namespace ds::simulator
