#include "actors/train/server_parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "actors/parameters/payload_reader.hpp"
#include "actors/parameters/sparse_rows.hpp"
#include "actors/parameters/update_rule.hpp"
#include "actors/train/row_tables.hpp"
#include "kernels/gradient.hpp"

namespace ds::train {

using parameters::Payload;
using parameters::Request;

namespace {

void append(const Buffer& numbers, std::vector<double>& to) {
  const std::size_t before = to.size();
  to.resize(before + numbers.size() / sizeof(double));
  if (!numbers.empty()) std::memcpy(to.data() + before, numbers.bytes().data(), numbers.size());
}

}  // namespace

ServerParameters::ServerParameters(const scheduler::JobSpec& spec, Model& model)
    : spec_(spec), model_(model), memory_(model.memory()), fold_(spec.logical_ranks()) {}

void ServerParameters::use(std::shared_ptr<parameters::Link> link) {
  const auto all_tables = row_tables(model_.parameter_slots());
  std::vector<std::vector<parameters::RowTable>> tables;
  for (const parameters::KeyRange& range : link->ranges())
    tables.push_back(parameters::tables_in(range, all_tables));
  // What was left out so far is kept, for a job's cut never changes.
  if (!encoder_) encoder_.emplace(spec_.strategy.compression, link->ranges(), std::move(tables));
  link_ = std::move(link);
  versions_.assign(ranges().size(), 0);
}

void ServerParameters::forget() {
  std::ranges::fill(versions_, 0);
  if (encoder_) encoder_->forget();
}

Buffer ServerParameters::lend(std::span<const float> values) const {
  return {memory_, std::as_bytes(values)};
}

template <class Answer>
Result<std::vector<Answer>> ServerParameters::call(std::vector<Request> requests) {
  std::vector<parameters::RangeRequest> all;
  for (std::uint32_t range = 0; range < requests.size(); ++range)
    all.push_back({range, std::move(requests[range])});
  Result<std::vector<parameters::Answer>> answers = link_->call(std::move(all));
  if (!answers) return tl::unexpected(answers.error());
  std::vector<Answer> expected;
  for (parameters::Answer& answer : *answers) {
    if (Answer* one = std::get_if<Answer>(&answer)) expected.push_back(std::move(*one));
  }
  if (expected.size() == ranges().size()) return expected;
  return fail(ErrorCode::internal, "a parameter server answered something else than it was asked");
}

Result<void> ServerParameters::install(std::uint64_t step, std::uint64_t updates,
                                       const OptimizerVectors& optimizer, const Buffer& worker_state) {
  const Buffer parameters = lend(model_.parameters());
  std::vector<Request> requests;
  for (const parameters::KeyRange& range : ranges()) {
    const auto part = [&](const Buffer& whole) {
      return whole.slice(range.first * sizeof(float), range.size() * sizeof(float));
    };
    parameters::RangeImage image;
    image.step = is_sync() ? step : 0;
    image.updates = updates;
    if (!is_sync()) image.clocks.assign(spec_.logical_ranks(), step);
    image.parameters = part(parameters);
    for (const auto& [name, values] : optimizer) {
      image.names.push_back(name);
      image.optimizer.push_back(part(values));
    }
    image.worker_state = worker_state;
    requests.emplace_back(parameters::Install{std::move(image)});
  }
  const auto done = call<parameters::Done>(std::move(requests));
  if (!done) return tl::unexpected(done.error());
  return {};
}

Result<ServerParameters::View> ServerParameters::pull(std::uint64_t at_least) {
  std::vector<Request> requests;
  for (const std::uint64_t version : versions_) requests.emplace_back(parameters::Pull{version, at_least});
  const auto pulled = call<parameters::Pulled>(std::move(requests));
  if (!pulled) return tl::unexpected(pulled.error());
  return take(*pulled);
}

Result<ServerParameters::View> ServerParameters::take(const std::vector<parameters::Pulled>& pulled) {
  View view;
  view.step = pulled.front().step;
  view.clocks = pulled.front().clocks;
  for (std::size_t i = 0; i < pulled.size(); ++i) {
    const auto fits = parameters::PayloadReader::open(pulled[i].parameters, ranges()[i].size());
    if (!fits) return tl::unexpected(fits.error());
    if (is_sync() && pulled[i].step != view.step)
      return fail(ErrorCode::internal,
                  fmt::format("parameter servers have made {} and {} steps", view.step, pulled[i].step));
    const std::size_t clocks = is_sync() ? 0 : spec_.logical_ranks();
    if (pulled[i].clocks.size() != clocks)
      return fail(ErrorCode::internal, "a parameter server belongs to another job");
    for (std::size_t rank = 0; rank < clocks; ++rank)
      view.clocks[rank] = std::min(view.clocks[rank], pulled[i].clocks[rank]);
    view.worker_states.push_back(pulled[i].worker_state);
  }
  for (std::size_t i = 0; i < pulled.size(); ++i) {
    const parameters::KeyRange& range = ranges()[i];
    const auto written =
        parameters::write_over(pulled[i].parameters, model_.parameters().subspan(range.first, range.size()));
    if (!written) return tl::unexpected(written.error());
    versions_[i] = pulled[i].version;
  }
  return view;
}

// ---- sync -----------------------------------------------------------------------------------------

void ServerParameters::begin_step(collective::RankRange hosted) {
  keep_only(hosted);
  fold_.begin();
  encoded_.assign(ranges().size(), {});
}

void ServerParameters::add(std::uint32_t logical, std::uint64_t step) {
  const Buffer gradient = lend(model_.gradients());
  if (encoder_->is_lossless()) return fold_.add(logical, gradient);
  std::vector<Payload> payloads = encoder_->encode(logical, step, gradient);
  for (std::size_t i = 0; i < payloads.size(); ++i)
    encoded_[i].push_back({0, logical, std::move(payloads[i])});
}

Result<ServerParameters::Pushed> ServerParameters::push(const PushOrder& order) {
  std::vector<std::vector<parameters::TreePart>> parts = std::move(encoded_);
  for (const GradientFold::Sum& sum : fold_.sums()) {
    std::vector<Payload> payloads = encoder_->cut(sum.values);
    for (std::size_t i = 0; i < payloads.size(); ++i)
      parts[i].push_back({sum.node.level, sum.node.index, std::move(payloads[i])});
  }
  const bool clips = spec_.optimizer.clip_norm.has_value();
  std::vector<Request> requests;
  for (auto& part : parts)
    requests.emplace_back(parameters::PushSum{order.step, std::move(part), order.unscale,
                                              spec_.optimizer.clip_value.value_or(0), clips, order.measures,
                                              order.steps});
  const auto prepared = call<parameters::Prepared>(std::move(requests));
  if (!prepared) return tl::unexpected(prepared.error());
  Pushed pushed;
  std::vector<double> squares, uncut_squares;
  for (std::size_t i = 0; i < prepared->size(); ++i) {
    const parameters::Prepared& one = (*prepared)[i];
    if (!one.finite && !pushed.not_finite) pushed.not_finite = ranges()[i].first + one.not_finite;
    append(one.squares, squares);
    append(one.uncut_squares, uncut_squares);
  }
  if (clips && !pushed.not_finite) pushed.norm = std::sqrt(kernels::add_in_tree(squares));
  if (order.measures && !pushed.not_finite) pushed.squared_norm = kernels::add_in_tree(uncut_squares);
  return pushed;
}

Result<void> ServerParameters::commit(const parameters::Commit& commit) {
  std::vector<Request> requests;
  for (const std::uint64_t version : versions_)
    requests.emplace_back(parameters::CommitAndPull{commit, version});
  const auto pulled = call<parameters::Pulled>(std::move(requests));
  if (!pulled) return tl::unexpected(pulled.error());
  const Result<View> taken = take(*pulled);
  if (!taken) return tl::unexpected(taken.error());
  return {};
}

// ---- bounded, async -------------------------------------------------------------------------------

Result<void> ServerParameters::push_update(std::uint32_t logical, std::uint64_t clock, bool updated,
                                           double learning_rate) {
  std::vector<Payload> payloads(ranges().size());
  if (updated) payloads = encoder_->encode(logical, clock - 1, lend(model_.gradients()));
  std::vector<Request> requests;
  for (Payload& payload : payloads)
    requests.emplace_back(parameters::PushUpdate{logical, clock, updated, std::move(payload), learning_rate});
  const auto pushed = call<parameters::Pushed>(std::move(requests));
  if (!pushed) return tl::unexpected(pushed.error());
  return {};
}

Result<void> ServerParameters::keep(std::uint64_t clock, const Buffer& worker_state) {
  const auto kept = call<parameters::Done>(
      std::vector<Request>(ranges().size(), parameters::KeepWorkerState{clock, worker_state}));
  if (!kept) return tl::unexpected(kept.error());
  return {};
}

// ---- checkpoints ----------------------------------------------------------------------------------

Result<OptimizerVectors> ServerParameters::read_optimizer(std::uint64_t step) {
  const auto names = parameters::state_names(parameters::to_optimizer_options(spec_.optimizer));
  const auto images =
      call<parameters::RangeImage>(std::vector<Request>(ranges().size(), parameters::ReadRange{}));
  if (!images) return tl::unexpected(images.error());
  for (std::size_t i = 0; i < images->size(); ++i) {
    const parameters::RangeImage& image = (*images)[i];
    const bool there = is_sync()
                           ? image.step == step
                           : std::ranges::all_of(image.clocks, [&](auto clock) { return clock == step; });
    if (!there)
      return fail(ErrorCode::unavailable,
                  fmt::format("the parameter servers have gone on from step {}", step),
                  "the next evaluation or checkpoint has its state");
    const bool fits = image.names == names && std::ranges::all_of(image.optimizer, [&](const Buffer& one) {
                        return one.size() == ranges()[i].size() * sizeof(float);
                      });
    if (!fits) return fail(ErrorCode::internal, "a parameter server belongs to another job");
  }
  OptimizerVectors vectors;
  for (std::size_t at = 0; at < names.size(); ++at) {
    const std::size_t bytes = model_.parameters().size() * sizeof(float);
    vectors.emplace_back(names[at], Buffer::make(bytes, [&](std::span<std::byte> out) {
                           for (const parameters::RangeImage& image : *images) {
                             const auto part = image.optimizer[at].bytes();
                             std::ranges::copy(part, out.begin());
                             out = out.subspan(part.size());
                           }
                         }));
  }
  return vectors;
}

}  // namespace ds::train
