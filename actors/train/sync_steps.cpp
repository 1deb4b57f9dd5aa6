#include "actors/train/sync_steps.hpp"

#include <fmt/format.h>

#include <exception>

#include "kernels/gradient.hpp"

namespace ds::train {

Result<void> SyncSteps::compute(collective::RankRange hosted, std::uint64_t step, const WriteShare& write,
                                std::size_t size) {
  try {
    rests_.resize(hosted.size() * size);
    servers_.begin_step(hosted);
    for (std::uint32_t logical = hosted.first; logical < hosted.last; ++logical) {
      servers_.settle();
      const auto rest = std::span(rests_).subspan((logical - hosted.first) * size, size);
      if (const auto written = write(logical, rest); !written) return written;
      servers_.add(logical, step);
    }
    return {};
  } catch (const std::exception& e) {
    return fail(ErrorCode::internal, fmt::format("computing a share: {}", e.what()));
  }
}

Result<void> SyncSteps::sum_up(collective::Communicator& communicator,
                               const ServerParameters::PushOrder& order, const WriteShare& write,
                               std::span<float> sum) {
  const collective::RankRange hosted = communicator.hosted();
  if (const auto computed = compute(hosted, order.step, write, sum.size()); !computed) {
    communicator.abort(computed.error());  // the others wait for this share
    return computed;
  }
  std::vector<collective::ConstVector> rests;
  for (std::uint32_t i = 0; i < hosted.size(); ++i)
    rests.emplace_back(std::span(rests_).subspan(i * sum.size(), sum.size()));
  const collective::Operation summing = communicator.start_all_reduce(rests, collective::Vector(sum));
  const Result<ServerParameters::Pushed> pushed = servers_.push(order);
  if (!pushed) communicator.abort(pushed.error());
  const Result<void> summed = summing.wait();
  if (!pushed) return tl::unexpected(pushed.error());
  pushed_ = *pushed;
  return summed;
}

Result<void> SyncSteps::commit(const StepResult& result, const WorkerState& after, std::uint64_t updates) {
  parameters::Commit commit{after.step - result.batches,
                            result.updated,
                            1,
                            result.learning_rate,
                            updates,
                            to_buffer(after),
                            result.batches};
  if (spec_.optimizer.clip_norm && result.updated)
    commit.clip_factor = kernels::clip_factor(pushed_.norm, *spec_.optimizer.clip_norm);
  return servers_.commit(commit);
}

}  // namespace ds::train
