#pragma once

#include <cstdint>

#include "scheduler/spec/job_spec.hpp"

namespace ds::scheduler {

struct Demand;

/// For how long a training job keeps the size to which it has come for speed alone, by what it has measured.
///
/// Figures of different sizes were measured at different times, and on a machine whose load varies the job
/// could take them for a gain again and again, now by growing and now by giving workers back. So each change
/// that goes the other way than the last one makes it rest for twice as long as before. While it rests it
/// gives nothing back, and has no more workers than when that began; who waits may take some, and it may have
/// these again. After `kLongest_ms` without such a change all is forgotten. Pure.
class SizeRest {
 public:
  static constexpr std::int64_t kFirst_ms = 30'000, kLongest_ms = 3'600'000;

  /// It has been told to grow, or to give workers back.
  void on_changed(std::uint32_t from, std::uint32_t to, std::int64_t now_ms);
  bool is_resting(std::int64_t now_ms) const { return now_ms < until_ms_; }
  std::int64_t until_ms() const { return until_ms_; }
  /// The sizes that it may have now, of those wanted, of one that has so many workers.
  WorkerCount allowed(WorkerCount wanted, std::uint32_t workers, std::int64_t now_ms) const;
  /// The same as a demand has it, of a job that has so many workers.
  void limit(Demand& demand, std::uint32_t workers, std::int64_t now_ms) const;

 private:
  bool has_grown_ = true;  ///< last; as it does before it has measured anything
  std::uint32_t reversals_ = 0;
  std::uint32_t size_ = 0;
  std::int64_t until_ms_ = 0;
};

}  // namespace ds::scheduler
