#include "tests/unit/serving/batching_simulation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

namespace ds::serving {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

struct Done {
  std::int64_t at_us;
  std::int64_t service_us;
  Batch batch;
  bool operator>(const Done& other) const {
    return std::pair(at_us, batch.number) > std::pair(other.at_us, other.batch.number);
  }
};

double draw_noise(std::mt19937& random) {
  std::normal_distribution<double> around(0, 0.08);
  return std::exp(around(random)) * (random() % 200 == 0 ? 1.5 : 1.0);
}

}  // namespace

std::int64_t ReplicaRun::p99_us() const {
  std::vector<std::int64_t> latencies;
  for (std::size_t i = outcomes.size() / 10; i < outcomes.size(); ++i) {
    latencies.push_back(outcomes[i].latency_us < 0 ? kNever : outcomes[i].latency_us);
  }
  const auto at = latencies.begin() + static_cast<std::ptrdiff_t>(latencies.size() * 99 / 100);
  std::nth_element(latencies.begin(), at, latencies.end());
  return *at;
}

std::size_t ReplicaRun::answered_in_time() const {
  return static_cast<std::size_t>(std::ranges::count_if(outcomes, &Outcome::in_time));
}

std::vector<Request> make_arrivals(double per_second, std::size_t count, std::uint32_t seed, double burst) {
  std::mt19937 random(seed);
  std::exponential_distribution<double> gap(1);
  std::vector<Request> requests(count);
  double at_us = 0;
  for (Request& request : requests) {
    const bool in_burst = std::fmod(at_us, 1e6) < 2e5;
    const double factor = burst <= 1 ? 1 : in_burst ? burst : (1 - 0.2 * burst) / 0.8;
    at_us += gap(random) * 1e6 / (per_second * factor);
    request.at_us = static_cast<std::int64_t>(at_us);
  }
  return requests;
}

ReplicaRun run_replica(const BatchingOptions& options, const std::vector<Request>& requests,
                       const ServiceTime& service, std::uint32_t seed) {
  std::mt19937 random(seed);
  BatchQueue queue(options);
  // As a replica that warms up before it is ready.
  for (std::uint32_t rows = 1; rows <= options.max_size; rows *= 2)
    queue.observe(rows, static_cast<std::int64_t>(service(rows) * draw_noise(random)));
  ReplicaRun run;
  run.outcomes.resize(requests.size());
  std::priority_queue<Done, std::vector<Done>, std::greater<>> running;
  std::size_t coming = 0;
  std::int64_t now_us = 0;
  while (true) {
    const std::int64_t arrival_us = coming < requests.size() ? requests[coming].at_us : kNever;
    const std::int64_t done_us = running.empty() ? kNever : running.top().at_us;
    const std::int64_t wake_us = queue.wake_us(now_us).value_or(kNever);
    const std::int64_t next_us = std::min({arrival_us, done_us, wake_us});
    if (next_us == kNever) break;
    now_us = next_us;
    if (done_us == now_us) {
      const Done done = running.top();
      running.pop();
      for (const std::uint64_t id : done.batch.ids) {
        Outcome& outcome = run.outcomes[id];
        outcome.latency_us = now_us - requests[id].at_us;
        outcome.in_time = requests[id].timeout_us == 0 || outcome.latency_us <= requests[id].timeout_us;
      }
      queue.on_done(done.batch, done.service_us, now_us);
    } else if (arrival_us == now_us) {
      const Request& request = requests[coming];
      Ticket ticket{coming, 1, 1'000, request.priority, 0, request.shape_key, request.tenant};
      if (request.timeout_us > 0) ticket.deadline_us = now_us + request.timeout_us;
      queue.admit(std::move(ticket), now_us);
      ++coming;
    }
    while (auto batch = queue.next(now_us)) {
      const auto service_us = static_cast<std::int64_t>(service(batch->rows) * draw_noise(random));
      running.push({now_us + service_us, service_us, *std::move(batch)});
    }
    queue.take_expired(now_us);
    run.deepest = std::max(run.deepest, queue.depth());
  }
  run.ended_us = now_us;
  run.counters = queue.counters();
  return run;
}

}  // namespace ds::serving
