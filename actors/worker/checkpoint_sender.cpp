#include "actors/worker/checkpoint_sender.hpp"

#include <spdlog/spdlog.h>

#include <caf/all.hpp>
#include <chrono>
#include <utility>

#include "actors/job/gang.hpp"
#include "actors/worker/run.hpp"
#include "actors/worker/state_message.hpp"

namespace ds::worker {
namespace {

/// Until a checkpoint is durable, besides the time that its bytes take.
constexpr auto kSaveDeadline = std::chrono::seconds(300);

std::chrono::seconds save_deadline(const train::StateImage& image) {
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : image.tensors) bytes += tensor.size();
  return kSaveDeadline + std::chrono::seconds(bytes / job::kSlowestBytesPerSecond);
}
constexpr auto kSaveRetry = std::chrono::seconds(2);

}  // namespace

CheckpointSender::CheckpointSender(caf::event_based_actor& self, head::HeadLine& line,
                                   const head::JobProcess& process,
                                   std::function<void(const messages::TrainingFinished&)> on_last)
    : self_(self), line_(line), process_(process), on_last_(std::move(on_last)) {}

void CheckpointSender::offer(PendingCheckpoint checkpoint) {
  waiting_ = std::move(checkpoint);
  send_next();
}

void CheckpointSender::send_next() {
  if (!line_.master() || saving_ || !waiting_) return;
  saving_ = std::move(waiting_);
  waiting_.reset();
  messages::SaveCheckpoint message{
      process_.job, process_.worker, saving_->generation, {}, to_message(saving_->image)};
  for (const auto& [name, value] : saving_->metrics) message.metrics.emplace(name, value);
  self_.request(line_.master(), save_deadline(saving_->image), std::move(message))
      .then([this](const messages::CheckpointSaved& saved) { on_saved(saved.error); },
            [this](const caf::error& error) { on_saved(self_.system().render(error)); });
}

void CheckpointSender::on_saved(const std::string& error) {
  PendingCheckpoint saved = std::move(*saving_);
  saving_.reset();
  if (error.empty()) {
    if (saved.last) on_last_({process_.worker, saved.generation, saved.image.step});
    return send_next();
  }
  spdlog::warn("the checkpoint of step {} was not saved: {}", saved.image.step, error);
  // A newer one replaces it; else it is tried again, with the next head if this one is gone.
  if (!waiting_) waiting_ = std::move(saved);
  if (line_.master()) self_.delayed_send(&self_, kSaveRetry, Run{[this] { send_next(); }});
}

}  // namespace ds::worker
