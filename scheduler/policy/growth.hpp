#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace ds::scheduler {

struct Demand;

/// How fast a job is with how many workers, as far as it is known from what it has measured.
struct SpeedCurve {
  std::uint32_t first = 1;         ///< workers
  std::vector<double> log_speeds;  ///< with `first`, one more, …: logarithms, relative to the first's
  double resize_s = 0;             ///< for so long it stands still when its size changes; 0: not measured
  bool operator==(const SpeedCurve&) const = default;
};

/// Who gets the slots that no minimum needs.
enum class GrowthRule {
  fair,           ///< by number alone
  gain,           ///< who gains most by them
  least_attained  ///< the same, but who has had least so far counts for most: short jobs end sooner
};

/// The next size that is worth having.
struct GrowthStep {
  std::uint32_t workers = 0;  ///< more, all at once; 0: none is worth it
  double gain = 0;            ///< of the logarithm of the job's speed, by slot
};

/// A worker must bring at least this share of what it would if the job scaled perfectly. Slots that bring
/// less stay free: to have them costs a resize now and another one when somebody needs them.
inline constexpr double kLeastEfficiency = 0.1;

/// A worker changes from one running job to another, or leaves a job that is faster without it, when the sum
/// of the logarithms of their speeds gets larger by this at least…
inline constexpr double kLeastMoveGain = 0.1;
/// …and what is gained in so many seconds pays for the resizes of all who are resized, of which one that was
/// never measured counts as `kUnmeasuredResizeS`.
inline constexpr double kMovePaysWithinS = 600;
inline constexpr double kUnmeasuredResizeS = 10;

// With logarithms of speeds what is added up is proportional fairness (Kelly, Maulloo and Tan, 1998); slots
// are handed out one after another to whoever gains most by one, as Optimus does (Peng et al., EuroSys 2018).
// A job without a curve counts as one that scales perfectly: growing is how a curve is learnt. Pure.

/// The size above `workers` with the largest gain by slot that is worth it: where several workers are needed
/// before there is any gain (a share of the batch is a whole number of its parts), it is several. None where
/// what is saved until the job's end does not pay the resize.
/// `most`: workers more.
GrowthStep next_growth(const Demand& demand, std::uint32_t workers,
                       std::uint32_t most = std::numeric_limits<std::uint32_t>::max());

/// What is lost of the logarithm of its speed, by slot, if it has one worker less than `workers` (2 or more).
/// Below 0: it is faster then.
double loss_of_one(const Demand& demand, std::uint32_t workers);

/// The logarithm of its speed with so many workers (1 or more).
double log_speed(const Demand& demand, std::uint32_t workers);

/// How many of its workers, of which `can_go` may leave, it is better off without, as `kLeastMoveGain` has
/// it.
std::uint32_t count_slowing(const Demand& demand, std::uint32_t workers, std::uint32_t can_go);

/// What the speed of a job that has had so many slot-seconds counts for by `least_attained`: half as much
/// each time that these have become about four times as many. So it changes a few times in a job's life.
double weight_by_attained(double slot_s);
/// With how many slot-seconds it will count for less.
double next_lower_weight_slot_s(double slot_s);

/// Whether `gain`, the sum of the logarithms of speeds, pays for resizes of `resizes_s` in all within
/// `within_s`.
bool pays(double gain, double resizes_s, double within_s);
/// Of one resize; `kUnmeasuredResizeS` if it was never measured.
double resize_cost_s(const Demand& demand);
/// For so long a change is to pay at most: until its end, if that is known and near.
double pays_within_s(const Demand& demand);

}  // namespace ds::scheduler
