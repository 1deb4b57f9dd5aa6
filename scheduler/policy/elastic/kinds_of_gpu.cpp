#include "scheduler/policy/elastic/kinds_of_gpu.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "scheduler/policy/elastic/job_value.hpp"
#include "scheduler/policy/elastic/node_packing.hpp"

namespace ds::scheduler {
namespace {

constexpr int kRounds = 100;  ///< of prices
constexpr double kFirstChange = 0.5;
constexpr double kLastChange = 0.02;
/// What having slots at all counts as, beside the logarithm of the speed-up, which weighs a doubling alike on
/// slow kinds and on fast ones. From 0.5 to 6 it makes little difference.
constexpr double kHaving = 1;
constexpr double kRankPower = 0.5;
/// Of sums of values: a smaller gain is none.
constexpr double kLeastGain = 1e-6;
/// Pairs of options that are compared in one search for exchanges, about: what bounds a plan for thousands of
/// slots.
constexpr std::uint64_t kMaxCompared = 20'000'000;

/// A number of slots of one kind.
struct Option {
  std::uint32_t kind = 0;
  std::uint32_t slots = 0;
  double value = 0;
};

struct Bidder {
  std::vector<Option> options;
  std::optional<std::size_t> taken;
  double weight = 1;
  double highest = 0;  ///< value of an option

  Option now() const { return taken ? options[*taken] : Option{}; }
};

/// A job takes an option, and another one makes room for it.
struct Exchange {
  std::size_t option = 0;
  std::optional<std::size_t> other{};  ///< who; none: it is free
  std::optional<std::size_t> other_option{};
  double gain = kLeastGain;
};

struct Kind {
  std::uint32_t slots = 0;
  std::uint32_t per_node = 0;
  double price = 0;
};

class Auction {
 public:
  Auction(const ElasticCluster& cluster, std::span<const ElasticJob> jobs)
      : cluster_(cluster), jobs_(jobs), kinds_(cluster.count_kinds()), bidders_(jobs.size()) {
    for (std::size_t node = 0; node < cluster.slots.size(); ++node) {
      Kind& kind = kinds_[cluster.kind_of(node)];
      kind.slots += cluster.slots[node];
      kind.per_node = std::max(kind.per_node, cluster.slots[node]);
    }
    for (const Kind& kind : kinds_) free_.push_back(kind.slots);
    enter();
  }

  std::vector<Slots> run() {
    keep();
    exchange();
    const std::vector<Bidder> kept = bidders_;
    const double kept_value = value();
    for (Bidder& bidder : bidders_) leave(bidder);
    find_prices();
    for (const std::size_t i : order_) take_best(bidders_[i]);
    while (grow_one()) {
    }
    exchange();
    if (value() <= kept_value + kLeastGain) bidders_ = kept;
    return pack();
  }

 private:
  void enter() {
    std::vector<std::vector<Goodput>> goodputs(jobs_.size());
    std::vector<double> slowest(jobs_.size(), std::numeric_limits<double>::infinity());
    std::vector<double> left_s;
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      for (const OnKind& on : jobs_[i].on_kinds) {
        goodputs[i].push_back({on.speed.value_or(SpeedModel{}), jobs_[i].noise, on.batch});
        slowest[i] = std::min(slowest[i], goodputs[i].back().best(1, 1));
      }
      left_s.push_back(expect_left_s(jobs_[i], slowest[i]));
    }
    order_ = rank_jobs(jobs_, left_s);
    for (std::size_t place = 0; place < order_.size(); ++place) {
      const std::size_t i = order_[place];
      bidders_[i].weight = rank_weight(place, order_.size(), kRankPower);
      for (std::uint32_t kind = 0; kind < kinds_.size(); ++kind) {
        const std::uint32_t most = std::min(jobs_[i].max_slots, kinds_[kind].slots);
        for (const std::uint32_t size : list_sizes(most, kinds_[kind].per_node))
          bidders_[i].options.push_back({kind, size, value(i, kind, size, goodputs[i][kind], slowest[i])});
      }
      for (const Option& option : bidders_[i].options)
        bidders_[i].highest = std::max(bidders_[i].highest, option.value);
    }
  }

  double value(std::size_t i, std::uint32_t kind, std::uint32_t size, const Goodput& goodput,
               double slowest) const {
    const ElasticJob& job = jobs_[i];
    const std::uint32_t per_node = kinds_[kind].per_node;
    const double speed = goodput.best((size + per_node - 1) / per_node, size);
    double speedup = speed / slowest;
    const bool is_kept =
        !job.slots.empty() && job.slots.size() == size && cluster_.kind_of(job.slots.front()) == kind;
    if (!job.slots.empty() && !is_kept) speedup *= resize_factor(cluster_, job, size, speed);
    return bidders_[i].weight * (kHaving + std::log(speedup));
  }

  /// The option worth most above its price; of those that are free, if that matters.
  std::optional<std::size_t> best_of(const Bidder& bidder, bool free_only) const {
    std::optional<std::size_t> best;
    double most = 0;
    for (std::size_t at = 0; at < bidder.options.size(); ++at) {
      const Option& option = bidder.options[at];
      if (free_only && option.slots > free_[option.kind]) continue;
      const double gain = option.value - option.slots * kinds_[option.kind].price;
      if (gain <= most) continue;
      most = gain;
      best = at;
    }
    return best;
  }

  void find_prices() {
    double value = 0;
    for (const Bidder& bidder : bidders_) value += bidder.weight;
    for (Kind& kind : kinds_) kind.price = value / cluster_.total();
    for (int round = 0; round < kRounds; ++round) {
      std::vector<double> wanted(kinds_.size(), 0);
      for (const Bidder& bidder : bidders_) {
        if (const auto best = best_of(bidder, false))
          wanted[bidder.options[*best].kind] += bidder.options[*best].slots;
      }
      const double change = kFirstChange * std::pow(kLastChange / kFirstChange, round / (kRounds - 1.0));
      for (std::size_t kind = 0; kind < kinds_.size(); ++kind)
        kinds_[kind].price *= std::exp(change * std::clamp(wanted[kind] / kinds_[kind].slots - 1, -1.0, 1.0));
    }
  }

  double value() const {
    double sum = 0;
    for (const Bidder& bidder : bidders_) sum += bidder.now().value;
    return sum;
  }

  void leave(Bidder& bidder) {
    free_[bidder.now().kind] += bidder.now().slots;
    bidder.taken.reset();
  }

  void take(Bidder& bidder, std::size_t option) {
    leave(bidder);
    free_[bidder.options[option].kind] -= bidder.options[option].slots;
    bidder.taken = option;
  }

  void take_best(Bidder& bidder) {
    if (const auto best = best_of(bidder, true)) take(bidder, *best);
  }

  /// All jobs as they are, where that is an option.
  void keep() {
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      const Slots& slots = jobs_[i].slots;
      if (slots.empty()) continue;
      const auto& options = bidders_[i].options;
      const auto same = std::find_if(options.begin(), options.end(), [&](const Option& option) {
        return option.slots == slots.size() && option.kind == cluster_.kind_of(slots.front());
      });
      if (same != options.end()) take(bidders_[i], static_cast<std::size_t>(same - options.begin()));
    }
  }

  /// The jobs' best exchanges, in the order of their rank again and again, until nobody has one.
  void exchange() {
    compared_ = 0;
    std::size_t content = 0;
    for (std::size_t at = 0; content < order_.size() && compared_ < kMaxCompared; ++at) {
      const std::size_t i = order_[at % order_.size()];
      const auto best = best_exchange(i);
      content = best ? 0 : content + 1;
      if (!best) continue;
      leave(bidders_[i]);
      if (best->other) leave(bidders_[*best->other]);
      if (best->other_option) take(bidders_[*best->other], *best->other_option);
      take(bidders_[i], best->option);
    }
  }

  std::optional<Exchange> best_exchange(std::size_t i) {
    const Bidder& bidder = bidders_[i];
    const Option now = bidder.now();
    Exchange best;
    for (std::size_t at = 0; at < bidder.options.size(); ++at) {
      const Option& option = bidder.options[at];
      const double gain = option.value - now.value;
      if (gain <= best.gain) continue;
      const std::uint32_t free = free_[option.kind] + (option.kind == now.kind ? now.slots : 0);
      if (option.slots <= free) {
        best = {.option = at, .gain = gain};
      } else {
        find_room(i, at, option.slots - free, best);
      }
    }
    return best.gain > kLeastGain ? std::optional(best) : std::nullopt;
  }

  /// Who could best give `missing` slots for that option of job `i`, and take what else, if it beats `best`.
  void find_room(std::size_t i, std::size_t at, std::uint32_t missing, Exchange& best) {
    const Option now = bidders_[i].now();
    const Option& wanted = bidders_[i].options[at];
    for (std::size_t j = 0; j < bidders_.size(); ++j) {
      const Option theirs = bidders_[j].now();
      if (j == i || theirs.kind != wanted.kind || theirs.slots < missing) continue;
      const double gain = wanted.value - now.value - theirs.value;
      if (gain + bidders_[j].highest <= best.gain) continue;
      if (gain > best.gain) best = {at, j, std::nullopt, gain};
      compared_ += bidders_[j].options.size();
      for (std::size_t to = 0; to < bidders_[j].options.size(); ++to) {
        const Option& option = bidders_[j].options[to];
        if (gain + option.value <= best.gain) continue;
        const std::uint32_t free = option.kind == wanted.kind ? theirs.slots - missing
                                   : option.kind == now.kind  ? free_[option.kind] + now.slots
                                                              : free_[option.kind];
        if (option.slots <= free) best = {at, j, to, gain + option.value};
      }
    }
  }

  /// The change of one job to what is free that adds most value for each slot more.
  bool grow_one() {
    double most = 0;
    Bidder* best = nullptr;
    std::size_t best_option = 0;
    for (Bidder& bidder : bidders_) {
      const Option now = bidder.now();
      for (std::size_t at = 0; at < bidder.options.size(); ++at) {
        const Option& option = bidder.options[at];
        const std::uint32_t back = option.kind == now.kind ? now.slots : 0;
        if (option.slots > free_[option.kind] + back || option.slots < now.slots) continue;
        const double gain = (option.value - now.value) / std::max(1U, option.slots - now.slots);
        if (gain <= most + 1e-9) continue;
        most = gain;
        best = &bidder;
        best_option = at;
      }
    }
    if (best == nullptr) return false;
    take(*best, best_option);
    return true;
  }

  /// Each kind of GPU as a cluster of its own.
  std::vector<Slots> pack() const {
    std::vector<Slots> plan(jobs_.size());
    for (std::uint32_t kind = 0; kind < kinds_.size(); ++kind) {
      ElasticCluster part;
      std::vector<std::uint32_t> nodes;
      std::vector<std::uint32_t> numbers(cluster_.slots.size(), 0);
      for (std::uint32_t node = 0; node < cluster_.slots.size(); ++node) {
        if (cluster_.kind_of(node) != kind) continue;
        numbers[node] = static_cast<std::uint32_t>(nodes.size());
        nodes.push_back(node);
        part.slots.push_back(cluster_.slots[node]);
      }
      std::vector<std::size_t> members;
      std::vector<ElasticJob> jobs;
      std::vector<std::uint32_t> counts;
      for (std::size_t i = 0; i < jobs_.size(); ++i) {
        const Bidder& bidder = bidders_[i];
        if (!bidder.taken || bidder.options[*bidder.taken].kind != kind) continue;
        ElasticJob job;
        if (!jobs_[i].slots.empty() && cluster_.kind_of(jobs_[i].slots.front()) == kind) {
          for (const std::uint32_t node : jobs_[i].slots) job.slots.push_back(numbers[node]);
        }
        members.push_back(i);
        jobs.push_back(std::move(job));
        counts.push_back(bidder.options[*bidder.taken].slots);
      }
      const auto packed = pack_nodes(part, jobs, counts);
      for (std::size_t m = 0; m < members.size(); ++m) {
        for (const std::uint32_t node : packed[m]) plan[members[m]].push_back(nodes[node]);
      }
    }
    return plan;
  }

  const ElasticCluster& cluster_;
  std::span<const ElasticJob> jobs_;
  std::vector<Kind> kinds_;
  std::vector<Bidder> bidders_;
  std::vector<std::size_t> order_;   ///< by rank
  std::vector<std::uint32_t> free_;  ///< of each kind
  std::uint64_t compared_ = 0;       ///< pairs of options, in this search
};

}  // namespace

std::vector<Slots> plan_on_kinds(const ElasticCluster& cluster, std::span<const ElasticJob> jobs) {
  return Auction(cluster, jobs).run();
}

}  // namespace ds::scheduler
