#include "actors/train/share_computer.hpp"

#include <algorithm>
#include <chrono>

#include "actors/data/random_stream.hpp"
#include "actors/train/batch_feed.hpp"
#include "actors/train/piece_watch.hpp"

namespace ds::train {

ShareComputer::ShareComputer(const SessionParts& parts)
    : spec_(parts.spec),
      model_(*parts.model),
      maker_(parts.spec, *parts.training),
      source_(std::make_unique<BatchFeed>([this](const MicroBatch& which) { return maker_.make(which); })) {}

/// Ahead of need the source makes what this worker will want as long as its ranks and steps go on.
void ShareComputer::expect(collective::RankRange hosted, std::uint64_t step, std::uint32_t batches) {
  const Expecting wanted{hosted, step, batches};
  const bool goes_on = expecting_ && *expecting_ == wanted;
  if (!goes_on && hosted.first < hosted.last) {
    const auto next = [this, hosted, batches](const MicroBatch& one) {
      return maker_.after(one, hosted, batches);
    };
    if (const auto first = maker_.first_at(step, hosted, batches)) source_->expect(*first, next);
  }
  expecting_ = wanted;
}

void ShareComputer::go_on(std::uint64_t step) {
  if (expecting_) expecting_->step = step;
}

Result<StepVector::Share> ShareComputer::compute(const ShareOrder& order, const Model::OnReady& on_ready,
                                                 StepResult& result) {
  std::ranges::copy(order.buffers, model_.buffers().begin());
  std::ranges::copy(order.counters, model_.counters().begin());
  model_.zero_gradients();
  model_.measure_norms(order.measures_noise);
  StepVector::Share done;
  taken_.clear();
  std::uint64_t unready = model_.parameters().size();
  const Model::OnReady told = [&](std::uint64_t first, std::uint64_t last) {
    unready = first;
    on_ready(first, last);
  };
  const std::uint32_t micros = order.batches * spec_.batch.accumulate;
  for (std::uint32_t micro = 0; micro < micros; ++micro) {
    const MicroBatch which{order.step, order.logical, micro};
    if (maker_.positions_of(which).size() != 0) {
      const bool last = on_ready && micro + 1 == micros;
      const auto part = compute_micro_batch(which, order, last ? told : Model::OnReady(), done, result);
      if (!part) return tl::unexpected(part.error());
      done.loss += *part;
    }
    if ((micro + 1) % spec_.batch.accumulate != 0) continue;
    if (const Result<void> heard = tell(order, maker_.batch_of(which)); !heard)
      return tl::unexpected(heard.error());
  }
  (void)model_.gradients();                            // which writes zeros where there are none
  if (on_ready && unready != 0) on_ready(0, unready);  // there was no last micro-batch
  done.buffers_before = order.buffers;
  done.buffers_after = model_.buffers();
  done.counters_before = order.counters;
  done.counters_after = model_.counters();
  return done;
}

Result<double> ShareComputer::compute_micro_batch(const MicroBatch& which, const ShareOrder& order,
                                                  const Model::OnReady& on_ready, StepVector::Share& share,
                                                  StepResult& result) {
  const Piece piece(pieces_, PieceKind::micro_batch);
  if (!piece.begun()) return tl::unexpected(piece.begun().error());
  using Clock = std::chrono::steady_clock;  // for the seconds that are reported; no result depends on it
  const Clock::time_point begin = Clock::now();
  const Result<data::Batch> batch = source_->take(which);
  if (!batch) return tl::unexpected(batch.error());
  result.data_seconds += std::chrono::duration<double>(Clock::now() - begin).count();
  share.bad_records += batch->skipped;
  if (watch_) taken_.insert(taken_.end(), batch->samples.begin(), batch->samples.end());
  if (result.bad_record.empty()) result.bad_record = batch->first_skipped;
  if (batch->rows == 0) return 0.0;
  const data::RandomStream random(
      spec_.seed, data::Stream::dropout,
      {maker_.batch_of(which), which.logical_rank, which.micro % spec_.batch.accumulate});
  const auto made = model_.accumulate(*batch, random.bits(0), order.divisor, order.scale, on_ready);
  if (!made) return tl::unexpected(made.error());
  result.forward_seconds += made->forward_seconds;
  result.backward_seconds += made->backward_seconds;
  if (order.measures_noise) {
    const auto rows = static_cast<double>(batch->rows);
    share.noise.add(mean_square(made->squared_norm, rows, order.divisor, order.scale), rows);
  }
  return made->loss;
}

/// What the logical rank took of one batch.
Result<void> ShareComputer::tell(const ShareOrder& order, std::uint64_t batch) {
  if (!watch_) return {};
  const Result<void> heard =
      watch_({batch + 1, schedule().batch_after(batch).epoch, order.logical, taken_, maker_.dataset().size(),
              schedule().steps_per_epoch(), spec_.logical_ranks()});
  taken_.clear();
  return heard;
}

}  // namespace ds::train
