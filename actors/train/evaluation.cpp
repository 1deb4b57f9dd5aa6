#include <algorithm>
#include <optional>

#include "actors/train/batch_schedule.hpp"
#include "actors/train/metrics.hpp"
#include "actors/train/piece_watch.hpp"
#include "actors/train/session_parts.hpp"

namespace ds::train {
namespace {

constexpr std::uint64_t kMostRowsAtOnce = 256;

/// A few times what training runs through the model at once: no gradients are kept here.
std::uint64_t rows_at_once(const scheduler::JobSpec& spec) {
  const std::uint64_t parts = std::uint64_t{spec.logical_ranks()} * spec.batch.accumulate;
  return std::min(kMostRowsAtOnce, 4 * ((spec.batch.global + parts - 1) / parts));
}

/// Goes through one logical rank's share of the validation set. `scores` (rows x classes) and `expected` are
/// those of the whole set; a rank writes its rows. Empty: not wanted.
struct Judging {
  const SessionParts& parts;
  MetricSums sums;
  std::span<double> scores, expected;
  PieceWatch* pieces = nullptr;

  Result<void> judge(Positions share) {
    const data::Dataset& rows = *parts.validation;
    const std::uint64_t at_once = rows_at_once(parts.spec);
    std::vector<std::uint64_t> samples;
    for (std::uint64_t first = share.first; first < share.last; first += at_once) {
      const Piece piece(pieces, PieceKind::evaluation_batch);
      if (!piece.begun()) return piece.begun();
      samples.clear();
      for (std::uint64_t row = first; row < std::min(first + at_once, share.last); ++row)
        samples.push_back(row);
      const Result<data::Batch> batch = rows.make_batch(samples, std::nullopt);
      if (!batch) return tl::unexpected(batch.error());
      if (batch->rows == 0) continue;
      const auto verdict = parts.model->judge(*batch, !scores.empty());
      if (!verdict) return tl::unexpected(verdict.error());
      sums.add(verdict->loss, verdict->rows, verdict->elements, verdict->predicted, verdict->expected);
      if (!scores.empty()) keep(*verdict, first);
    }
    return {};
  }

  void keep(const Model::Judgement& verdict, std::uint64_t first) {
    const std::size_t classes = parts.description.request.classes;
    std::ranges::copy(verdict.scores, scores.begin() + static_cast<std::ptrdiff_t>(first * classes));
    // One more than the class, so that a row that nobody judged (a bad record) can be told.
    for (std::size_t i = 0; i < verdict.expected.size(); ++i)
      expected[first + i] = static_cast<double>(verdict.expected[i] + 1);
  }
};

}  // namespace

Result<EvaluationResult> evaluate_model(const SessionParts& parts, collective::Communicator& communicator,
                                        PieceWatch* pieces) {
  const std::uint32_t classes = parts.description.request.classes;
  const std::vector<std::string> names = metric_names(parts.spec, classes);
  const bool with_auc = std::ranges::find(names, "auc") != names.end();
  const std::uint64_t rows = parts.validation->size();
  const std::size_t sums = MetricSums::size_for(classes);
  // Each rank writes the scores of its own rows and zeros elsewhere: the sum is the scores of all.
  std::vector<double> all(sums + (with_auc ? rows * (classes + 1) : 0));
  const collective::Communicator::Produce<double> produce = [&](std::uint32_t logical,
                                                                std::span<double> out) -> Result<void> {
    std::ranges::fill(out, 0.0);
    const auto scores = out.subspan(sums, with_auc ? rows * classes : 0);
    Judging judging{parts, MetricSums(classes), scores, out.subspan(sums + scores.size()), pieces};
    const Result<void> judged = judging.judge(part_of({0, rows}, logical, parts.spec.logical_ranks()));
    if (judged) std::ranges::copy(judging.sums.values(), out.begin());
    return judged;
  };
  const Result<void> done = communicator.all_reduce(std::span<double>(all), produce);
  if (!done) return tl::unexpected(done.error());

  const MetricSums total(classes, {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(sums)});
  EvaluationResult result;
  if (total.rows() == 0)
    return fail(ErrorCode::invalid_argument,
                "data.validate: no sample has a label that the training set knows");
  result.loss = total.loss();
  result.samples = rows;
  result.majority_accuracy = parts.majority_accuracy;
  for (const std::string& name : names) {
    if (name == "accuracy") result.metrics[name] = total.accuracy();
    if (name == "f1") result.metrics[name] = total.macro_f1();
    if (name == "dice") result.metrics[name] = total.dice();
  }
  if (with_auc) {
    const std::vector<float> scores(all.begin() + static_cast<std::ptrdiff_t>(sums),
                                    all.end() - static_cast<std::ptrdiff_t>(rows));
    std::vector<std::int64_t> expected;
    for (std::uint64_t i = 0; i < rows; ++i)
      expected.push_back(static_cast<std::int64_t>(all[all.size() - rows + i]) - 1);
    result.metrics["auc"] = auc(scores, expected, classes).value_or(0);
  }
  return result;
}

}  // namespace ds::train
