#include "actors/worker/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "actors/parameters/update_rule.hpp"
#include "actors/train/row_tables.hpp"
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
      session_ ? be_stuck(joined_, why) : be_without_session(why);
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
  position_.creating = false;
  position_.training = training;
  position_.generation = newest_;
  position_.fingerprint = fingerprint_;
  if (!session_) return;
  position_.step = session_->step();
  position_.total_steps = session_->total_steps();
  position_.steps_per_epoch = session_->steps_per_epoch();
  position_.parameters = parameters_;
  position_.row_tables = row_tables_;
}

void Trainer::assign(scheduler::JobSpec spec, std::uint64_t max_state_bytes) {
  push([this, spec = std::move(spec), max_state_bytes] {
    max_state_bytes_ = max_state_bytes;
    create_session(spec);
  });
}

Result<void> Trainer::make_session() {
  session_.reset();  // there need not be memory for two
  {
    std::lock_guard lock(mutex_);
    position_.creating = true;
  }
  has_met_servers_ = false;
  auto session = train::TrainingSession::create(spec_);
  if (!session) return tl::unexpected(session.error());
  session_ = std::move(*session);
  session_->watch_pieces(this);
  if (spec_.data.shards > 0)
    session_->set_batch_source([this](const train::BatchMaker& maker) { return make_source_(spec_, maker); });
  if (spec_.audit)
    session_->watch_shares(
        [this](const train::TakenShare& share) { return events_.on_share(joined_, share); });
  const auto& slots = session_->parameter_slots();
  parameters_ = slots.empty() ? 0 : slots.back().offset + slots.back().size;
  row_tables_ = train::row_tables(slots);
  const bool on_servers = spec_.strategy.name == "parameter_server";
  const std::uint64_t state =
      count_state_bytes(session_->image(false), parameters_, spec_.optimizer, on_servers);
  if (const Result<void> fits = check_state_size(state, max_state_bytes_); !fits) return fits;
  const std::uint64_t needed = parameters::count_servers_needed(parameters_, spec_.optimizer);
  if (on_servers && spec_.strategy.servers < needed) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("servers: {} parameters with what {} keeps of them are too many for {} servers",
                            parameters_, spec_.optimizer.name, spec_.strategy.servers),
                fmt::format("servers: {} or more", needed));
  }
  return {};
}

void Trainer::create_session(const scheduler::JobSpec& spec) {
  if (session_) return;  // a new head gave the same job again
  spec_ = spec;
  if (const auto made = make_session(); !made) return be_without_session(made.error());
  fingerprint_ = storage::to_hex(storage::sha256(session_->image(false).description));
  publish_position(false);
  events_.on_ready(session_->total_steps(), session_->steps_per_epoch());
}

void Trainer::be_without_session(const Error& why) {
  session_.reset();
  publish_position(false);
  const bool for_ever = why.code == ErrorCode::invalid_argument || why.code == ErrorCode::unsupported;
  for_ever ? events_.on_impossible(why) : events_.on_failed(why);
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
    offered_step_ = 0;
    if (const auto restored = session_->restore(*place.state); !restored) {
      const auto& error = restored.error();
      if (error.code == ErrorCode::conflict || error.code == ErrorCode::invalid_argument) {
        return events_.on_impossible(error);
      }
      return be_stuck(place.generation, error);
    }
  }
  if (place.seed && place.step == 0 && (has_met_servers_ || session_->step() != 0)) {
    // All that was trained is lost, and the job begins anew. Updates of other workers may have come to the
    // model already while its own step was 0.
    offered_step_ = 0;
    if (const auto made = make_session(); !made) return be_without_session(made.error());
  }
  communicator_ = place.exchange
                      ? std::make_unique<collective::Communicator>(place.exchange, std::move(place.ranges))
                      : std::make_unique<collective::Communicator>(spec_.logical_ranks());
  rank_ = place.rank;
  seed_ = place.seed;
  joined_ = place.generation;
  publish_position(false);
  events_.on_joined(place.generation, place.step);
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

Result<void> Trainer::begin(train::PieceKind kind) {
  std::lock_guard lock(mutex_);
  if (stopping_ || newest_ != joined_) return fail(ErrorCode::cancelled, "the generation ended");
  position_.computing = true;
  position_.longest_piece = longest_pieces_[kind];
  piece_ = kind;
  piece_began_ = Clock::now();
  return {};
}

void Trainer::end() {
  std::lock_guard lock(mutex_);
  position_.computing = false;
  const auto took = std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - piece_began_);
  longest_pieces_[piece_] = std::max(longest_pieces_[piece_], took);
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

std::shared_ptr<parameters::Link> Trainer::servers() const {
  std::lock_guard lock(mutex_);
  return servers_;
}

/// Takes the state of the servers, which are all there once steps may be run.
Result<void> Trainer::meet_servers() {
  auto link = servers();
  if (!link) return {};
  has_met_servers_ = true;
  if (const auto met = session_->use_servers(std::move(link), seed_); !met) return met;
  return communicator_->barrier();
}

void Trainer::train(std::uint64_t generation) {
  if (const auto met = meet_servers(); !met) return fail_with(generation, met.error());
  publish_position(true);
  if (!finish_boundary(generation, spec_.batch.most_batches(), true)) return;
  while (!session_->finished()) {
    if (!is_current(generation)) return publish_position(false);
    const auto result = session_->run_step(*communicator_);
    if (!result) return fail_with(generation, result.error());
    publish_position(true);
    events_.on_step(generation, *result);
    if (!finish_boundary(generation, result->batches, false)) return;
  }
}

/// What is due at the step just reached: an evaluation, a checkpoint at the end of an epoch and every so
/// often, or where the step that was made last passed such a place: it may have counted as several. A gang
/// that resumes there does it again, because its predecessor may have died before it was through; what that
/// one's last step had passed isn't known, so `made` is the most that it can have made.
bool Trainer::finish_boundary(std::uint64_t generation, std::uint64_t made, bool resumed) {
  const auto step = session_->step();
  if (step == 0) return true;
  const bool epoch_ends = step % session_->steps_per_epoch() == 0;
  const bool save_due = step % spec_.checkpoint.every_steps < made && step != offered_step_;
  std::map<std::string, double> metrics;
  if (session_->evaluation_due() && !evaluate(generation, metrics)) return false;
  const bool last = session_->finished();  // an evaluation may end training
  if (rank_ != 0 || !(last || epoch_ends || save_due)) return true;
  offered_step_ = step;
  auto save = [this, generation, metrics = std::move(metrics), last](train::StateImage image) {
    events_.on_checkpoint(generation, std::move(image), metrics, last);
  };
  // The last one beside no step: nothing would tell that there was no memory for it.
  const bool beside = !last && servers() == nullptr;
  if (beside) {
    session_->copy_state(std::move(save));
    return true;
  }
  auto image = session_->checkpoint_image(true);
  if (image) {
    save(*std::move(image));
  } else if (!resumed || image.error().code != ErrorCode::unavailable) {
    fail_with(generation, image.error());
    return false;
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
  push([this, use = std::move(use)] {
    if (!session_) return use(std::nullopt);
    const SharedCopy::Key now{position().generation, session_->step()};
    use(copy_.get(now, [this] { return session_->image(true); }));
  });
}

}  // namespace ds::worker
