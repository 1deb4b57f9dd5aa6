#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <numeric>
#include <optional>

#include "tests/unit/parameters/shard_job.hpp"

namespace ds::parameters {
namespace {

constexpr std::uint32_t kRanks = 3, kRanges = 3;
constexpr std::uint64_t kElements = 5 * kernels::kNormBlock + 17, kSteps = 40;

/// The gradient of a step and a rank, whoever computes it.
std::vector<float> gradient_of(std::uint64_t step, std::uint32_t rank) {
  std::mt19937 generator(static_cast<std::uint32_t>(step * 100 + rank));
  return random_values(generator, kElements);
}

Commit commit_of(std::uint64_t step) {
  return {step, true, 1, 0.01, step + 1, Buffer::copy_of(std::to_string(step + 1))};
}

/// A range's copies on several servers. What the primary sends its replica is delivered later, or never.
struct Copies {
  std::unique_ptr<RangeShard> primary, replica;
  std::deque<SendToReplicas> under_way;
};

/// Servers whose processes die at any moment, workers that send again after each death: what a gang's master
/// does, without messages.
class LossySimulation {
 public:
  explicit LossySimulation(std::uint32_t seed)
      : generator_(seed), ranges_(cut_into_ranges(kElements, kRanges)) {
    first_ = random_values(generator_, kElements);
    for (const KeyRange& range : ranges_) {
      Copies copies;
      copies.primary = std::make_unique<RangeShard>(options(range));
      copies.replica = std::make_unique<RangeShard>(options(range));
      const auto part = std::span(first_).subspan(range.first, range.size());
      EXPECT_TRUE(copies.primary->restore(first_image(options(range), part)));
      EXPECT_TRUE(copies.replica->restore(first_image(options(range), part)));
      copies_.push_back(std::move(copies));
    }
  }

  std::size_t deaths() const { return deaths_; }

  std::vector<float> run() {
    std::uint64_t step = 0;
    while (step < kSteps && !::testing::Test::HasFailure()) {
      if (!make_step(step)) begin_generation();
      step = copies_[0].primary->applied();
    }
    begin_generation();  // all committed steps are everywhere
    std::vector<float> parameters;
    for (const Copies& copies : copies_) {
      EXPECT_EQ(copies.primary->applied(), kSteps);
      const auto part = to_values(copies.primary->image().parameters);
      parameters.insert(parameters.end(), part.begin(), part.end());
    }
    return parameters;
  }

  PlainLoop plain() const {
    PlainLoop plain(options(ranges_[0]).optimizer, first_);
    for (std::uint64_t step = 0; step < kSteps; ++step) {
      std::vector<std::vector<float>> leaves;
      for (std::uint32_t rank = 0; rank < kRanks; ++rank) leaves.push_back(gradient_of(step, rank));
      plain.update(PlainLoop::sum(leaves), 0.01);
    }
    return plain;
  }

 private:
  static ShardOptions options(const KeyRange& range) {
    ShardOptions options = options_for(range.size(), kRanks);
    options.range = range;
    options.replicated = true;
    return options;
  }

  bool dies() {
    if (generator_() % 60 != 0) return false;
    Copies& copies = copies_[generator_() % kRanges];
    (generator_() % 2 == 0 ? copies.primary : copies.replica).reset();
    ++deaths_;
    return true;
  }

  /// What one worker does in a step: pushes to all ranges, some twice, in its own order, and commits to them
  /// once all pushes are answered, however far the others are.
  struct Worker {
    std::vector<std::size_t> unsent;
    std::size_t unanswered = 0;
    bool commits = false;
  };

  std::vector<std::size_t> shuffled_ranges() {
    std::vector<std::size_t> ranges(kRanges);
    std::iota(ranges.begin(), ranges.end(), std::size_t{0});
    std::ranges::shuffle(ranges, generator_);
    return ranges;
  }

  /// False when a server died.
  bool make_step(std::uint64_t step) {
    workers_.assign(kRanks, {});
    askers_.clear();
    for (Worker& worker : workers_) worker.unsent = shuffled_ranges();
    while (!std::ranges::all_of(workers_, [](const Worker& one) { return one.commits && is_done(one); })) {
      if (dies()) return false;
      if (generator_() % 3 == 0) deliver(copies_[generator_() % kRanges]);
      const auto rank = static_cast<std::uint32_t>(generator_() % kRanks);
      Worker& worker = workers_[rank];
      if (is_done(worker)) {
        if (worker.commits) continue;
        worker.commits = true;
        worker.unsent = shuffled_ranges();
      }
      if (!worker.unsent.empty()) send_next(rank, step);
    }
    return true;
  }

  static bool is_done(const Worker& worker) { return worker.unsent.empty() && worker.unanswered == 0; }

  void send_next(std::uint32_t rank, std::uint64_t step) {
    Worker& worker = workers_[rank];
    const std::size_t range = worker.unsent.back();
    worker.unsent.pop_back();
    ++worker.unanswered;
    Request request = CommitAndPull{commit_of(step), 0};
    if (!worker.commits) {
      const auto whole = gradient_of(step, rank);
      const auto part = std::span(whole).subspan(ranges_[range].first, ranges_[range].size());
      request = PushSum{step, {{0, rank, dense(part)}}};
    }
    send(copies_[range], rank, request);
    if (worker.commits || generator_() % 4 != 0) return;
    ++worker.unanswered;  // a push that comes twice
    send(copies_[range], rank, std::move(request));
  }

  void send(Copies& copies, std::uint32_t rank, Request request) {
    askers_[next_ticket_] = rank;
    take(copies, copies.primary->announce(request));
    take(copies, copies.primary->on_request(next_ticket_++, std::move(request)));
  }

  void deliver(Copies& copies) {
    if (copies.under_way.empty()) return;
    const SendToReplicas one = copies.under_way.front();
    copies.under_way.pop_front();
    EXPECT_TRUE(copies.replica->on_replica_update(one.update));
    take(copies, copies.primary->on_stored(one.number));
  }

  void take(Copies& copies, const ShardActions& actions) {
    for (const SendToReplicas& one : sent_to_replicas(actions)) copies.under_way.push_back(one);
    for (const auto& [ticket, answer] : answers_of(actions)) {
      EXPECT_TRUE(answer) << answer.error().message;
      --workers_[askers_.at(ticket)].unanswered;
    }
  }

  void begin_generation() {
    std::optional<Commit> newest;
    for (Copies& copies : copies_) {
      copies.under_way.clear();  // is lost with the generation
      if (!copies.primary) std::swap(copies.primary, copies.replica);
      ASSERT_TRUE(copies.primary);
      const auto& last = copies.primary->last_commit();
      if (last && (!newest || last->step > newest->step)) newest = last;
    }
    for (Copies& copies : copies_) {
      if (newest && copies.primary->applied() <= newest->step) {
        ASSERT_TRUE(copies.primary->roll_forward(*newest)) << "a committed step is lost";
      }
      copies.primary->begin_generation(true);
      copies.replica =
          std::make_unique<RangeShard>(options(ranges_[static_cast<std::size_t>(&copies - &copies_[0])]));
      ASSERT_TRUE(copies.replica->restore(copies.primary->image()));
    }
  }

  std::mt19937 generator_;
  std::vector<KeyRange> ranges_;
  std::vector<float> first_;
  std::vector<Copies> copies_;
  std::vector<Worker> workers_;
  std::map<Ticket, std::uint32_t> askers_;
  Ticket next_ticket_ = 1;
  std::size_t deaths_ = 0;
};

TEST(ServersThatDie, LoseNoUpdateAndMakeNoneTwice) {
  std::size_t deaths = 0;
  for (std::uint32_t seed = 1; seed <= 8; ++seed) {
    LossySimulation simulation(seed);
    const auto parameters = simulation.run();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    ASSERT_EQ(bits_of(parameters), bits_of(simulation.plain().parameters())) << "seed " << seed;
    deaths += simulation.deaths();
  }
  EXPECT_GT(deaths, 50U);
}

}  // namespace
}  // namespace ds::parameters
