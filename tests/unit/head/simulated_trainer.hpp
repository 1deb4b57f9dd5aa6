#pragma once

#include <caf/all.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "actors/fabric/fabric.hpp"
#include "actors/messages/worker.hpp"

namespace ds::head::test {

/// The steps that the members of one generation make together: nobody gets on without all the others.
struct GangSteps {
  std::size_t members = 0;
  std::set<std::uint64_t> started;
  std::uint64_t step = 0;
  std::int64_t until_ms = 0;  ///< to which these are made
  bool is_over = false;       ///< one has paused, or is gone
};
using AllGangs = std::map<std::pair<std::string, std::uint64_t>, GangSteps>;  ///< by job and generation

/// A training job's worker as its master sees it: the messages of `actors/worker`, steps that only take time.
class SimulatedTrainer {
 public:
  static constexpr std::uint64_t kSteps = 60, kStepsOfAnEpoch = 15;

  SimulatedTrainer(caf::actor_system& system, fabric::Fabric& fabric, AllGangs& gangs, std::uint64_t worker,
                   std::string job);
  ~SimulatedTrainer();
  SimulatedTrainer(const SimulatedTrainer&) = delete;
  SimulatedTrainer& operator=(const SimulatedTrainer&) = delete;

  void find_head(const caf::actor& head);
  void lose_head();
  bool has_head() const;
  /// No message passes; who knows it takes it for lost.
  void cut_off();
  /// Makes the steps that are due, and tells of them.
  void work(std::int64_t now_ms);
  /// It was told that nothing more is wanted of it.
  bool is_stopped() const;

 private:
  struct State;
  static caf::behavior listen(caf::event_based_actor* self, const std::shared_ptr<State>& state);

  caf::actor_system& system_;
  fabric::Fabric& fabric_;
  std::shared_ptr<State> state_;
};

}  // namespace ds::head::test
