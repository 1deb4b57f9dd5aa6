#include "actors/train/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "actors/train/batch_growth.hpp"
#include "actors/train/batch_schedule.hpp"
#include "actors/train/boundaries.hpp"
#include "actors/train/bucket_reducer.hpp"
#include "actors/train/free_steps.hpp"
#include "actors/train/noise_meter.hpp"
#include "actors/train/optimizer.hpp"
#include "actors/train/progress.hpp"
#include "actors/train/server_parameters.hpp"
#include "actors/train/session_parts.hpp"
#include "actors/train/share_computer.hpp"
#include "actors/train/state_copier.hpp"
#include "actors/train/step_vector.hpp"
#include "actors/train/step_verdict.hpp"
#include "actors/train/sync_steps.hpp"
#include "actors/train/worker_state.hpp"

namespace ds::train {
namespace {

using Clock = std::chrono::steady_clock;  // for the seconds that are reported; no result depends on it

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Vectors that a member keeps for the ranks it hosts, to sum them up under the backward pass; with more
/// ranks they are folded as they come.
constexpr std::uint32_t kMostVectors = 4;

/// At its end gradients go where they belong, for those of a step may go away.
class OwnGradients {
 public:
  explicit OwnGradients(Model& model) : model_(model) {}
  ~OwnGradients() { model_.put_gradients({}); }
  OwnGradients(const OwnGradients&) = delete;
  OwnGradients& operator=(const OwnGradients&) = delete;

 private:
  Model& model_;
};

class Session final : public TrainingSession {
 public:
  explicit Session(SessionParts parts)
      : parts_(std::move(parts)),
        spec_(parts_.spec),
        description_(to_json(parts_.description)),
        model_(*parts_.model),
        shares_(std::make_unique<ShareComputer>(parts_)),
        schedule_(shares_->schedule()),
        boundaries_(shares_->boundaries()),
        servers_(spec_.strategy.name == "parameter_server" ? std::make_unique<ServerParameters>(spec_, model_)
                                                           : nullptr),
        optimizer_(spec_.optimizer, servers_ ? 0 : model_.parameters().size()),
        vector_(
            {servers_ ? 0 : model_.parameters().size(), model_.buffers().size(), model_.counters().size()}),
        buffers_(model_.buffers().begin(), model_.buffers().end()),
        counters_(model_.counters().begin(), model_.counters().end()) {
    begin_scaling(spec_, progress_);
    if (!servers_) return;
    if (servers_->is_sync()) {
      sync_.emplace(spec_, *servers_);
    } else {
      free_.emplace(spec_, boundaries_, model_, *servers_, *shares_);
    }
  }

  std::uint64_t step() const override { return step_; }
  std::uint64_t total_steps() const override { return schedule_.total_steps(spec_.until); }
  std::uint64_t steps_per_epoch() const override { return schedule_.steps_per_epoch(); }
  bool has_validation() const override { return parts_.validation != nullptr; }
  bool finished() const override { return step_ >= total_steps() || progress_.ended != 0; }
  bool evaluation_due() const override;
  void set_batch_source(const MakeSource& make) override { shares_->set_batch_source(make); }

  const std::vector<TensorSlot>& parameter_slots() const override { return model_.parameter_slots(); }
  StateImage image(bool copy) const override {
    copier_.wait();  // it uses progress_values_, too
    return make_image(copy);
  }
  void copy_state(std::function<void(StateImage)> use) override;
  Result<StateImage> checkpoint_image(bool copy) override;
  Result<void> use_servers(std::shared_ptr<parameters::Link> link, bool seed) override;
  Result<void> restore(const StateImage& state) override;
  void watch_shares(std::function<Result<void>(const TakenShare&)> watch) override {
    shares_->watch(std::move(watch));
  }
  void watch_pieces(PieceWatch* watch) override {
    pieces_ = watch;
    shares_->watch_pieces(watch);
  }
  Result<StepResult> run_step(collective::Communicator& communicator) override;
  Result<EvaluationResult> evaluate(collective::Communicator& communicator) override;

 private:
  using Batch = BatchSchedule::Batch;

  StateImage make_image(bool copy) const;
  Result<void> check_members(const collective::Communicator& communicator) const;
  Result<void> sum_up(collective::Communicator& communicator, const Batch& batch, StepResult& result);
  Result<void> sum_up_in_buckets(collective::Communicator& communicator, const Batch& batch,
                                 StepResult& result);
  Result<void> write_share(const Batch& batch, std::uint32_t logical, std::span<float> out,
                           const Model::OnReady& on_ready, StepResult& result);
  std::optional<NoiseMeasured> measure_noise_of(const Batch& batch);
  Result<StepResult> run_free_step(collective::Communicator& communicator);
  std::uint64_t optimizer_steps() const { return count_optimizer_steps(step_, progress_); }
  std::uint64_t updates() const { return optimizer_steps() - static_cast<std::uint64_t>(progress_.skipped); }
  WorkerState worker_state() const { return {step_, progress_, buffers_, counters_}; }
  void take_over(const WorkerState& state);
  void put_back_buffers();

  const SessionParts parts_;
  const scheduler::JobSpec& spec_;
  const std::string description_;
  Model& model_;
  const std::unique_ptr<ShareComputer> shares_;  ///< goes before what its thread uses
  const BatchSchedule& schedule_;
  const Boundaries& boundaries_;
  const std::unique_ptr<ServerParameters> servers_;  ///< none: every member has the optimizer
  std::optional<SyncSteps> sync_;                    ///< with servers, one of these
  std::optional<FreeSteps> free_;
  std::shared_ptr<Optimizer> seed_;  ///< what `restore` gave, until servers have it
  Optimizer optimizer_;
  const StepVector vector_;                       ///< with servers, without gradients
  std::vector<float> sum_memory_;                 ///< where the members share none
  std::vector<collective::SharedMemory> shared_;  ///< of the communicator `shared_of_`, one a hosted rank
  std::uint64_t shared_of_ = 0;
  std::span<float> sum_;                ///< of the step: in one of these
  std::vector<float> buffers_;          ///< the committed ones: the model's move while a share is computed
  std::vector<std::int64_t> counters_;  ///< likewise
  Progress progress_;
  NoiseMeter noise_{spec_};
  PieceWatch* pieces_ = nullptr;
  mutable std::array<double, Progress::kCount> progress_values_{};  ///< lent to images
  std::uint64_t step_ = 0;
  mutable StateCopier copier_;  // last: its thread uses the others
};

// ---- state ----------------------------------------------------------------------------------------

StateImage Session::make_image(bool copy) const {
  const auto buffer = [&](auto values) {
    const auto bytes = std::as_bytes(std::span(values));
    return copy ? Buffer::copy_of(bytes) : Buffer(nullptr, bytes);
  };
  StateImage image{
      step_, description_, {{"parameters", buffer(std::span<const float>(model_.parameters()))}}};
  for (const auto& [name, values] : std::as_const(optimizer_).state()) {
    if (!servers_) image.tensors.emplace_back(name, buffer(values));
  }
  if (!buffers_.empty()) image.tensors.emplace_back("buffers", buffer(std::span(buffers_)));
  if (!counters_.empty()) image.tensors.emplace_back("counters", buffer(std::span(counters_)));
  progress_values_ = progress_.values();
  image.tensors.emplace_back("progress", buffer(std::span(std::as_const(progress_values_))));
  if (!parts_.module.empty()) image.tensors.emplace_back("module", parts_.module);
  return image;
}

void Session::copy_state(std::function<void(StateImage)> use) {
  copier_.start([this] { return make_image(true); }, std::move(use));
}

Result<void> Session::restore(const StateImage& state) {
  if (state.description != description_) {
    const Result<StateDescription> theirs = to_state_description(state.description);
    if (!theirs) return tl::unexpected(theirs.error());
    const Result<void> same = check_same_training(parts_.description, *theirs);
    if (!same) return same;
  }
  std::vector<std::pair<std::string, std::span<std::byte>>> targets{
      {"parameters", std::as_writable_bytes(model_.parameters())}};
  const auto seed =
      servers_ ? std::make_shared<Optimizer>(spec_.optimizer, model_.parameters().size()) : nullptr;
  for (const auto& [name, values] : (servers_ ? *seed : optimizer_).state())
    targets.emplace_back(name, std::as_writable_bytes(values));
  if (!buffers_.empty()) targets.emplace_back("buffers", std::as_writable_bytes(std::span(buffers_)));
  if (!counters_.empty()) targets.emplace_back("counters", std::as_writable_bytes(std::span(counters_)));
  const auto find = [&](const std::string& name) -> const Buffer* {
    const auto found = std::ranges::find(state.tensors, name, &std::pair<std::string, Buffer>::first);
    return found == state.tensors.end() ? nullptr : &found->second;
  };
  copier_.wait();  // the image may be this session's own
  const Buffer* const values = find("progress");
  const Result<Progress> progress =
      Progress::of_bytes(values == nullptr ? std::span<const std::byte>() : values->bytes());
  if (!progress) return tl::unexpected(progress.error());
  std::vector<const Buffer*> sources;
  for (const auto& [name, bytes] : targets) {
    const Buffer* const found = find(name);
    const std::size_t size = found == nullptr ? 0 : found->size();
    if (size != bytes.size()) {
      return fail(ErrorCode::data_loss,
                  fmt::format("the state's {} has {} bytes where {} belong", name, size, bytes.size()));
    }
    sources.push_back(found);
  }
  copier_.give_up();
  // Only now, so that a state that is refused leaves this one whole. Moved, because of that image.
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!targets[i].second.empty())
      std::memmove(targets[i].second.data(), sources[i]->bytes().data(), targets[i].second.size());
  }
  progress_ = *progress;
  put_back_buffers();
  step_ = state.step;
  shares_->forget();
  noise_.begin_again();
  seed_ = seed;
  if (servers_) servers_->forget();
  return {};
}

void Session::take_over(const WorkerState& state) {
  copier_.give_up();
  if (step_ != state.step) shares_->forget();
  step_ = state.step;
  progress_ = state.progress;
  buffers_ = state.buffers;
  counters_ = state.counters;
  put_back_buffers();
}

Result<void> Session::use_servers(std::shared_ptr<parameters::Link> link, bool seed) {
  if (!servers_) return fail(ErrorCode::internal, "the job has no parameter servers (strategy)");
  copier_.give_up();
  servers_->use(std::move(link));
  if (seed) {
    const std::size_t count = model_.parameters().size();
    if (!seed_) seed_ = std::make_shared<Optimizer>(spec_.optimizer, count);
    OptimizerVectors vectors;
    for (const auto& [name, values] : std::as_const(*seed_).state())
      vectors.emplace_back(name, Buffer(seed_, std::as_bytes(values)));
    const auto skipped = static_cast<std::uint64_t>(progress_.skipped);
    const std::uint64_t made = free_ ? step_ * spec_.logical_ranks() - skipped : updates();
    const auto installed = servers_->install(step_, made, vectors, to_buffer(worker_state()));
    if (!installed) return installed;
  }
  const auto view = servers_->pull(0);
  if (!view) return tl::unexpected(view.error());
  Result<WorkerState> state = newest_of(view->worker_states, buffers_.size(), counters_.size());
  if (!state) return tl::unexpected(state.error());
  if (free_ ? free_->have_gone_back(view->clocks) : view->step < step_) servers_->forget_left_out();
  if (free_) {
    const std::uint64_t step = free_->resume(view->clocks, *state);
    state->step = step;
  } else if (state->step != view->step) {
    return fail(ErrorCode::internal,
                fmt::format("parameter servers at step {} keep the workers' state of step {}", view->step,
                            state->step));
  }
  take_over(*state);
  seed_.reset();
  return {};
}

Result<StateImage> Session::checkpoint_image(bool copy) {
  StateImage whole = image(copy);
  if (!servers_) return whole;
  if (!servers_->is_connected()) return fail(ErrorCode::conflict, "no parameter servers are known yet");
  if (free_ && !free_->settled())
    return fail(ErrorCode::unavailable, fmt::format("some have gone on from step {}", step_),
                "the next evaluation or checkpoint has its state");
  std::optional<OptimizerVectors> snapshot = free_ ? free_->take_snapshot() : std::nullopt;
  if (!snapshot) {
    Result<OptimizerVectors> read = servers_->read_optimizer(step_);
    if (!read) return tl::unexpected(read.error());
    snapshot = *std::move(read);
  }
  whole.tensors.insert(whole.tensors.begin() + 1, snapshot->begin(),
                       snapshot->end());  // after the parameters
  return whole;
}

void Session::put_back_buffers() {
  std::ranges::copy(buffers_, model_.buffers().begin());
  std::ranges::copy(counters_, model_.counters().begin());
}

// ---- steps ----------------------------------------------------------------------------------------

Result<void> Session::check_members(const collective::Communicator& communicator) const {
  if (communicator.logical_ranks() == spec_.logical_ranks()) return {};
  return fail(ErrorCode::internal, fmt::format("the gang has {} logical ranks, the job {}",
                                               communicator.logical_ranks(), spec_.logical_ranks()));
}

Result<StepResult> Session::run_step(collective::Communicator& communicator) {
  if (finished()) return fail(ErrorCode::conflict, fmt::format("the job is done: it ran {} steps", step_));
  if (const Result<void> fits = check_members(communicator); !fits) return tl::unexpected(fits.error());
  if (servers_ && !servers_->is_connected())
    return fail(ErrorCode::conflict, "no parameter servers are known yet");
  const std::uint32_t most = batches_now(spec_, progress_);
  shares_->expect(communicator.hosted(), step_, most);
  if (free_) return run_free_step(communicator);
  const Batch batch = schedule_.batch_after(step_, boundaries_.count_batches(step_, most));
  StepResult result;
  result.batches = batch.batches;
  const Clock::time_point begin = Clock::now();
  const Result<void> done = sum_up(communicator, batch, result);
  put_back_buffers();
  if (!done) return tl::unexpected(done.error());
  const double computed = result.data_seconds + result.forward_seconds + result.backward_seconds;
  result.reduce_seconds = std::max(0.0, seconds_since(begin) - computed);

  const Clock::time_point optimizer_begin = Clock::now();
  if (!servers_) unscale(vector_.gradients(sum_), loss_scale(spec_, progress_));
  const Result<Verdict> verdict =  // of the sums, which are the same on all members: so they decide alike
      judge_sums(spec_, model_.parameter_slots(), sum_, vector_.gradients(sum_).size(),
                 sync_ ? sync_->not_finite() : std::nullopt, progress_, step_ + batch.batches);
  if (!verdict) return tl::unexpected(verdict.error());
  if (const Result<void> copied = copier_.finish(); !copied) return tl::unexpected(copied.error());
  const WorkerState before = servers_ ? worker_state() : WorkerState{};
  if (const Result<void> few = count_bad_records(progress_, StepVector::bad_records(sum_), step_,
                                                 steps_per_epoch(), spec_.data.on_bad_record.most);
      !few)
    return tl::unexpected(few.error());
  result.updated = *verdict == Verdict::good;
  result.loss_scale = loss_scale(spec_, progress_);
  result.learning_rate =
      step_learning_rate(spec_, {step_, total_steps(), batch.batches}, progress_.noise.find_scale());
  const std::uint64_t update = updates() + 1;
  if (result.updated) {
    const auto noise = measure_noise_of(batch);  // before the optimizer cuts the gradient
    if (!servers_)
      optimizer_.apply(model_.parameters(), vector_.gradients(sum_), result.learning_rate, update);
    if (noise) noise_.add(*noise, progress_.noise);  // and not twice where that failed
    vector_.move(sum_, buffers_, counters_);
    put_back_buffers();
  } else {
    noise_.forget_first();
  }
  count_step(spec_, *verdict, progress_);
  count_batches(spec_, step_, batch.batches, progress_.noise.find_scale(), progress_);
  if (sync_) {
    WorkerState after = worker_state();
    after.step += batch.batches;
    if (const Result<void> committed = sync_->commit(result, after, update); !committed) {
      take_over(before);
      return tl::unexpected(committed.error());
    }
  }
  result.optimizer_seconds = seconds_since(optimizer_begin);
  step_ += batch.batches;
  result.step = step_;
  shares_->go_on(step_);
  result.epoch = batch.epoch;
  result.loss = StepVector::loss(sum_);
  result.samples = batch.positions.size();
  // A step right after a boundary has the most room.
  result.batch =
      std::uint64_t{boundaries_.count_batches(0, batches_now(spec_, progress_))} * spec_.batch.global;
  result.bad_records = static_cast<std::uint64_t>(progress_.bad_records);
  result.skipped_steps = static_cast<std::uint64_t>(progress_.skipped);
  result.noise_scale = noise_.scale(progress_.noise);
  return result;
}

/// All members look at the same sums.
std::optional<NoiseMeasured> Session::measure_noise_of(const Batch& batch) {
  const auto divisor = static_cast<double>(batch.positions.size());
  return noise_.measure({optimizer_steps(), vector_.gradients(sum_), sync_ ? sync_->squared_norm() : 0,
                         divisor, divisor - StepVector::bad_records(sum_), StepVector::noise(sum_)});
}

Result<StepResult> Session::run_free_step(collective::Communicator& communicator) {
  if (const Result<void> copied = copier_.finish(); !copied) return tl::unexpected(copied.error());
  WorkerState state = worker_state();
  const Clock::time_point begin = Clock::now();
  Result<StepResult> result = free_->run(communicator, state);
  put_back_buffers();
  if (!result) return result;
  take_over(state);
  shares_->go_on(step_);
  const double computed = result->data_seconds + result->forward_seconds + result->backward_seconds;
  result->reduce_seconds = std::max(0.0, seconds_since(begin) - computed);
  return result;
}

Result<void> Session::sum_up(collective::Communicator& communicator, const Batch& batch, StepResult& result) {
  // All members must go the same way, so this asks for what they all know.
  const std::uint32_t members = communicator.world_size(), ranks = communicator.logical_ranks();
  if (!sync_ && members > 1 && members <= ranks && ranks <= members * kMostVectors)
    return sum_up_in_buckets(communicator, batch, result);
  shared_.clear();
  shared_of_ = 0;
  sum_memory_.resize(vector_.size());
  sum_ = sum_memory_;
  if (sync_) {
    const SyncSteps::WriteShare write = [&](std::uint32_t logical, std::span<float> rest) {
      return write_share(batch, logical, rest, {}, result);
    };
    return sync_->sum_up(
        communicator,
        {step_, batch.batches, 1 / loss_scale(spec_, progress_), measures_noise(spec_, optimizer_steps())},
        write, sum_);
  }
  const OwnGradients after(model_);
  const collective::Communicator::Produce<float> produce = [&](std::uint32_t logical, std::span<float> out) {
    model_.put_gradients(vector_.gradients(out));
    return write_share(batch, logical, out, {}, result);
  };
  if (members == 1 && ranks == 1) return produce(0, sum_);
  return communicator.all_reduce(sum_, produce);
}

/// The first buckets are on their way while the backward pass of the last hosted rank still works on the
/// others.
Result<void> Session::sum_up_in_buckets(collective::Communicator& communicator, const Batch& batch,
                                        StepResult& result) {
  const auto give_up = [&](const Error& why) {
    communicator.abort(why);  // the others wait for these shares
    return tl::unexpected(why);
  };
  const collective::RankRange hosted = communicator.hosted();
  if (shared_of_ != communicator.serial()) {
    shared_.clear();
    while (shared_.size() < hosted.size()) {
      auto memory = communicator.allocate(vector_.size() * sizeof(float));
      if (!memory) return give_up(memory.error());
      shared_.push_back(*std::move(memory));
    }
    shared_of_ = communicator.serial();
  }
  sum_memory_ = {};
  std::vector<std::span<float>> vectors;
  for (auto& memory : shared_) vectors.push_back(memory.as<float>().first(vector_.size()));
  sum_ = vectors.front();
  const OwnGradients after(model_);
  BucketReducer reducer(communicator, vectors, vector_.gradients(sum_).size());
  const Model::OnReady on_ready = [&](std::uint64_t first, std::uint64_t) { reducer.ready_from(first); };
  for (std::uint32_t logical = hosted.first; logical < hosted.last; ++logical) {
    const std::span<float> out = vectors[logical - hosted.first];
    const bool last = logical + 1 == hosted.last;
    try {
      model_.put_gradients(vector_.gradients(out));
      const auto computed = write_share(batch, logical, out, last ? on_ready : Model::OnReady(), result);
      if (!computed) return give_up(computed.error());
    } catch (const std::exception& e) {
      return give_up({ErrorCode::internal, fmt::format("computing a share: {}", e.what()), {}});
    }
  }
  return reducer.finish();
}

/// One logical rank's share of the batch: its gradient where the model puts it, the rest behind the gradients
/// of `out`. A share may be empty.
Result<void> Session::write_share(const Batch& batch, std::uint32_t logical, std::span<float> out,
                                  const Model::OnReady& on_ready, StepResult& result) {
  const auto divisor = static_cast<double>(batch.positions.size());
  Result<StepVector::Share> done =
      shares_->compute({step_, logical, batch.batches, divisor, loss_scale(spec_, progress_), buffers_,
                        counters_, measures_noise(spec_, optimizer_steps())},
                       on_ready, result);
  if (!done) return tl::unexpected(done.error());
  // Of several batches the first is full: its ranks have samples of the others, or more of them.
  const ActiveRanks active = active_ranks(schedule_.batch_after(step_).positions, spec_.logical_ranks());
  done->active = std::max(active.count, 1U);
  done->first = logical == active.first;
  vector_.write_rest(*done, out);
  return {};
}

// ---- evaluation -----------------------------------------------------------------------------------

bool Session::evaluation_due() const {
  if (free_ && !free_->settled()) return false;
  return boundaries_.is_evaluation(step_) || (has_validation() && step_ != 0 && finished());
}

Result<EvaluationResult> Session::evaluate(collective::Communicator& communicator) {
  if (!has_validation()) return fail(ErrorCode::conflict, "the job has no validation set (data.validate)");
  if (const Result<void> fits = check_members(communicator); !fits) return tl::unexpected(fits.error());
  Result<EvaluationResult> result = evaluate_model(parts_, communicator, pieces_);
  if (!result) return result;
  result->step = step_;
  result->noise_scale = noise_.scale(progress_.noise);
  copier_.wait();
  const auto value_of = [&](const scheduler::Goal& goal) {
    return goal.metric == "loss" ? result->loss : result->metrics.at(goal.metric);
  };
  if (spec_.early_stop) judge(progress_, step_, value_of(spec_.early_stop->goal), *spec_.early_stop);
  if (spec_.until.metric && reaches(*spec_.until.metric, value_of(*spec_.until.metric), spec_.until.target))
    progress_.ended = 1;
  // Sync workers tell of it with the next step.
  if (free_) {
    if (const auto kept = servers_->keep(step_, to_buffer(worker_state())); !kept)
      return tl::unexpected(kept.error());
  }
  return result;
}

}  // namespace

Result<std::unique_ptr<TrainingSession>> TrainingSession::create(const scheduler::JobSpec& spec) {
  Result<SessionParts> parts = make_parts(spec);
  if (!parts) return tl::unexpected(parts.error());
  return std::make_unique<Session>(*std::move(parts));
}

}  // namespace ds::train
