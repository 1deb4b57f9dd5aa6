#include "scheduler/simulator/application_profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

#include "scheduler/simulator/csv_table.hpp"

namespace ds::simulator {
namespace {

/// What the traces' README says of an application and no table holds.
struct Rules {
  std::string_view name;
  std::uint32_t epochs;
  double max_per_slot;  ///< 0: as measured
  bool is_pinned;
};

constexpr std::array kRules{Rules{"bert", 2, 0, false},         Rules{"cifar10", 100, 0, false},
                            Rules{"deepspeech2", 80, 0, false}, Rules{"imagenet", 90, 0, false},
                            Rules{"ncf", 10, 0, true},          Rules{"yolov3", 50, 8, false}};

constexpr double kDeepspeechOnRtx = 57;  ///< more samples a slot than that did not fit
constexpr std::uint32_t kMaxNodes = 16;  ///< more were not measured
constexpr std::size_t kMaxPlaced = 64;   ///< nodes of a placement in a table
constexpr std::array kByCount{Column{"num_nodes", Cell::count}, Column{"num_replicas", Cell::count},
                              Column{"local_bsz", Cell::positive}, Column{"step_time", Cell::positive},
                              Column{"sync_time", Cell::at_least_zero}};

/// The smallest of the rotations, which all take equally long.
Placement rotate_smallest(const Placement& placement) {
  Placement best = placement;
  Placement turned = placement;
  for (std::size_t i = 1; i < placement.size(); ++i) {
    std::rotate(turned.begin(), turned.begin() + 1, turned.end());
    best = std::min(best, turned);
  }
  return best;
}

std::uint32_t sum(const Placement& placement) {
  std::uint32_t slots = 0;
  for (const std::uint32_t count : placement) slots += count;
  return slots;
}

Read<Placement> to_placement(const std::filesystem::path& file, const std::string& digits, std::size_t row) {
  Placement placement;
  if (digits.size() > kMaxPlaced)
    return refuse(fmt::format("{}:{}:1: placement: expected at most {} nodes, got {}", file.string(), row + 2,
                              kMaxPlaced, digits.size()));
  for (const char digit : digits) {
    if (digit < '1' || digit > '9')
      return refuse(fmt::format("{}:{}:1: placement: expected a digit a node, 1 to 9, got \"{}\"",
                                file.string(), row + 2, digits));
    placement.push_back(static_cast<std::uint32_t>(digit - '0'));
  }
  return placement;
}

double between(double a, double b, double share) {
  return a + (b - a) * share;
}

}  // namespace

void StepCurve::finish() {
  std::stable_sort(points_.begin(), points_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::pair<double, StepTime>> merged;
  for (std::size_t first = 0; first < points_.size();) {
    std::size_t end = first;
    StepTime total;
    for (; end < points_.size() && points_[end].first == points_[first].first; ++end) {
      total.step_s += points_[end].second.step_s;
      total.sync_s += points_[end].second.sync_s;
    }
    const auto count = static_cast<double>(end - first);
    merged.push_back({points_[first].first, {total.step_s / count, total.sync_s / count}});
    first = end;
  }
  points_ = std::move(merged);
}

StepTime StepCurve::at(double batch) const {
  if (points_.size() == 1) return points_.front().second;
  auto upper = std::lower_bound(points_.begin(), points_.end(), batch,
                                [](const auto& point, double value) { return point.first < value; });
  upper = std::clamp(upper, points_.begin() + 1, points_.end() - 1);
  const auto lower = upper - 1;
  const double share = (batch - lower->first) / (upper->first - lower->first);
  return {between(lower->second.step_s, upper->second.step_s, share),
          between(lower->second.sync_s, upper->second.sync_s, share)};
}

Read<void> ApplicationProfile::read_steps(const std::filesystem::path& folder, std::string_view gpu) {
  const std::string end = gpu.empty() ? ".csv" : fmt::format("-{}.csv", gpu);
  constexpr std::array kPlaced{Column{"placement", Cell::text}, Column{"local_bsz", Cell::positive},
                               Column{"step_time", Cell::positive}, Column{"sync_time", Cell::at_least_zero}};
  const auto placed_file = folder / ("placements" + end);
  auto placed = CsvTable::read(placed_file, kPlaced);
  if (!placed) return tl::unexpected(placed.error());
  const auto unmeasured_file = folder / ("unmeasured" + end);
  const bool has_unmeasured = std::filesystem::exists(unmeasured_file);
  auto counted = CsvTable::read(has_unmeasured ? unmeasured_file : folder / ("scalability" + end), kByCount);
  if (!counted) return tl::unexpected(counted.error());

  limits_.min_per_slot = std::numeric_limits<double>::infinity();
  limits_.max_per_slot = 0;
  for (std::size_t row = 0; row < placed->rows(); ++row) {
    auto placement = to_placement(placed_file, placed->text(row, 0), row);
    if (!placement) return tl::unexpected(placement.error());
    const double batch = placed->number(row, 1);
    const StepTime time{placed->number(row, 2), placed->number(row, 3)};
    limits_.min_per_slot = std::min(limits_.min_per_slot, batch);
    limits_.max_per_slot = std::max(limits_.max_per_slot, batch);
    most_nodes_ = std::max(most_nodes_, placement->size());
    most_per_node_ = std::max(most_per_node_, *std::max_element(placement->begin(), placement->end()));
    measured_[rotate_smallest(*placement)].add(batch, time);
    if (!has_unmeasured)
      by_count_[{static_cast<std::uint32_t>(placement->size()), sum(*placement)}].add(batch, time);
  }
  for (std::size_t row = 0; row < counted->rows(); ++row)
    by_count_[{counted->count(row, 0), counted->count(row, 1)}].add(
        counted->number(row, 2), {counted->number(row, 3), counted->number(row, 4)});
  for (auto& [key, curve] : measured_) curve.finish();
  for (auto& [key, curve] : by_count_) {
    most_per_node_ = std::max(most_per_node_, (key.second + key.first - 1) / key.first);
    curve.finish();
  }
  return {};
}

Read<void> ApplicationProfile::read_runs(const std::filesystem::path& folder) {
  constexpr std::array kEpoch{Column{"progress", Cell::positive}, Column{"iteration", Cell::positive},
                              Column{"grad_sqr", Cell::at_least_zero}, Column{"grad_var", Cell::positive}};
  constexpr std::string_view kPrefix = "validation-";
  ends_.assign(epochs_, std::numeric_limits<double>::infinity());
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string stem = entry.path().stem().string();
    if (!stem.starts_with(kPrefix) || entry.path().extension() != ".csv") continue;
    Run run;
    const char* end = stem.data() + stem.size();
    const auto [stop, error] = std::from_chars(stem.data() + kPrefix.size(), end, run.batch);
    if (error != std::errc() || stop != end || run.batch < 1)
      return refuse(fmt::format("{}: expected validation-<batch size>.csv", entry.path().string()));
    auto table = CsvTable::read(entry.path(), kEpoch);
    if (!table) return tl::unexpected(table.error());
    if (table->rows() < epochs_)
      return refuse(fmt::format("{}:{}:1: expected {} epochs, the file ends after {}", entry.path().string(),
                                table->rows() + 1, epochs_, table->rows()));
    for (std::uint32_t row = 0; row < epochs_; ++row) {
      run.epochs.push_back({table->number(row, 1), {table->number(row, 2), table->number(row, 3)}});
      ends_[row] = std::min(ends_[row], table->number(row, 0));
    }
    runs_.push_back(std::move(run));
  }
  if (runs_.empty()) return refuse(fmt::format("{}: has no validation-<batch size>.csv", folder.string()));
  std::sort(runs_.begin(), runs_.end(), [](const Run& a, const Run& b) { return a.batch < b.batch; });
  limits_.base = runs_.front().batch;
  limits_.max = runs_.back().batch;
  return {};
}

Read<ApplicationProfile> ApplicationProfile::read(const std::filesystem::path& folder, std::string_view gpu) {
  const std::string name = folder.filename().string();
  const auto rules =
      std::find_if(kRules.begin(), kRules.end(), [&](const Rules& r) { return r.name == name; });
  if (rules == kRules.end())
    return refuse(fmt::format("{}: no application of these traces", folder.string()));
  ApplicationProfile profile;
  profile.name_ = name;
  profile.epochs_ = rules->epochs;
  profile.is_pinned_ = rules->is_pinned;
  if (auto steps = profile.read_steps(folder, gpu); !steps) return tl::unexpected(steps.error());
  if (auto runs = profile.read_runs(folder); !runs) return tl::unexpected(runs.error());
  if (rules->max_per_slot > 0) profile.limits_.max_per_slot = rules->max_per_slot;
  if (name == "deepspeech2" && gpu == "rtx")
    profile.limits_.max_per_slot = std::min(profile.limits_.max_per_slot, kDeepspeechOnRtx);
  return profile;
}

Placement to_placement(const scheduler::Slots& slots) {
  Placement placement;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (i == 0 || slots[i] != slots[i - 1]) placement.push_back(0);
    ++placement.back();
  }
  return placement;
}

Placement pack(std::uint32_t slots, std::uint32_t slots_per_node) {
  Placement placement;
  for (; slots > 0; slots -= placement.back()) placement.push_back(std::min(slots, slots_per_node));
  return placement;
}

StepTime ApplicationProfile::step(const Placement& placement, double batch) const {
  if (placement.size() <= most_nodes_) {  // else one of thousands of nodes would be turned in vain
    const auto found = measured_.find(rotate_smallest(placement));
    if (found != measured_.end()) return found->second.at(batch);
  }
  const auto nodes = std::min(static_cast<std::uint32_t>(placement.size()), kMaxNodes);
  const std::uint32_t slots = sum(placement);
  const auto exact = by_count_.find({nodes, slots});
  if (exact != by_count_.end()) return exact->second.at(batch);
  const auto distance = [&](const auto& entry) {
    const auto far = [](std::uint32_t a, std::uint32_t b) { return a > b ? a - b : b - a; };
    return std::pair(far(entry.first.first, nodes), far(entry.first.second, slots));
  };
  const auto nearest =
      std::min_element(by_count_.begin(), by_count_.end(),
                       [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
  return nearest->second.at(batch);
}

ApplicationProfile::Between ApplicationProfile::around(double batch) const {
  auto upper = std::lower_bound(runs_.begin(), runs_.end(), batch,
                                [](const Run& run, double value) { return run.batch < value; });
  if (upper == runs_.end()) return {runs_.back(), runs_.back(), 0};
  if (upper == runs_.begin() || upper->batch == batch) return {*upper, *upper, 0};
  const auto lower = upper - 1;
  return {*lower, *upper, (batch - lower->batch) / (upper->batch - lower->batch)};
}

scheduler::GradientNoise ApplicationProfile::noise(double batch, std::uint32_t epoch) const {
  const auto [lower, upper, share] = around(batch);
  const scheduler::GradientNoise& a = lower.epochs[epoch].noise;
  const scheduler::GradientNoise& b = upper.epochs[epoch].noise;
  return {between(a.squared_norm, b.squared_norm, share), between(a.variance, b.variance, share)};
}

double ApplicationProfile::steps(double batch, std::uint32_t epochs) const {
  if (epochs == 0) return 0;
  const auto [lower, upper, share] = around(batch);
  return between(lower.epochs[epochs - 1].steps, upper.epochs[epochs - 1].steps, share);
}

Read<std::map<std::string, ApplicationProfile>> read_applications(const std::filesystem::path& profiles,
                                                                  std::string_view gpu) {
  std::error_code error;
  if (!std::filesystem::is_directory(profiles, error))
    return refuse(fmt::format("{}: there is no such folder of profiles", profiles.string()));
  std::map<std::string, ApplicationProfile> applications;
  for (const Rules& rules : kRules) {
    const auto folder = profiles / rules.name;
    if (!std::filesystem::is_directory(folder, error)) continue;
    auto profile = ApplicationProfile::read(folder, gpu);
    if (!profile) return tl::unexpected(profile.error());
    applications.emplace(rules.name, std::move(*profile));
  }
  if (applications.empty())
    return refuse(fmt::format("{}: has no folder of an application (bert, cifar10, …)", profiles.string()));
  return applications;
}

}  // namespace ds::simulator
