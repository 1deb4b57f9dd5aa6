#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "scheduler/simulator/input.hpp"

namespace ds::simulator {

/// Steps a second of one model at one global batch size, as measured for some numbers of slots.
class StepRates {
 public:
  void add(std::uint32_t slots, double steps_per_s) { rates_[slots] = steps_per_s; }
  bool empty() const { return rates_.empty(); }
  bool has(std::uint32_t slots) const { return rates_.contains(slots); }
  /// With the most of `slots` that were measured; the others stand idle. 0 when fewer than were ever
  /// measured.
  double at(std::uint32_t slots) const;
  const std::map<std::uint32_t, double>& measured() const { return rates_; }
  std::uint32_t max_slots() const { return rates_.empty() ? 0 : rates_.rbegin()->first; }

 private:
  std::map<std::uint32_t, double> rates_;
};

/// By global batch size.
using ThroughputTable = std::map<std::uint32_t, StepRates>;

/// The models of ElasticFlow's traces (ASPLOS 2023) by name: each `MODEL.csv` of `folder`, with a row for
/// each `global_batch_size` and the columns 1, 2, 4 to 64 in slots; a cell is steps a second, `nan`, 0 or
/// nothing where the batch does not fit. Refusals name `file:line:column`.
Read<std::map<std::string, ThroughputTable>> read_throughputs(const std::filesystem::path& folder);

}  // namespace ds::simulator
