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
#include "tests/unit/head/simulated_process.hpp"

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
class SimulatedTrainer final : public SimulatedProcess {
 public:
  static constexpr std::uint64_t kSteps = 60, kStepsOfAnEpoch = 15;

  SimulatedTrainer(caf::actor_system& system, fabric::Fabric& fabric, AllGangs& gangs, std::uint64_t worker,
                   std::string job);
  ~SimulatedTrainer() override;
  SimulatedTrainer(const SimulatedTrainer&) = delete;
  SimulatedTrainer& operator=(const SimulatedTrainer&) = delete;

  void find_head(const caf::actor& head) override;
  void lose_head() override;
  bool has_head() const override;
  void cut_off() override;
  /// Makes the steps that are due.
  void work(std::int64_t now_ms) override;
  bool is_stopped() const override;

 private:
  struct State;
  static caf::behavior listen(caf::event_based_actor* self, const std::shared_ptr<State>& state);

  caf::actor_system& system_;
  fabric::Fabric& fabric_;
  std::shared_ptr<State> state_;
};

}  // namespace ds::head::test
