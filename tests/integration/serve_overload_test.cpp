// More requests than a model can answer: what can be answered is, nobody else waits, and nobody's flood is
// another tenant's loss.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iostream>

#include "tests/integration/served_slowly.hpp"

namespace ds::tests {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLead{200};  // until the queue is as the load makes it
constexpr milliseconds kWindow{800};
constexpr int kClients = 64;  // more than the queues hold, so that some are always free

/// What clients saw in one window of time or several, and what the processes did meanwhile.
struct Seen {
  std::vector<double> answered_ms, refused_ms;  ///< how long those waited
  std::vector<double> nothing_ms;               ///< what the way to the head and back takes meanwhile
  int other = 0, without_retry_after = 0;
  double seconds = 0;
  double computed_s = 0;  ///< by the model, for what was answered: once for each request
  double replica_cpu_s = 0, head_cpu_s = 0;
  double batches = 0;
  std::string first_other;

  void add(const Seen& more) {
    answered_ms.insert(answered_ms.end(), more.answered_ms.begin(), more.answered_ms.end());
    refused_ms.insert(refused_ms.end(), more.refused_ms.begin(), more.refused_ms.end());
    nothing_ms.insert(nothing_ms.end(), more.nothing_ms.begin(), more.nothing_ms.end());
    other += more.other;
    without_retry_after += more.without_retry_after;
    seconds += more.seconds;
    computed_s += more.computed_s;
    replica_cpu_s += more.replica_cpu_s;
    head_cpu_s += more.head_cpu_s;
    batches += more.batches;
    if (first_other.empty()) first_other = more.first_other;
  }
  double answered() const { return static_cast<double>(answered_ms.size()); }
  double refused() const { return static_cast<double>(refused_ms.size()); }
  double rate() const { return seconds > 0 ? answered() / seconds : 0; }
  double computing() const { return computed_s / seconds; }
  /// What a request's batch took.
  double service_ms() const { return 1'000 * computed_s / answered(); }
  double cpu_per_answer() const { return replica_cpu_s / answered(); }
};

double percentile(std::vector<double> values, std::size_t hundredths) {
  if (values.empty()) return 0;
  const auto place = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) * hundredths / 100);
  std::ranges::nth_element(values, place);
  return *place;
}

/// The same model with as much as it can answer and with more, in turns, so that whatever else the machine
/// does meanwhile does it to both.
struct Compared {
  Seen usual, over;

  /// Of that at capacity, if the model had as much of the processor in both: how much of the time it computed
  /// what was answered, and how many answers that gives for the processor's time. Rates alone would mostly
  /// say what other programs did.
  double goodput() const { return busy() * usual.cpu_per_answer() / over.cpu_per_answer(); }
  /// How much it computed for what it answered, against that at capacity.
  double busy() const { return over.computing() / usual.computing(); }
  /// Processor time of the head that a refusal costs, in what an answer costs the model.
  double cost_of_refusal() const {
    const double at_capacity = usual.head_cpu_s / usual.answered();
    const double more_s = over.head_cpu_s - at_capacity * over.answered();
    return std::max(more_s, 0.0) / over.refused() / usual.cpu_per_answer();
  }
};

std::ostream& operator<<(std::ostream& out, const Compared& seen) {
  const Seen& over = seen.over;
  return out << over.rate() << "/s of " << seen.usual.rate() << "/s: goodput " << seen.goodput() << ", busy "
             << seen.busy() << " of " << seen.usual.computing() << "; service " << over.service_ms()
             << " ms, waited " << percentile(over.answered_ms, 50) << " ms; " << over.refused()
             << " refused, heard in " << percentile(over.refused_ms, 50) << ", "
             << percentile(over.refused_ms, 95) << ", " << percentile(over.refused_ms, 99) << " ms, each for "
             << seen.cost_of_refusal() << " of an answer";
}

class ServeOverload : public ServedSlowly {
 protected:
  struct Load {
    double rate = 0;  ///< requests a second whatever becomes of them, as long as a client is free; 0: each
                      ///< client asks as soon as it has its answer
    int clients = 1;
    std::int64_t timeout_us = 0;  ///< of each request; 0: the job's
  };

  Seen load(const Load& asked) const {
    Seen seen;
    std::mutex mutex;
    std::atomic<std::uint64_t> due{0};
    const auto begun = Clock::now();
    const auto from = begun + kLead, to = from + kWindow;
    std::vector<std::thread> threads;
    for (int i = 0; i < asked.clients; ++i) {
      threads.emplace_back([&] {
        auto http = keeping_client();
        while (true) {
          if (asked.rate > 0) {
            const std::chrono::duration<double> after(static_cast<double>(due++) / asked.rate);
            const auto at = begun + std::chrono::duration_cast<Clock::duration>(after);
            if (at >= to) return;
            std::this_thread::sleep_until(at);
          }
          const auto at = Clock::now();
          if (at >= to) return;
          const auto heard = ask(http, "", asked.timeout_us);
          const auto now = Clock::now();
          if (now < from || now >= to) continue;
          const double took_ms = std::chrono::duration<double, std::milli>(now - at).count();
          const std::lock_guard lock(mutex);
          if (heard.status == 200) {
            seen.answered_ms.push_back(took_ms);
          } else if (heard.status == 503 || (asked.timeout_us > 0 && heard.status == 504)) {
            seen.without_retry_after += heard.status == 504 || heard.says_when ? 0 : 1;
            seen.refused_ms.push_back(took_ms);
          } else if (seen.other++ == 0) {
            seen.first_other = std::to_string(heard.status) + " " + heard.body;
          }
        }
      });
    }
    threads.emplace_back([&] {
      auto http = keeping_client();
      for (auto at = Clock::now(); at < to; at = Clock::now()) {
        const auto alive = http.Get("/v2/health/live");
        if (alive && at >= from)
          seen.nothing_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - at).count());
        std::this_thread::sleep_for(milliseconds(5));
      }
    });
    std::this_thread::sleep_until(from);
    const Seen before = counters();
    std::this_thread::sleep_until(to);
    const Seen after = counters();
    seen.seconds = std::chrono::duration<double>(Clock::now() - from).count();
    seen.computed_s = after.computed_s - before.computed_s;
    seen.batches = after.batches - before.batches;
    seen.replica_cpu_s = after.replica_cpu_s - before.replica_cpu_s;
    seen.head_cpu_s = after.head_cpu_s - before.head_cpu_s;
    for (auto& thread : threads) thread.join();
    return seen;
  }

  /// `usual`: as many as it can answer, and none that it refuses; `over`: that many times as many, or as
  /// `expected_rate_` if that is more. Looks longer, and takes the mean of all, when it seems too little at
  /// first: what is lost for good stays lost.
  Compared compare(const Load& usual, double times, std::int64_t timeout_us = 0) {
    constexpr int kRounds = 4;
    Compared seen;
    const auto is_clear = [&] {
      return seen.goodput() >= 0.9 && seen.busy() >= 0.9 && seen.over.refused() > seen.over.answered() / 2;
    };
    for (int round = 0; round < kRounds && (round == 0 || !is_clear()); ++round) {
      seen.usual.add(load(usual));
      const double most = std::max({expected_rate_, seen.usual.rate(), seen.over.rate()});
      const Load over{times * most, kClients, timeout_us};
      seen.over.add(load(over));
      seen.over.add(load(over));
      seen.usual.add(load(usual));
    }
    std::cout << times << " times: " << seen << std::endl;
    EXPECT_EQ(seen.over.other, 0) << seen.over.first_other;
    EXPECT_EQ(seen.usual.other, 0) << seen.usual.first_other;
    EXPECT_EQ(seen.usual.refused(), 0);
    EXPECT_GT(seen.over.refused(), seen.over.answered() / 2) << "it was no overload";
    EXPECT_EQ(seen.over.without_retry_after, 0) << "of " << seen.over.refused();
    EXPECT_GE(seen.goodput(), 0.9) << seen;
    EXPECT_GE(seen.busy(), 0.9) << seen;
    // What it takes to be refused is the way to the replica and back, however many wait there.
    EXPECT_LE(percentile(seen.over.refused_ms, 50),
              seen.over.service_ms() / 2 + 4 * percentile(seen.over.nothing_ms, 50))
        << "they heard it late: " << seen;
    return seen;
  }

  /// `expected_rate`: of answers a second, where nothing else has the machine.
  void watch_processes(double expected_rate) {
    expected_rate_ = expected_rate;
    const auto pids = cluster_.worker_pids(job_);
    ASSERT_EQ(pids.size(), 1U) << cluster_.logs();
    replica_ = pids.front();
    head_ = cluster_.head().pid();
  }

  double expected_rate_ = 0;
  int head_ = 0, replica_ = 0;  ///< process ids

 private:
  Seen counters() const {
    const double tick_s = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
    Seen now;
    const auto metrics = client().Get("/metrics");
    const auto text = metrics ? metrics->body : std::string();
    now.computed_s =
        value_in(text, "ds_infer_stage_seconds_sum{model=\"answers\",version=\"1\",stage=\"compute\"} ");
    now.batches = value_in(text, "ds_infer_batch_size_count{model=\"answers\",version=\"1\"} ");
    now.replica_cpu_s = static_cast<double>(processor_ticks(replica_)) * tick_s;
    now.head_cpu_s = static_cast<double>(processor_ticks(head_)) * tick_s;
    return now;
  }
  static double value_in(const std::string& metrics, const std::string& name) {
    const auto at = metrics.find(name);
    return at == std::string::npos ? 0 : std::stod(metrics.substr(at + name.size()));
  }
};

TEST_F(ServeOverload, OfTwentyTimesTheCapacityLeavesTheGoodputAsItIs) {
  ASSERT_NO_FATAL_FAILURE(serve_slowly(25, "queue: {max_depth: 10, timeout: 20s}\n"));
  ASSERT_NO_FATAL_FAILURE(watch_processes(40));
  for (const double times : {2.0, 5.0, 20.0}) {
    const auto seen = compare({0, 4}, times);
    EXPECT_LE(seen.cost_of_refusal(), 0.05) << seen;
    EXPECT_LE(percentile(seen.over.refused_ms, 95),
              4 * seen.over.service_ms() + 8 * percentile(seen.over.nothing_ms, 95))
        << seen;
    EXPECT_LE(percentile(seen.over.refused_ms, 95), percentile(seen.over.answered_ms, 50)) << seen;
  }
}

TEST_F(ServeOverload, LeavesTheMemoryAsItIsHoweverManyAreRefused) {
  constexpr int kRefused = 10'000;
  constexpr long kMostBytesEach = 400;
  ASSERT_NO_FATAL_FAILURE(serve_slowly(25, "queue: {max_depth: 10, timeout: 20s}\n"));
  ASSERT_NO_FATAL_FAILURE(watch_processes(40));
  std::atomic<int> refused{0};
  Askers flood(32, [&]() -> std::string {
    thread_local auto http = keeping_client();
    const auto heard = ask(http, "");
    refused += heard.status == 503 ? 1 : 0;
    return heard.status == 200 || heard.says_when ? "" : std::to_string(heard.status) + " " + heard.body;
  });
  ASSERT_TRUE(wait_until([&] { return refused > kRefused / 2; })) << "it has all that it takes";
  const std::array watched{head_, replica_};
  const std::array before{resident_kib(watched[0]), resident_kib(watched[1])};
  const int then = refused;
  ASSERT_TRUE(wait_until([&] { return refused > then + kRefused; })) << refused;
  for (std::size_t i = 0; i < watched.size(); ++i) {
    const long now = resident_kib(watched[i]);
    ASSERT_GT(now, 0);
    std::cout << "resident: " << before[i] << " KiB, then " << now << " KiB" << std::endl;
    EXPECT_LT(now - before[i], kRefused * kMostBytesEach / 1024) << (i == 0 ? "the head" : "the replica");
  }
  flood.stop();
  EXPECT_EQ(flood.wrong(), 0) << flood.first_wrong();
}

TEST_F(ServeOverload, OfRequestsWithTightDeadlinesIsRefusedAtOnceAndTheOthersAreAnsweredInTime) {
  ASSERT_NO_FATAL_FAILURE(serve_slowly(25, "queue: {max_depth: 100}\n"));  // more than deadlines allow
  ASSERT_NO_FATAL_FAILURE(watch_processes(40));
  const double service_ms = load({0, 2}).service_ms();
  const double timeout_ms = 5 * service_ms;
  for (const double times : {2.0, 5.0}) {
    const auto seen = compare({0, 2}, times, static_cast<std::int64_t>(1'000 * timeout_ms));
    const auto in_time =
        std::ranges::count_if(seen.over.answered_ms, [&](double ms) { return ms <= timeout_ms; });
    std::cout << "  timeout " << timeout_ms << " ms: " << in_time << " of " << seen.over.answered()
              << " in time, 95 of 100 within " << percentile(seen.over.answered_ms, 95) << " ms" << std::endl;
    // They are admitted by what batches have taken so far. Where other programs come and go meanwhile, that
    // says less.
    EXPECT_GE(static_cast<double>(in_time), 0.6 * seen.over.answered()) << seen;
    for (const auto& waits : {seen.over.answered_ms, seen.over.refused_ms})
      EXPECT_LE(percentile(waits, 99), timeout_ms + 500)
          << "who is late hears it half a second later: " << seen;
  }
}

TEST_F(ServeOverload, FillsTheBatchesOfAdaptiveBatching) {
  ASSERT_NO_FATAL_FAILURE(serve_slowly(40, "queue: {max_depth: 12}\n", "{mode: adaptive, max_size: 4}"));
  ASSERT_NO_FATAL_FAILURE(watch_processes(100));
  for (const double times : {2.0, 5.0}) {
    const auto seen = compare({0, 12}, times);
    std::cout << "  rows " << seen.over.answered() / seen.over.batches << " against "
              << seen.usual.answered() / seen.usual.batches << std::endl;
    EXPECT_GE(seen.over.answered() / seen.over.batches, 3) << seen;
  }
}

TEST_F(ServeOverload, OfOneTenantIsRefusedWhileOthersAreAnswered) {
  ASSERT_NO_FATAL_FAILURE(serve_slowly(
      10, "queue: {max_depth: 6}\nreplicas: {min: 0, max: 1}\nautoscale: {to_zero_after: 5s}\n"));
  std::atomic<int> flooded{0}, refused{0};
  const auto asks = [&]() -> std::string {
    thread_local auto http = keeping_client();
    const auto heard = ask(http, "flood");
    if (heard.status == 200) ++flooded;
    if (heard.status == 200) return "";
    if (heard.status != 503) return std::to_string(heard.status) + " " + heard.body;
    ++refused;
    std::this_thread::sleep_for(milliseconds(2));
    return heard.says_when ? "" : "a refusal doesn't say when to come again";
  };
  Askers flood(16, asks);
  ASSERT_TRUE(wait_until([&] { return refused > 20; }));
  const int before = flooded;
  auto http = keeping_client();
  for (int i = 0; i < 20; ++i) {
    for (const char* tenant : {"calm", ""}) {
      const auto heard = ask(http, tenant);
      EXPECT_EQ(heard.status, 200) << "tenant '" << tenant << "': " << heard.body;
    }
  }
  EXPECT_GE(flooded - before, 10) << "it gets its own turns";
  const auto unknown = ask(http, "invented");
  EXPECT_EQ(unknown.status, 400) << unknown.body;
  EXPECT_NE(unknown.body.find("DS-Tenant names no tenant of this cluster: 'invented'"), std::string::npos)
      << unknown.body;

  flood.stop();
  EXPECT_EQ(flood.wrong(), 0) << flood.first_wrong();

  // The same where no replica is there, as the model sleeps and no node takes workers, and requests wait for
  // one.
  ASSERT_TRUE(has_replicas(job_, 0)) << cluster_.logs();
  ASSERT_EQ(cluster_.submit({"drain", "node-1"}).code, 0);
  Askers again(16, asks);
  const int then = refused;
  ASSERT_TRUE(wait_until([&] { return refused > then + 20; })) << "the line is full";
  Heard waited;
  std::thread calm([&] {
    auto other = keeping_client();
    waited = ask(other, "calm");
  });
  const int now = refused;
  EXPECT_TRUE(wait_until([&] { return refused > now + 100; }));
  EXPECT_EQ(cluster_.submit({"undrain", "node-1"}).code, 0);
  calm.join();
  EXPECT_EQ(waited.status, 200) << waited.body << cluster_.logs();
  again.stop();
  EXPECT_EQ(again.wrong(), 0) << again.first_wrong();
}

}  // namespace
}  // namespace ds::tests
