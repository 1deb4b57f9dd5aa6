#pragma once

#include <caf/event_based_actor.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "actors/head/head_line.hpp"
#include "actors/messages/worker.hpp"
#include "actors/train/session.hpp"

namespace ds::worker {

struct PendingCheckpoint {
  std::uint64_t generation = 0;
  train::StateImage image;
  std::map<std::string, double> metrics;
  bool last = false;  ///< the job is done once this one is durable
};

/// Sends checkpoints to the job's master until they are durable. One is under way, at most one waits: the
/// newest. Part of an actor that handles `Run`: all of it on that actor.
class CheckpointSender {
 public:
  /// `on_last`: the last one is durable.
  CheckpointSender(caf::event_based_actor& self, head::HeadLine& line, const head::JobProcess& process,
                   std::function<void(const messages::TrainingFinished&)> on_last);

  void offer(PendingCheckpoint checkpoint);
  /// Sends what waits, if there is a master; again when there is a new one.
  void send_next();

 private:
  void on_saved(const std::string& error);

  caf::event_based_actor& self_;
  head::HeadLine& line_;
  const head::JobProcess& process_;
  const std::function<void(const messages::TrainingFinished&)> on_last_;
  std::optional<PendingCheckpoint> saving_;
  std::optional<PendingCheckpoint> waiting_;
};

}  // namespace ds::worker
