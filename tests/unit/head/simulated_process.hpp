#pragma once

#include <caf/actor.hpp>
#include <cstdint>

namespace ds::head::test {

/// A process that a node runs for the head and that talks to the head itself.
class SimulatedProcess {
 public:
  virtual ~SimulatedProcess() = default;

  virtual void find_head(const caf::actor& head) = 0;
  virtual void lose_head() = 0;
  virtual bool has_head() const = 0;
  /// No message passes; who knows it takes it for lost.
  virtual void cut_off() = 0;
  /// Does what is due, and tells of it.
  virtual void work(std::int64_t now_ms) = 0;
  /// It was told that nothing more is wanted of it.
  virtual bool is_stopped() const = 0;
};

}  // namespace ds::head::test
