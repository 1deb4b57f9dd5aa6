#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/train/model_recipes.hpp"
#include "tests/unit/train/shard_servers.hpp"

namespace ds::train {

/// Jobs whose parameters live on servers.
class ServerJob : public ModelRecipes {
 protected:
  static scheduler::JobSpec with_servers(scheduler::JobSpec spec, const std::string& consistency = "sync") {
    spec.strategy.name = "parameter_server";
    spec.strategy.consistency = consistency;
    return spec;
  }

  static std::unique_ptr<ShardServers> servers_for(const scheduler::JobSpec& spec, std::uint32_t ranges,
                                                   bool replicated = false) {
    return std::make_unique<ShardServers>(spec, open(spec)->image(false).description, ranges, replicated);
  }

  /// One generation: `steps` steps with `members` workers that have nothing but the job and the servers.
  /// Gives the whole state; fails the test when a worker has another one.
  static StateImage train_on(ShardServers& servers, const scheduler::JobSpec& spec, std::uint32_t members,
                             std::uint64_t steps, const StateImage* start = nullptr) {
    servers.begin_generation();
    const bool seed = !servers.has_state();
    std::vector<StateImage> images(members);
    collective::run_gang(collective::assign_logical_ranks(spec.logical_ranks(), members),
                         [&](collective::Communicator& communicator) {
                           const auto session = open(spec);
                           const bool seeds = seed && communicator.rank() == 0;
                           if (seeds && start != nullptr) {
                             EXPECT_TRUE(session->restore(*start));
                           }
                           const auto used = session->use_servers(servers.link(), seeds);
                           ASSERT_TRUE(used) << used.error().message;
                           ASSERT_TRUE(communicator.barrier());
                           for (std::uint64_t i = 0; i < steps; ++i) {
                             const auto step = session->run_step(communicator);
                             if (!step) servers.end_generation(step.error());
                             ASSERT_TRUE(step) << step.error().message;
                           }
                           const auto image = session->checkpoint_image(true);
                           ASSERT_TRUE(image) << image.error().message;
                           images[communicator.rank()] = *image;
                           EXPECT_TRUE(communicator.barrier());
                         });
    for (const StateImage& image : images) EXPECT_EQ(image.tensors, images.back().tensors);
    return images.back();
  }

  static StateImage train_on_servers(const scheduler::JobSpec& spec, std::uint32_t members,
                                     std::uint32_t ranges, std::uint64_t steps) {
    const auto servers = servers_for(spec, ranges);
    return train_on(*servers, spec, members, steps);
  }
};

}  // namespace ds::train
