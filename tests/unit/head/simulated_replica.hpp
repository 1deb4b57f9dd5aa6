#pragma once

#include <caf/all.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "actors/fabric/fabric.hpp"
#include "actors/messages/serving.hpp"
#include "tests/unit/head/simulated_process.hpp"

namespace ds::head::test {

/// A replica of a served model as the head and the router see it: the messages of `actors/replica`, a model
/// that takes a moment to load and answers soon. What was trained for `kBadStep` steps can't be loaded, nor a
/// file that says `kBadFile`.
class SimulatedReplica final : public SimulatedProcess {
 public:
  static constexpr std::uint64_t kBadStep = 40;
  static constexpr const char* kBadFile = "bad";

  SimulatedReplica(caf::actor_system& system, fabric::Fabric& fabric, std::uint64_t worker, std::string job);
  ~SimulatedReplica() override;
  SimulatedReplica(const SimulatedReplica&) = delete;
  SimulatedReplica& operator=(const SimulatedReplica&) = delete;

  void find_head(const caf::actor& head) override;
  void lose_head() override;
  bool has_head() const override;
  void cut_off() override;
  void work(std::int64_t now_ms) override;
  bool is_stopped() const override;

 private:
  struct State;
  static caf::behavior listen(caf::event_based_actor* self, const std::shared_ptr<State>& state);

  caf::actor_system& system_;
  std::shared_ptr<State> state_;
};

}  // namespace ds::head::test
