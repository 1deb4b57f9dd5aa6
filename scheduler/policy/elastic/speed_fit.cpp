#include "scheduler/policy/elastic/speed_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace ds::scheduler {
namespace {

constexpr std::size_t kParameters = 7;
constexpr double kNone = 1e-8;  ///< seconds: as good as nothing, but with a logarithm
constexpr double kMaxOverlap = 10;
constexpr double kAcrossNodes = 1.1;
constexpr int kMaxIterations = 40;

using Vector = std::array<double, kParameters>;

Vector to_vector(const SpeedModel& m) {
  return {m.compute_base, m.compute_sample, m.local_base, m.local_slot,
          m.network_base, m.network_slot,   m.overlap};
}

SpeedModel from_vector(const Vector& v) {
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6]};
}

/// Which parameters the measured steps say something about.
std::array<bool, kParameters> find_seen(std::span<const StepMeasured> measured) {
  std::array<bool, kParameters> seen{};
  const double batch = measured.front().batch;
  std::array<std::uint32_t, 2> first{};  // slots seen within one node, and across nodes
  for (const StepMeasured& step : measured) {
    seen[0] = true;
    seen[1] = seen[1] || step.batch != batch;
    if (step.slots < 2) continue;
    const std::size_t across = step.nodes > 1 ? 1 : 0;
    const std::size_t base = 2 + 2 * across;
    if (!seen[base]) first[across] = step.slots;
    seen[base] = true;
    seen[base + 1] = seen[base + 1] || step.slots != first[across];
    seen[6] = true;
  }
  return seen;
}

/// The parameters in logarithms (so that none gets negative), those that are free; the rest stand in `model`.
class Problem {
 public:
  Problem(std::span<const StepMeasured> measured, const SpeedModel& start)
      : measured_(measured), seen_(find_seen(measured)), point_(to_vector(start)) {
    if (!seen_[1]) {
      // One batch size: only the half that depends on it is fitted, the other is as large.
      point_[0] = point_[1] = 0;
      double sum = 0;
      for (const StepMeasured& step : measured) sum += step.compute_s;
      const double half = sum / static_cast<double>(measured.size()) / 2;
      point_[0] = half;
      point_[1] = half / measured.front().batch;
    }
    for (std::size_t i = 2; i < 6; ++i) {
      if (!seen_[i]) point_[i] = kNone;
    }
    for (std::size_t i = 0; i < kParameters; ++i) {
      if (seen_[i] && (i > 0 || seen_[1])) free_.push_back(i);
      point_[i] = std::clamp(point_[i], lower(i), upper(i));
    }
  }

  SpeedModel solve() {
    double error = squares(point_);
    double damping = 1e-2;
    for (int i = 0; i < kMaxIterations && !free_.empty() && error > 1e-12; ++i) {
      linearize();
      bool better = false;
      for (int attempt = 0; attempt < 8 && !better; ++attempt, damping *= 4) {
        const Vector next = step(damping);
        const double next_error = squares(next);
        if (next_error >= error) continue;
        better = true;
        const bool is_small = error - next_error < 1e-6 * error;
        point_ = next;
        error = next_error;
        if (is_small) return from_vector(point_);
      }
      if (!better) break;
      damping = std::max(damping / 40, 1e-9);
    }
    return from_vector(point_);
  }

 private:
  static double lower(std::size_t i) { return i == 6 ? 1 : kNone; }
  static double upper(std::size_t i) { return i == 6 ? kMaxOverlap : 1e6; }

  static std::array<double, 2> residuals(const SpeedModel& model, const StepMeasured& step) {
    return {std::log(model.step_s(step.nodes, step.slots, step.batch) / step.step_s),
            std::log(model.compute_s(step.batch) / step.compute_s)};
  }

  double squares(const Vector& point) const {
    const SpeedModel model = from_vector(point);
    double sum = 0;
    for (const StepMeasured& step : measured_) {
      for (const double r : residuals(model, step)) sum += r * r;
    }
    return sum;
  }

  /// Fills the normal equations at the point, by differences.
  void linearize() {
    normal_ = {};
    slope_ = {};
    const SpeedModel model = from_vector(point_);
    std::array<SpeedModel, kParameters> moved;
    constexpr double kMove = 1e-5;
    for (const std::size_t i : free_) {
      Vector v = point_;
      v[i] *= 1 + kMove;
      moved[i] = from_vector(v);
    }
    for (const StepMeasured& step : measured_) {
      const auto r = residuals(model, step);
      std::array<std::array<double, 2>, kParameters> d{};
      for (const std::size_t i : free_) {
        const auto m = residuals(moved[i], step);
        d[i] = {(m[0] - r[0]) / kMove, (m[1] - r[1]) / kMove};
      }
      for (const std::size_t i : free_) {
        slope_[i] += d[i][0] * r[0] + d[i][1] * r[1];
        for (const std::size_t j : free_) normal_[i][j] += d[i][0] * d[j][0] + d[i][1] * d[j][1];
      }
    }
  }

  /// Gauss-Jordan on the damped equations; a step changes no parameter by more than e^2.
  Vector step(double damping) const {
    const std::size_t n = free_.size();
    std::array<std::array<double, kParameters + 1>, kParameters> a{};
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) a[i][j] = normal_[free_[i]][free_[j]];
      a[i][i] = a[i][i] * (1 + damping) + 1e-9 + damping * 1e-3;
      a[i][n] = -slope_[free_[i]];
    }
    for (std::size_t i = 0; i < n; ++i) {
      const double pivot = a[i][i];
      for (std::size_t j = i; j <= n; ++j) a[i][j] /= pivot;
      for (std::size_t k = 0; k < n; ++k) {
        if (k == i) continue;
        const double factor = a[k][i];
        for (std::size_t j = i; j <= n; ++j) a[k][j] -= factor * a[i][j];
      }
    }
    Vector next = point_;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t p = free_[i];
      next[p] = std::clamp(point_[p] * std::exp(std::clamp(a[i][n], -2.0, 2.0)), lower(p), upper(p));
    }
    return next;
  }

  std::span<const StepMeasured> measured_;
  std::array<bool, kParameters> seen_;
  Vector point_;
  std::vector<std::size_t> free_;
  std::array<std::array<double, kParameters>, kParameters> normal_{};
  Vector slope_{};
};

/// A start from which the fit finds its way: means of what was measured.
SpeedModel guess(std::span<const StepMeasured> measured) {
  double compute = 0;
  double batch = 0;
  double network = 0;
  for (const StepMeasured& step : measured) {
    compute += step.compute_s;
    batch += step.batch;
    if (step.slots > 1) network = std::max(network, step.step_s - step.compute_s);
  }
  const auto count = static_cast<double>(measured.size());
  const double wait = std::max(network, 0.01 * compute / count);
  return {compute / count / 2, compute / batch / 2, wait, wait / 10, wait, wait / 10, 2};
}

}  // namespace

double worst_ratio(const SpeedModel& model, std::span<const StepMeasured> measured) {
  double worst = 0;
  for (const StepMeasured& step : measured) {
    worst =
        std::max({worst, std::abs(std::log(model.step_s(step.nodes, step.slots, step.batch) / step.step_s)),
                  std::abs(std::log(model.compute_s(step.batch) / step.compute_s))});
  }
  return std::exp(worst);
}

SpeedModel fit_speed(std::span<const StepMeasured> measured, const std::optional<SpeedModel>& start) {
  SpeedModel model = Problem(measured, guess(measured)).solve();
  if (start) {
    const SpeedModel other = Problem(measured, *start).solve();
    if (worst_ratio(other, measured) < worst_ratio(model, measured)) model = other;
  }
  const auto seen = find_seen(measured);
  if (!seen[4]) {
    model.network_base = std::max(model.network_base, model.local_base * kAcrossNodes);
    model.network_slot = std::max(model.network_slot, model.local_slot * kAcrossNodes);
  }
  return model;
}

}  // namespace ds::scheduler
