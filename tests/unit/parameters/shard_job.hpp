#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "actors/parameters/range_shard.hpp"
#include "actors/parameters/update_rule.hpp"
#include "kernels/gradient.hpp"

namespace ds::parameters {

inline Buffer to_buffer(std::span<const float> values) {
  return Buffer::copy_of(std::as_bytes(values));
}

template <class T = float>
std::vector<T> to_values(const Buffer& buffer) {
  std::vector<T> values(buffer.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), buffer.bytes().data(), values.size() * sizeof(T));
  return values;
}

inline Payload dense(std::span<const float> values) {
  return {Form::dense, {}, to_buffer(values)};
}

/// Values whose sums round, so that another order of additions shows.
inline std::vector<float> random_values(std::mt19937& generator, std::size_t count) {
  std::vector<float> values(count);
  for (float& value : values)
    value =
        std::ldexp(static_cast<float>(generator()) / 4294967296.0F - 0.5F, static_cast<int>(generator() % 9));
  return values;
}

/// The answers that actions hold, by ticket; each ticket once.
inline std::map<Ticket, Result<Answer>> answers_of(const ShardActions& actions) {
  std::map<Ticket, Result<Answer>> answers;
  for (const ShardAction& action : actions) {
    const auto* sent = std::get_if<SendAnswer>(&action);
    if (sent == nullptr) continue;
    EXPECT_TRUE(answers.emplace(sent->ticket, sent->answer).second) << "ticket " << sent->ticket;
  }
  return answers;
}

inline std::vector<SendToReplicas> sent_to_replicas(const ShardActions& actions) {
  std::vector<SendToReplicas> sent;
  for (const ShardAction& action : actions) {
    if (const auto* one = std::get_if<SendToReplicas>(&action)) sent.push_back(*one);
  }
  return sent;
}

template <class T>
const T& get(const std::map<Ticket, Result<Answer>>& answers, Ticket ticket) {
  const Result<Answer>& answer = answers.at(ticket);
  if (!answer) throw std::runtime_error(answer.error().message);
  return std::get<T>(*answer);
}

inline ErrorCode refusal(const ShardActions& actions, Ticket ticket) {
  const auto answers = answers_of(actions);
  const auto found = answers.find(ticket);
  if (found == answers.end() || found->second) throw std::runtime_error("it was not refused");
  return found->second.error().code;
}

inline ShardOptions options_for(std::uint64_t elements, std::uint32_t logical_ranks,
                                const std::string& optimizer = "adamw") {
  ShardOptions options;
  options.range = {0, elements};
  options.logical_ranks = logical_ranks;
  options.optimizer.name = optimizer;
  options.optimizer.weight_decay = optimizer == "adamw" ? 0.01 : 0;
  return options;
}

/// An image at step 0, its optimizer's vectors zero.
inline RangeImage first_image(const ShardOptions& options, std::span<const float> parameters) {
  RangeImage image;
  image.parameters = to_buffer(parameters);
  image.names = state_names(to_optimizer_options(options.optimizer));
  image.optimizer.assign(image.names.size(), to_buffer(std::vector<float>(parameters.size())));
  if (!options.sync) image.clocks.assign(options.logical_ranks, 0);
  image.worker_state = Buffer::copy_of(std::string_view("begin"));
  return image;
}

inline RangeShard installed(const ShardOptions& options, std::span<const float> parameters) {
  RangeShard shard(options);
  if (!shard.restore(first_image(options, parameters))) throw std::runtime_error("the image does not fit");
  return shard;
}

/// What a shard should come to, in plain loops: the fixed tree by its definition, the optimizer on the whole.
class PlainLoop {
 public:
  PlainLoop(const scheduler::OptimizerSpec& spec, std::vector<float> parameters)
      : rule_(to_optimizer_options(spec)),
        parameters_(std::move(parameters)),
        state_(kernels::count_state_vectors(rule_), std::vector<float>(parameters_.size())) {}

  static std::vector<float> sum(std::vector<std::vector<float>> level) {
    while (level.size() > 1) {
      std::vector<std::vector<float>> above;
      for (std::size_t i = 0; i < level.size(); i += 2) {
        above.push_back(level[i]);
        if (i + 1 == level.size()) continue;
        for (std::size_t at = 0; at < level[i].size(); ++at) above.back()[at] += level[i + 1][at];
      }
      level = std::move(above);
    }
    return level.front();
  }

  void update(std::span<const float> gradient, double learning_rate) {
    std::vector<std::span<float>> views(state_.begin(), state_.end());
    rule_.lr = learning_rate;
    kernels::optimizer_step(rule_, ++updates_, std::span<float>(parameters_), gradient, views);
  }

  const std::vector<float>& parameters() const { return parameters_; }
  const std::vector<std::vector<float>>& state() const { return state_; }
  std::uint64_t updates() const { return updates_; }

 private:
  kernels::OptimizerOptions rule_;
  std::vector<float> parameters_;
  std::vector<std::vector<float>> state_;
  std::uint64_t updates_ = 0;
};

inline std::string bits_of(std::span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace ds::parameters
