#include "actors/train/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

#include "actors/train/batch_schedule.hpp"
#include "actors/train/sample_order.hpp"
#include "actors/train/session_data.hpp"
#include "actors/train/text_classifier.hpp"
#include "kernels/optimizer.hpp"

namespace ds::train {
namespace {

using Clock = std::chrono::steady_clock;  // for the seconds that are reported; no result depends on it

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

constexpr std::uint64_t kEvaluationRows = 256;

/// Rows gathered for the model.
struct GatheredRows {
  std::vector<std::int64_t> words;
  std::vector<std::int64_t> labels;

  void clear() { words.clear(), labels.clear(); }
  void append(const EncodedRows& rows, std::uint64_t row) {
    const auto of_row = rows.words_of(row);
    words.insert(words.end(), of_row.begin(), of_row.end());
    labels.push_back(rows.labels[row]);
  }
  TokenBatch batch() const { return {words, labels}; }
};

/// Everything of a session that has the parameters' length.
struct FlatState {
  std::vector<float> first_moment;
  std::vector<float> second_moment;
  std::vector<float> sum;  ///< of the gradients of all logical ranks, and at its end of their losses
};

class Session final : public TrainingSession {
 public:
  Session(const scheduler::JobSpec& spec, SessionData data, std::unique_ptr<TextClassifier> model)
      : spec_(spec),
        data_(std::move(data)),
        description_(to_json(data_.description)),
        schedule_(data_.training.size(), spec.batch.global),
        order_(data_.training.size(), spec.seed, spec.data.shuffle),
        model_(std::move(model)) {
    const std::size_t count = model_->parameters().size();
    flat_ = {std::vector<float>(count), std::vector<float>(count), std::vector<float>(count + 1)};
    write_initial_parameters(data_.description.model, spec.seed, model_->parameters());
  }

  std::uint64_t step() const override { return step_; }
  std::uint64_t total_steps() const override { return schedule_.total_steps(spec_.until); }
  std::uint64_t steps_per_epoch() const override { return schedule_.steps_per_epoch(); }
  bool has_validation() const override { return data_.validation.has_value(); }

  StateImage image(bool copy) const override {
    const auto buffer = [&](std::span<const float> values) {
      const auto bytes = std::as_bytes(values);
      return copy ? Buffer::copy_of(bytes) : Buffer(nullptr, bytes);
    };
    return {step_,
            description_,
            {{"parameters", buffer(model_->parameters())},
             {"first_moment", buffer(flat_.first_moment)},
             {"second_moment", buffer(flat_.second_moment)}}};
  }

  Result<void> restore(const StateImage& state) override;
  Result<StepResult> run_step(collective::Communicator& communicator) override;
  Result<EvaluationResult> evaluate(collective::Communicator& communicator) override;

 private:
  using Batch = BatchSchedule::Batch;

  Result<void> check_members(const collective::Communicator& communicator) const;
  Result<void> compute_share(const Batch& batch, std::uint32_t logical, std::span<float> out,
                             StepResult& times);
  Result<double> compute_micro_batch(const Batch& batch, Positions positions, std::uint32_t logical,
                                     std::uint32_t micro_batch, StepResult& times);
  Result<void> check_finite() const;
  Result<void> judge_share(std::uint32_t logical, std::span<double> out);

  scheduler::JobSpec spec_;
  SessionData data_;
  std::string description_;
  BatchSchedule schedule_;
  SampleOrder order_;
  std::unique_ptr<TextClassifier> model_;
  FlatState flat_;
  std::uint64_t step_ = 0;
  GatheredRows rows_;        // kept for its memory
  std::vector<float> mask_;  // likewise
};

Result<void> Session::restore(const StateImage& state) {
  if (state.description != description_) {
    const Result<StateDescription> theirs = to_state_description(state.description);
    if (!theirs) return tl::unexpected(theirs.error());
    const Result<void> same = check_same_training(data_.description, *theirs);
    if (!same) return same;
  }
  const std::array<std::pair<const char*, std::span<float>>, 3> targets{
      {{"parameters", model_->parameters()},
       {"first_moment", flat_.first_moment},
       {"second_moment", flat_.second_moment}}};
  std::array<const Buffer*, 3> sources{};
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto found =
        std::ranges::find(state.tensors, targets[i].first, &std::pair<std::string, Buffer>::first);
    const std::size_t size = found == state.tensors.end() ? 0 : found->second.size();
    if (size != targets[i].second.size_bytes()) {
      return fail(ErrorCode::data_loss, fmt::format("the state's {} has {} bytes where {} belong",
                                                    targets[i].first, size, targets[i].second.size_bytes()));
    }
    sources[i] = &found->second;
  }
  // Only now, so that a state that is refused leaves this one whole. Moved, because the image may be this
  // session's own.
  for (std::size_t i = 0; i < targets.size(); ++i) {
    std::memmove(targets[i].second.data(), sources[i]->bytes().data(), targets[i].second.size_bytes());
  }
  step_ = state.step;
  return {};
}

Result<void> Session::check_members(const collective::Communicator& communicator) const {
  if (communicator.logical_ranks() == spec_.logical_ranks()) return {};
  return fail(ErrorCode::internal, fmt::format("the gang has {} logical ranks, the job {}",
                                               communicator.logical_ranks(), spec_.logical_ranks()));
}

Result<StepResult> Session::run_step(collective::Communicator& communicator) {
  if (step_ >= total_steps())
    return fail(ErrorCode::conflict, fmt::format("the job is done: it ran all {} steps", total_steps()));
  if (const Result<void> fits = check_members(communicator); !fits) return tl::unexpected(fits.error());
  const Batch batch = schedule_.batch_after(step_);
  StepResult result;
  const Clock::time_point begin = Clock::now();
  const collective::Communicator::Produce<float> produce = [&](std::uint32_t logical, std::span<float> out) {
    return compute_share(batch, logical, out, result);
  };
  Result<void> done = communicator.all_reduce(std::span<float>(flat_.sum), produce);
  if (done) done = check_finite();
  if (!done) return tl::unexpected(done.error());
  const double computed = result.data_seconds + result.forward_seconds + result.backward_seconds;
  result.reduce_seconds = std::max(0.0, seconds_since(begin) - computed);

  const Clock::time_point optimizer_begin = Clock::now();
  const scheduler::OptimizerSpec& o = spec_.optimizer;
  const std::array<std::span<float>, 2> moments{flat_.first_moment, flat_.second_moment};
  kernels::optimizer_step(
      {.lr = o.lr, .beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps, .weight_decay = o.weight_decay},
      step_ + 1, model_->parameters(), std::span<const float>(flat_.sum).first(model_->parameters().size()),
      moments);
  result.optimizer_seconds = seconds_since(optimizer_begin);
  result.step = ++step_;
  result.epoch = batch.epoch;
  result.loss = flat_.sum.back();
  result.samples = batch.positions.size();
  return result;
}

/// The gradient and the loss of one logical rank's share of the batch. A share may be empty.
Result<void> Session::compute_share(const Batch& batch, std::uint32_t logical, std::span<float> out,
                                    StepResult& times) {
  const std::span<float> gradients = model_->gradients();
  std::ranges::fill(gradients, 0.0F);
  const Positions share = part_of(batch.positions, logical, spec_.logical_ranks());
  double loss = 0;
  for (std::uint32_t micro = 0; micro < spec_.batch.accumulate; ++micro) {
    const Positions positions = part_of(share, micro, spec_.batch.accumulate);
    if (positions.size() == 0) continue;
    const Result<double> part = compute_micro_batch(batch, positions, logical, micro, times);
    if (!part) return tl::unexpected(part.error());
    loss += *part;
  }
  std::ranges::copy(gradients, out.begin());
  out.back() = static_cast<float>(loss);
  return {};
}

Result<double> Session::compute_micro_batch(const Batch& batch, Positions positions, std::uint32_t logical,
                                            std::uint32_t micro_batch, StepResult& times) {
  const Clock::time_point begin = Clock::now();
  rows_.clear();
  for (std::uint64_t at = positions.first; at < positions.last; ++at)
    rows_.append(data_.training, order_.sample_at(batch.epoch, at));
  const ModelShape& shape = data_.description.model;
  if (shape.dropout > 0) {
    mask_.resize(positions.size() * shape.width);
    write_dropout_mask(shape.dropout, spec_.seed, step_, logical, micro_batch, mask_);
  }
  times.data_seconds += seconds_since(begin);
  const auto made = model_->accumulate(rows_.batch(), mask_, static_cast<double>(batch.positions.size()));
  if (!made) return tl::unexpected(made.error());
  times.forward_seconds += made->forward_seconds;
  times.backward_seconds += made->backward_seconds;
  return made->loss;
}

/// Looks at the sums, which are the same on all members: so they decide alike. Not the loss alone, for a
/// gradient that is not finite would spoil the parameters.
Result<void> Session::check_finite() const {
  const auto is_finite = [](float value) { return std::isfinite(value); };
  if (std::ranges::all_of(flat_.sum, is_finite)) return {};
  const bool loss = !std::isfinite(flat_.sum.back());
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("step {}: the {} is not finite: training diverged", step_ + 1, loss ? "loss" : "gradient"),
      "lower optimizer.lr");
}

Result<EvaluationResult> Session::evaluate(collective::Communicator& communicator) {
  if (!data_.validation) return fail(ErrorCode::conflict, "the job has no validation set (data.validate)");
  if (const Result<void> fits = check_members(communicator); !fits) return tl::unexpected(fits.error());
  std::array<double, 3> sum{};  // loss, rows with a known label, rows judged right
  const collective::Communicator::Produce<double> produce =
      [&](std::uint32_t logical, std::span<double> out) { return judge_share(logical, out); };
  const Result<void> done = communicator.all_reduce(std::span<double>(sum), produce);
  if (!done) return tl::unexpected(done.error());
  EvaluationResult result;
  result.step = step_;
  result.samples = data_.validation->size();
  result.loss = sum[0] / std::max(1.0, sum[1]);
  result.accuracy = sum[2] / static_cast<double>(result.samples);
  result.majority_accuracy = data_.majority_accuracy;
  return result;
}

/// A row whose label the training set does not have is judged wrong and has no loss.
Result<void> Session::judge_share(std::uint32_t logical, std::span<double> out) {
  const EncodedRows& rows = *data_.validation;
  std::ranges::fill(out, 0.0);
  const Positions share = part_of({0, rows.size()}, logical, spec_.logical_ranks());
  for (std::uint64_t first = share.first; first < share.last; first += kEvaluationRows) {
    rows_.clear();
    for (std::uint64_t row = first; row < std::min(first + kEvaluationRows, share.last); ++row)
      rows_.append(rows, row);
    const auto verdict = model_->evaluate(rows_.batch());
    if (!verdict) return tl::unexpected(verdict.error());
    out[0] += verdict->loss;
    out[1] += static_cast<double>(rows_.labels.size() - static_cast<std::size_t>(std::ranges::count(
                                                            rows_.labels, EncodedRows::kUnknownLabel)));
    out[2] += static_cast<double>(verdict->correct);
  }
  return {};
}

/// What this version can train; the job file's parser allows no more, but a session may be made without it.
Result<void> check_spec(const scheduler::JobSpec& spec) {
  const auto refuse = [](const char* field, const std::string& problem) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", field, problem));
  };
  if (spec.model.zoo != "text_classifier")
    return refuse("model.zoo", fmt::format("no model \"{}\", there is text_classifier", spec.model.zoo));
  const Result<TextJob> job = to_text_job(spec);
  if (!job) return tl::unexpected(job.error());
  if (job->width == 0) return refuse("model.width", "must be at least 1");
  if (!(job->dropout >= 0 && job->dropout < 1)) return refuse("model.dropout", "must be in [0, 1)");
  if (job->length == 0) return refuse("data.transforms.pad_sequences.length", "must be at least 1");
  if (job->vocabulary <= Vocabulary::kReserved)
    return refuse("data.transforms.tokenize.vocabulary", "must be at least 3: two are reserved");
  if (spec.batch.global == 0) return refuse("batch.global", "must be at least 1");
  if (spec.batch.accumulate == 0) return refuse("batch.accumulate", "must be at least 1");
  if (spec.workers.max == 0) return refuse("workers.max", "must be at least 1");
  if (spec.resources.cpus == 0) return refuse("resources.cpus", "must be at least 1");
  if (spec.optimizer.name != "adamw")
    return refuse("optimizer.name", fmt::format("no optimizer \"{}\", there is adamw", spec.optimizer.name));
  if (spec.optimizer.clip_norm || spec.optimizer.clip_value)
    return refuse("optimizer", "gradients are not clipped");
  if (spec.schedule != scheduler::ScheduleSpec{}) return refuse("schedule", "the rate is constant");
  if (spec.loss != std::vector{scheduler::LossTerm{}}) return refuse("loss", "there is cross_entropy");
  if (spec.precision != "fp32")
    return refuse("precision", fmt::format("no precision \"{}\", there is fp32", spec.precision));
  if (spec.strategy.name != "allreduce")
    return refuse("strategy", fmt::format("no strategy \"{}\", there is allreduce", spec.strategy.name));
  if (spec.until.epochs.has_value() == spec.until.steps.has_value())
    return refuse("until", "needs either epochs or steps");
  return {};
}

}  // namespace

Result<std::unique_ptr<TrainingSession>> TrainingSession::create(const scheduler::JobSpec& spec) {
  const Result<void> supported = check_spec(spec);
  if (!supported) return tl::unexpected(supported.error());
  Result<SessionData> data = load_session_data(spec);
  if (!data) return tl::unexpected(data.error());
  Result<std::unique_ptr<TextClassifier>> model =
      TextClassifier::create(data->description.model, spec.resources.cpus);
  if (!model) return tl::unexpected(model.error());
  return std::make_unique<Session>(spec, *std::move(data), *std::move(model));
}

}  // namespace ds::train
