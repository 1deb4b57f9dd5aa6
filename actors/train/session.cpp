#include "actors/train/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "actors/data/random_stream.hpp"
#include "actors/train/batch_feed.hpp"
#include "actors/train/batch_maker.hpp"
#include "actors/train/batch_schedule.hpp"
#include "actors/train/bucket_reducer.hpp"
#include "actors/train/divergence.hpp"
#include "actors/train/free_steps.hpp"
#include "actors/train/optimizer.hpp"
#include "actors/train/progress.hpp"
#include "actors/train/server_parameters.hpp"
#include "actors/train/session_parts.hpp"
#include "actors/train/state_copier.hpp"
#include "actors/train/step_vector.hpp"
#include "actors/train/step_verdict.hpp"
#include "actors/train/worker_state.hpp"
#include "kernels/gradient.hpp"
#include "scheduler/spec/schedule_factor.hpp"

namespace ds::train {
namespace {

using Clock = std::chrono::steady_clock;  // for the seconds that are reported; no result depends on it

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

class Session final : public TrainingSession {
 public:
  explicit Session(SessionParts parts)
      : parts_(std::move(parts)),
        spec_(parts_.spec),
        description_(to_json(parts_.description)),
        maker_(spec_, *parts_.training),
        schedule_(maker_.schedule()),
        model_(*parts_.model),
        servers_(spec_.strategy.name == "parameter_server" ? std::make_unique<ServerParameters>(spec_, model_)
                                                           : nullptr),
        optimizer_(spec_.optimizer, servers_ ? 0 : model_.parameters().size()),
        vector_(
            {servers_ ? 0 : model_.parameters().size(), model_.buffers().size(), model_.counters().size()}),
        buffers_(model_.buffers().begin(), model_.buffers().end()),
        counters_(model_.counters().begin(), model_.counters().end()),
        feed_(std::make_unique<BatchFeed>([this](const MicroBatch& which) { return maker_.make(which); })) {
    begin_scaling(spec_, progress_);
    if (!servers_ || servers_->is_sync()) return;
    free_.emplace(
        spec_, schedule_, model_, *servers_,
        [this](const ShareOrder& order, StepResult& result) { return compute_share(order, {}, result); },
        FreeSteps::Rules{[this](std::uint64_t at) { return is_checkpoint(at) || is_evaluation(at); },
                         [this](std::uint64_t at) { return is_checkpoint(at); }});
  }

  std::uint64_t step() const override { return step_; }
  std::uint64_t total_steps() const override { return schedule_.total_steps(spec_.until); }
  std::uint64_t steps_per_epoch() const override { return schedule_.steps_per_epoch(); }
  bool has_validation() const override { return parts_.validation != nullptr; }
  bool finished() const override { return step_ >= total_steps() || progress_.ended != 0; }
  bool evaluation_due() const override;
  void set_batch_source(const MakeSource& make) override { feed_ = make(maker_); }

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
    watch_ = std::move(watch);
  }
  Result<StepResult> run_step(collective::Communicator& communicator) override;
  Result<EvaluationResult> evaluate(collective::Communicator& communicator) override;

 private:
  using Batch = BatchSchedule::Batch;

  StateImage make_image(bool copy) const;
  Result<void> check_members(const collective::Communicator& communicator) const;
  void expect_batches(const collective::Communicator& communicator);
  Result<void> sum_up(collective::Communicator& communicator, const Batch& batch, StepResult& result);
  Result<void> sum_up_in_buckets(collective::Communicator& communicator, const Batch& batch,
                                 StepResult& result);
  Result<void> sum_up_on_servers(collective::Communicator& communicator, const Batch& batch,
                                 StepResult& result);
  Result<void> write_share(const Batch& batch, std::uint32_t logical, std::span<float> out,
                           const Model::OnReady& on_ready, StepResult& result);
  Result<StepVector::Share> compute_share(const ShareOrder& order, const Model::OnReady& on_ready,
                                          StepResult& result);
  Result<double> compute_micro_batch(const MicroBatch& which, double divisor, const Model::OnReady& on_ready,
                                     std::uint64_t& bad_records, StepResult& result);
  Result<void> tell_share(const ShareOrder& order);
  Result<Verdict> judge_sums() const;
  Result<void> commit_on_servers(const StepResult& result, std::uint64_t updates);
  Result<StepResult> run_free_step(collective::Communicator& communicator);
  WorkerState worker_state() const { return {step_, progress_, buffers_, counters_}; }
  void take_over(const WorkerState& state);
  Result<WorkerState> newest(const std::vector<Buffer>& states) const;
  bool is_evaluation(std::uint64_t step) const;
  bool is_checkpoint(std::uint64_t step) const;
  void put_back_buffers();

  const SessionParts parts_;
  const scheduler::JobSpec& spec_;
  const std::string description_;
  const BatchMaker maker_;
  const BatchSchedule& schedule_;
  Model& model_;
  const std::unique_ptr<ServerParameters> servers_;  ///< none: every member has the optimizer
  std::optional<FreeSteps> free_;                    ///< with servers that are not sync
  std::shared_ptr<Optimizer> seed_;                  ///< what `restore` gave, until servers have it
  ServerParameters::Pushed pushed_;                  ///< what servers say of the step's gradients
  Optimizer optimizer_;
  const StepVector vector_;          ///< with servers, without gradients
  std::vector<float> rests_;         ///< with servers: of each hosted rank
  std::vector<float> sum_memory_;    ///< where the members share none
  collective::SharedMemory shared_;  ///< of the communicator `shared_of_`
  std::uint64_t shared_of_ = 0;
  std::span<float> sum_;                ///< of the step: in one of these
  std::vector<float> buffers_;          ///< the committed ones: the model's move while a share is computed
  std::vector<std::int64_t> counters_;  ///< likewise
  Progress progress_;
  std::function<Result<void>(const TakenShare&)> watch_;
  std::vector<std::uint64_t> taken_;  ///< samples of the share that is computed; only when watched
  mutable std::array<double, Progress::kCount> progress_values_{};  ///< lent to images
  std::uint64_t step_ = 0;
  /// What the feed expects: the generation's ranks, and the step that follows without a jump.
  std::optional<std::pair<collective::RankRange, std::uint64_t>> expecting_;
  mutable StateCopier copier_;         // these last: their threads use the others
  std::unique_ptr<BatchSource> feed_;  // last: its thread uses the others
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
  std::array<double, Progress::kCount> progress{};
  std::vector<std::pair<std::string, std::span<std::byte>>> targets{
      {"parameters", std::as_writable_bytes(model_.parameters())}};
  const auto seed =
      servers_ ? std::make_shared<Optimizer>(spec_.optimizer, model_.parameters().size()) : nullptr;
  for (const auto& [name, values] : (servers_ ? *seed : optimizer_).state())
    targets.emplace_back(name, std::as_writable_bytes(values));
  if (!buffers_.empty()) targets.emplace_back("buffers", std::as_writable_bytes(std::span(buffers_)));
  if (!counters_.empty()) targets.emplace_back("counters", std::as_writable_bytes(std::span(counters_)));
  targets.emplace_back("progress", std::as_writable_bytes(std::span(progress)));
  std::vector<const Buffer*> sources;
  for (const auto& [name, bytes] : targets) {
    const auto found = std::ranges::find(state.tensors, name, &std::pair<std::string, Buffer>::first);
    const std::size_t size = found == state.tensors.end() ? 0 : found->second.size();
    if (size != bytes.size()) {
      return fail(ErrorCode::data_loss,
                  fmt::format("the state's {} has {} bytes where {} belong", name, size, bytes.size()));
    }
    sources.push_back(&found->second);
  }
  copier_.wait();
  // Only now, so that a state that is refused leaves this one whole. Moved, because the image may be this
  // session's own.
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!targets[i].second.empty())
      std::memmove(targets[i].second.data(), sources[i]->bytes().data(), targets[i].second.size());
  }
  progress_ = Progress::of(progress);
  put_back_buffers();
  step_ = state.step;
  expecting_.reset();
  seed_ = seed;
  if (servers_) servers_->forget();
  return {};
}

void Session::take_over(const WorkerState& state) {
  copier_.wait();
  if (step_ != state.step) expecting_.reset();
  step_ = state.step;
  progress_ = state.progress;
  buffers_ = state.buffers;
  counters_ = state.counters;
  put_back_buffers();
}

/// A gang that ended in the middle of a meeting, or of what follows an evaluation, told some servers only.
Result<WorkerState> Session::newest(const std::vector<Buffer>& states) const {
  std::optional<WorkerState> newest;
  const auto age = [](const WorkerState& one) { return std::pair(one.step, one.progress.judged_step); };
  for (const Buffer& bytes : states) {
    Result<WorkerState> one = to_worker_state(bytes, buffers_.size(), counters_.size());
    if (!one) return one;
    if (!newest || age(*one) > age(*newest)) newest = *std::move(one);
  }
  return *std::move(newest);
}

Result<void> Session::use_servers(std::shared_ptr<parameters::Link> link, bool seed) {
  if (!servers_) return fail(ErrorCode::internal, "the job has no parameter servers (strategy)");
  copier_.wait();
  servers_->use(std::move(link));
  if (seed) {
    const std::size_t count = model_.parameters().size();
    if (!seed_) seed_ = std::make_shared<Optimizer>(spec_.optimizer, count);
    OptimizerVectors vectors;
    for (const auto& [name, values] : std::as_const(*seed_).state())
      vectors.emplace_back(name, Buffer(seed_, std::as_bytes(values)));
    const std::uint64_t shares = free_ ? spec_.logical_ranks() : 1;
    const auto updates = step_ * shares - static_cast<std::uint64_t>(progress_.skipped);
    const auto installed = servers_->install(step_, updates, vectors, to_buffer(worker_state()));
    if (!installed) return installed;
  }
  const auto view = servers_->pull(0);
  if (!view) return tl::unexpected(view.error());
  Result<WorkerState> state = newest(view->worker_states);
  if (!state) return tl::unexpected(state.error());
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

// ---- batches --------------------------------------------------------------------------------------

/// Ahead of need the feed makes what this worker will want as long as its ranks and steps go on.
void Session::expect_batches(const collective::Communicator& communicator) {
  const collective::RankRange hosted = communicator.hosted();
  const auto wanted = std::pair(hosted, step_);
  const bool goes_on = expecting_ && expecting_->first == hosted && expecting_->second == step_;
  if (!goes_on && hosted.first < hosted.last) {
    const auto next = [this, hosted](const MicroBatch& one) { return maker_.after(one, hosted); };
    if (const auto first = maker_.first_at(step_, hosted)) feed_->expect(*first, next);
  }
  expecting_ = wanted;
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
  expect_batches(communicator);
  if (free_) return run_free_step(communicator);
  const Batch batch = schedule_.batch_after(step_);
  StepResult result;
  const Clock::time_point begin = Clock::now();
  const Result<void> done = sum_up(communicator, batch, result);
  put_back_buffers();
  if (!done) return tl::unexpected(done.error());
  const double computed = result.data_seconds + result.forward_seconds + result.backward_seconds;
  result.reduce_seconds = std::max(0.0, seconds_since(begin) - computed);

  const Clock::time_point optimizer_begin = Clock::now();
  if (!servers_) unscale(vector_.gradients(sum_), loss_scale(spec_, progress_));
  const Result<Verdict> verdict = judge_sums();
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
      spec_.optimizer.lr * scheduler::schedule_factor(spec_.schedule, step_, total_steps());
  const std::uint64_t updates = step_ - static_cast<std::uint64_t>(progress_.skipped) + 1;
  if (result.updated) {
    if (!servers_)
      optimizer_.apply(model_.parameters(), vector_.gradients(sum_), result.learning_rate, updates);
    vector_.move(sum_, buffers_, counters_);
    put_back_buffers();
  }
  count_step(spec_, *verdict, progress_);
  if (servers_) {
    if (const Result<void> committed = commit_on_servers(result, updates); !committed) {
      take_over(before);
      return tl::unexpected(committed.error());
    }
  }
  result.optimizer_seconds = seconds_since(optimizer_begin);
  result.step = ++step_;
  expecting_->second = step_;
  result.epoch = batch.epoch;
  result.loss = StepVector::loss(sum_);
  result.samples = batch.positions.size();
  result.bad_records = static_cast<std::uint64_t>(progress_.bad_records);
  result.skipped_steps = static_cast<std::uint64_t>(progress_.skipped);
  return result;
}

/// All members come to the same commit, so that the first of them makes the step.
Result<void> Session::commit_on_servers(const StepResult& result, std::uint64_t updates) {
  WorkerState after = worker_state();
  ++after.step;
  parameters::Commit commit{step_, result.updated, 1, result.learning_rate, updates, to_buffer(after)};
  if (spec_.optimizer.clip_norm && result.updated)
    commit.clip_factor = kernels::clip_factor(pushed_.norm, *spec_.optimizer.clip_norm);
  return servers_->commit(commit);
}

Result<StepResult> Session::run_free_step(collective::Communicator& communicator) {
  if (const Result<void> copied = copier_.finish(); !copied) return tl::unexpected(copied.error());
  WorkerState state = worker_state();
  const Clock::time_point begin = Clock::now();
  Result<StepResult> result = free_->run(communicator, state);
  put_back_buffers();
  if (!result) return result;
  take_over(state);
  expecting_ = std::pair(communicator.hosted(), step_);
  const double computed = result->data_seconds + result->forward_seconds + result->backward_seconds;
  result->reduce_seconds = std::max(0.0, seconds_since(begin) - computed);
  return result;
}

Result<void> Session::sum_up(collective::Communicator& communicator, const Batch& batch, StepResult& result) {
  // All members must go the same way, so this asks for what they all know.
  if (servers_) return sum_up_on_servers(communicator, batch, result);
  const bool one_each = communicator.world_size() == communicator.logical_ranks();
  if (one_each && communicator.world_size() > 1) return sum_up_in_buckets(communicator, batch, result);
  sum_memory_.resize(vector_.size());
  sum_ = sum_memory_;
  const collective::Communicator::Produce<float> produce = [&](std::uint32_t logical, std::span<float> out) {
    const Result<void> computed = write_share(batch, logical, out, {}, result);
    if (computed) std::ranges::copy(model_.gradients(), out.begin());
    return computed;
  };
  return communicator.all_reduce(sum_, produce);
}

/// The first buckets are on their way while the backward pass still works on the others.
Result<void> Session::sum_up_in_buckets(collective::Communicator& communicator, const Batch& batch,
                                        StepResult& result) {
  if (shared_of_ != communicator.serial()) {
    shared_ = {};
    const auto memory = communicator.allocate(vector_.size() * sizeof(float));
    if (!memory) {
      communicator.abort(memory.error());  // the others wait for this share
      return tl::unexpected(memory.error());
    }
    shared_ = *memory;
    shared_of_ = communicator.serial();
  }
  sum_ = shared_.as<float>().first(vector_.size());
  const std::span<float> gradients = vector_.gradients(sum_);
  BucketReducer reducer(communicator, sum_, gradients.size());
  const Model::OnReady on_ready = [&](std::uint64_t first, std::uint64_t last) {
    const auto part = model_.gradients().subspan(first, last - first);
    std::ranges::copy(part, gradients.begin() + static_cast<std::ptrdiff_t>(first));
    reducer.ready_from(first);
  };
  const std::uint32_t logical = communicator.hosted().first;
  const Result<void> computed = [&]() -> Result<void> {
    try {
      return write_share(batch, logical, sum_, on_ready, result);
    } catch (const std::exception& e) {
      return fail(ErrorCode::internal, fmt::format("computing a share: {}", e.what()));
    }
  }();
  if (!computed) {
    communicator.abort(computed.error());  // the others wait for this share
    return computed;
  }
  return reducer.finish();
}

/// Gradients go to the servers, what is small goes through the members.
Result<void> Session::sum_up_on_servers(collective::Communicator& communicator, const Batch& batch,
                                        StepResult& result) {
  const collective::RankRange hosted = communicator.hosted();
  const std::size_t size = vector_.size();
  rests_.resize(hosted.size() * size);
  sum_memory_.resize(size);
  sum_ = sum_memory_;
  std::vector<collective::ConstVector> rests;
  const auto compute = [&]() -> Result<void> {
    servers_->begin_step(hosted);
    for (std::uint32_t logical = hosted.first; logical < hosted.last; ++logical) {
      servers_->settle();
      const auto rest = std::span(rests_).subspan(rests.size() * size, size);
      if (const auto computed = write_share(batch, logical, rest, {}, result); !computed) return computed;
      servers_->add(logical, step_);
      rests.emplace_back(rest);
    }
    return {};
  };
  const Result<void> computed = [&]() -> Result<void> {
    try {
      return compute();
    } catch (const std::exception& e) {
      return fail(ErrorCode::internal, fmt::format("computing a share: {}", e.what()));
    }
  }();
  if (!computed) {
    communicator.abort(computed.error());  // the others wait for this share
    return computed;
  }
  const collective::Operation summing = communicator.start_all_reduce(rests, collective::Vector(sum_));
  const Result<ServerParameters::Pushed> pushed = servers_->push(step_, 1 / loss_scale(spec_, progress_));
  if (!pushed) communicator.abort(pushed.error());
  const Result<void> summed = summing.wait();
  if (!pushed) return tl::unexpected(pushed.error());
  pushed_ = *pushed;
  return summed;
}

/// One logical rank's share of the batch: its gradient into the model, the rest behind the gradients of
/// `out`. A share may be empty.
Result<void> Session::write_share(const Batch& batch, std::uint32_t logical, std::span<float> out,
                                  const Model::OnReady& on_ready, StepResult& result) {
  const std::uint32_t ranks = spec_.logical_ranks();
  const auto is_active = [&](std::uint32_t rank) {
    return part_of(batch.positions, rank, ranks).size() != 0;
  };
  const auto divisor = static_cast<double>(batch.positions.size());
  Result<StepVector::Share> done =
      compute_share({step_, logical, divisor, buffers_, counters_}, on_ready, result);
  if (!done) return tl::unexpected(done.error());
  std::uint32_t active = 0, first_active = ranks;
  for (std::uint32_t rank = ranks; rank-- > 0;) {
    if (is_active(rank)) ++active, first_active = rank;
  }
  done->active = std::max(active, 1U);
  done->first = logical == first_active;
  vector_.write_rest(*done, out);
  return {};
}

/// Into the model's gradients, buffers and counters.
Result<StepVector::Share> Session::compute_share(const ShareOrder& order, const Model::OnReady& on_ready,
                                                 StepResult& result) {
  std::ranges::copy(order.buffers, model_.buffers().begin());
  std::ranges::copy(order.counters, model_.counters().begin());
  std::ranges::fill(model_.gradients(), 0.0F);
  StepVector::Share done;
  taken_.clear();
  std::uint64_t unready = model_.gradients().size();
  const Model::OnReady told = [&](std::uint64_t first, std::uint64_t last) {
    unready = first;
    on_ready(first, last);
  };
  for (std::uint32_t micro = 0; micro < spec_.batch.accumulate; ++micro) {
    const MicroBatch which{order.step, order.logical, micro};
    if (maker_.positions_of(which).size() == 0) continue;
    const bool last = on_ready && micro + 1 == spec_.batch.accumulate;
    const auto part =
        compute_micro_batch(which, order.divisor, last ? told : Model::OnReady(), done.bad_records, result);
    if (!part) return tl::unexpected(part.error());
    done.loss += *part;
  }
  if (on_ready && unready != 0) on_ready(0, unready);  // there was no last micro-batch
  done.buffers_before = order.buffers;
  done.buffers_after = model_.buffers();
  done.counters_before = order.counters;
  done.counters_after = model_.counters();
  if (const Result<void> noted = tell_share(order); !noted) return tl::unexpected(noted.error());
  return done;
}

Result<void> Session::tell_share(const ShareOrder& order) {
  if (!watch_) return {};
  return watch_({order.step + 1, schedule_.batch_after(order.step).epoch, order.logical, taken_,
                 parts_.training->size(), steps_per_epoch(), spec_.logical_ranks()});
}

Result<double> Session::compute_micro_batch(const MicroBatch& which, double divisor,
                                            const Model::OnReady& on_ready, std::uint64_t& bad_records,
                                            StepResult& result) {
  const Clock::time_point begin = Clock::now();
  const Result<data::Batch> batch = feed_->take(which);
  if (!batch) return tl::unexpected(batch.error());
  result.data_seconds += seconds_since(begin);
  bad_records += batch->skipped;
  if (watch_) taken_.insert(taken_.end(), batch->samples.begin(), batch->samples.end());
  if (result.bad_record.empty()) result.bad_record = batch->first_skipped;
  if (batch->rows == 0) return 0.0;
  const data::RandomStream random(spec_.seed, data::Stream::dropout,
                                  {which.step, which.logical_rank, which.micro});
  const auto made =
      model_.accumulate(*batch, random.bits(0), divisor, loss_scale(spec_, progress_), on_ready);
  if (!made) return tl::unexpected(made.error());
  result.forward_seconds += made->forward_seconds;
  result.backward_seconds += made->backward_seconds;
  return made->loss;
}

/// Of the sums, which are the same on all members: so they decide alike.
Result<Verdict> Session::judge_sums() const {
  const auto bad = kernels::find_not_finite(sum_);
  std::optional<std::size_t> gradient = servers_ ? pushed_.not_finite : std::nullopt;
  if (!bad && !gradient) return Verdict::good;
  if (!servers_ && *bad < model_.parameters().size()) gradient = bad;
  return judge_not_finite(spec_, model_.parameter_slots(), {gradient, !std::isfinite(StepVector::loss(sum_))},
                          progress_, step_ + 1);
}

// ---- evaluation -----------------------------------------------------------------------------------

bool Session::evaluation_due() const {
  if (free_ && !free_->settled()) return false;
  return is_evaluation(step_) || (has_validation() && step_ != 0 && finished());
}

bool Session::is_evaluation(std::uint64_t step) const {
  if (!has_validation() || step == 0) return false;
  if (step >= total_steps()) return true;
  const scheduler::ValidateSpec& rule = spec_.validate;
  if (rule.every_steps) return step % *rule.every_steps == 0;
  return step % (steps_per_epoch() * rule.every_epochs) == 0;
}

bool Session::is_checkpoint(std::uint64_t step) const {
  return step >= total_steps() || step % steps_per_epoch() == 0 || step % spec_.checkpoint.every_steps == 0;
}

Result<EvaluationResult> Session::evaluate(collective::Communicator& communicator) {
  if (!has_validation()) return fail(ErrorCode::conflict, "the job has no validation set (data.validate)");
  if (const Result<void> fits = check_members(communicator); !fits) return tl::unexpected(fits.error());
  Result<EvaluationResult> result = evaluate_model(parts_, communicator);
  if (!result) return result;
  result->step = step_;
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
