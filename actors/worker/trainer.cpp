#include "actors/worker/trainer.hpp"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "storage/codec/sha256.hpp"

namespace ds::worker {

Trainer::Trainer(TrainerEvents events, MakeSource make_source)
    : events_(std::move(events)), make_source_(std::move(make_source)), thread_([this] { run(); }) {}

Trainer::~Trainer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    abort_calls({ErrorCode::cancelled, "the worker stops", {}});
  }
  wake_.notify_all();
  thread_.join();
}

void Trainer::run() {
  while (true) {
    Order order;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !orders_.empty(); });
      if (stopping_) return;
      order = std::move(orders_.front());
      orders_.pop_front();
    }
    try {
      order();
    } catch (const std::exception& e) {  // there was no memory
      const Error why{ErrorCode::resource_exhausted, fmt::format("training: {}", e.what()),
                      "raise resources.memory"};
      session_ ? be_stuck(joined_, why) : events_.on_impossible(why);
    }
  }
}

void Trainer::push(Order order) {
  {
    std::lock_guard lock(mutex_);
    orders_.push_back(std::move(order));
  }
  wake_.notify_all();
}

Trainer::Position Trainer::position() const {
  std::lock_guard lock(mutex_);
  return position_;
}

void Trainer::publish_position(bool training) {
  std::lock_guard lock(mutex_);
  position_.ready = session_ != nullptr;
  position_.training = training;
  position_.generation = newest_;
  position_.fingerprint = fingerprint_;
  if (!session_) return;
  position_.step = session_->step();
  position_.total_steps = session_->total_steps();
  position_.steps_per_epoch = session_->steps_per_epoch();
}

void Trainer::assign(scheduler::JobSpec spec) {
  push([this, spec = std::move(spec)] { create_session(spec); });
}

void Trainer::create_session(const scheduler::JobSpec& spec) {
  if (session_) return;  // a new head gave the same job again
  spec_ = spec;
  auto session = train::TrainingSession::create(spec);
  if (!session) return events_.on_impossible(session.error());
  session_ = std::move(*session);
  if (spec_.data.shards > 0) {
    session_->set_batch_source([this](const train::BatchMaker& maker) { return make_source_(spec_, maker); });
  }
  fingerprint_ = storage::to_hex(storage::sha256(session_->image(false).description));
  publish_position(false);
  events_.on_ready(session_->total_steps(), session_->steps_per_epoch());
}

/// With the lock held.
void Trainer::abort_calls(const Error& why) {
  if (exchange_) exchange_->abort(why);
  if (servers_) servers_->abort(why);
}

void Trainer::pause(std::uint64_t generation) {
  {
    std::lock_guard lock(mutex_);
    if (generation < newest_) return;
    newest_ = generation;
    abort_calls({ErrorCode::cancelled, "the generation ended", {}});
  }
  push([this, generation] {
    if (!is_current(generation) || !session_) return;
    communicator_.reset();
    publish_position(false);
    events_.on_paused(generation, session_->step());
  });
}

void Trainer::join(TrainerPlace place) {
  {
    std::lock_guard lock(mutex_);
    if (place.generation < newest_) return;
    newest_ = place.generation;
    exchange_ = place.exchange;
    servers_ = place.servers;
  }
  push([this, place = std::move(place)]() mutable { enter(std::move(place)); });
}

void Trainer::enter(TrainerPlace place) {
  if (!is_current(place.generation) || !session_) return;
  if (place.state) {
    if (const auto restored = session_->restore(*place.state); !restored) {
      const auto& error = restored.error();
      if (error.code == ErrorCode::conflict || error.code == ErrorCode::invalid_argument) {
        return events_.on_impossible(error);
      }
      return be_stuck(place.generation, error);
    }
  }
  communicator_ = place.exchange
                      ? std::make_unique<collective::Communicator>(place.exchange, std::move(place.ranges))
                      : std::make_unique<collective::Communicator>(spec_.logical_ranks());
  rank_ = place.rank;
  joined_ = place.generation;
  publish_position(false);
  events_.on_joined(place.generation);
}

void Trainer::start(std::uint64_t generation) {
  push([this, generation] {
    if (is_current(generation) && joined_ == generation && communicator_) train(generation);
  });
}

bool Trainer::is_current(std::uint64_t generation) const {
  std::lock_guard lock(mutex_);
  return !stopping_ && newest_ == generation;
}

void Trainer::be_stuck(std::uint64_t generation, const Error& why) {
  publish_position(false);
  if (is_current(generation)) events_.on_stuck(generation, session_->step(), why);
}

/// Another try cannot help against a diverged loss, a bad record, or a file that is another one now.
void Trainer::fail_with(std::uint64_t generation, const Error& why) {
  if (why.code != ErrorCode::invalid_argument && why.code != ErrorCode::conflict)
    return be_stuck(generation, why);
  publish_position(false);
  events_.on_impossible(why);
}

void Trainer::train(std::uint64_t generation) {
  publish_position(true);
  if (!finish_boundary(generation, true)) return;
  while (!session_->finished()) {
    if (!is_current(generation)) return publish_position(false);
    const auto result = session_->run_step(*communicator_);
    if (!result) return fail_with(generation, result.error());
    publish_position(true);
    events_.on_step(generation, *result);
    if (!finish_boundary(generation, false)) return;
  }
}

/// What is due at the step just reached: an evaluation, a checkpoint at the end of an epoch and every so
/// often. A gang that resumes at such a step does it again, because its predecessor may have died before it
/// was through.
bool Trainer::finish_boundary(std::uint64_t generation, bool resumed) {
  const auto step = session_->step();
  if (step == 0) return true;
  const bool epoch_ends = step % session_->steps_per_epoch() == 0;
  const bool save_due = step % spec_.checkpoint.every_steps == 0 && !resumed;
  std::map<std::string, double> metrics;
  if (session_->evaluation_due() && !evaluate(generation, metrics)) return false;
  const bool last = session_->finished();  // an evaluation may end training
  if (rank_ == 0 && (last || epoch_ends || save_due)) {
    events_.on_checkpoint(generation, session_->image(true), std::move(metrics), last);
  }
  return true;
}

bool Trainer::evaluate(std::uint64_t generation, std::map<std::string, double>& metrics) {
  const auto result = session_->evaluate(*communicator_);
  if (!result) {
    fail_with(generation, result.error());
    return false;
  }
  metrics = result->metrics;
  metrics["loss"] = result->loss;
  events_.on_evaluated(generation, *result);
  return true;
}

void Trainer::read_state(std::function<void(std::optional<train::StateImage>)> use) {
  push([this, use = std::move(use)] { use(session_ ? std::optional(session_->image(true)) : std::nullopt); });
}

}  // namespace ds::worker
