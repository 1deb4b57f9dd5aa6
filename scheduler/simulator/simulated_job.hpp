#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/policy/elastic/elastic_policy.hpp"

namespace ds::simulator {

/// A job as a family of traces moves it forward. All times are seconds of the trace.
class SimulatedJob {
 public:
  virtual ~SimulatedJob() = default;

  virtual const std::string& name() const = 0;
  virtual double submitted_s() const = 0;
  /// Run time alone on the slots that its owner asked for, its start included.
  virtual double alone_s() const = 0;

  /// By when it should be done; nothing where the traces have no deadlines.
  virtual std::optional<double> deadline_s() const { return std::nullopt; }

  virtual bool is_done() const = 0;
  virtual double done_s() const = 0;  ///< when it ended
  /// When it ends, or shows what a scheduler waits for, if it keeps its slots from `now_s` on; none: it has
  /// none, or it can't be told.
  virtual std::optional<double> news_s(double) const { return std::nullopt; }
  /// The time from `from_s` on, for a whole round; it may end on the way. Returns how many seconds of it the
  /// job made progress.
  virtual double advance(double from_s, double seconds) = 0;
  /// Other slots than it has, from now on; none: it is stopped.
  virtual void give(const scheduler::Slots& slots, double now_s) = 0;
  /// There was a plan, the `nth` while more jobs are to come, from 0; for those that are charged for restarts
  /// then.
  virtual void note_plan(std::uint64_t) {}
  virtual const scheduler::Slots& slots() const = 0;
  /// What a policy may know; it refers to the job.
  virtual scheduler::ElasticJob view() const = 0;
};

using Jobs = std::vector<std::unique_ptr<SimulatedJob>>;

}  // namespace ds::simulator
