#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "actors/serving/batching.hpp"
#include "actors/serving/service_fit.hpp"
#include "actors/serving/ticket_line.hpp"

namespace ds::serving {

/// What waits longer than this leads every `kAgedTurn`-th batch, whatever its priority, tenant and shape, the
/// oldest first: with k older ones waiting, a ticket waits at most that long and (k + 1) * `kAgedTurn`
/// batches.
inline constexpr std::int64_t kAgedUs = 1'000'000;
inline constexpr std::uint32_t kAgedTurn = 8;

/// When nothing runs and nothing has been measured for so long, no ticket is refused or expires because of
/// the fit: else a fit that says that no deadline can be met would never be corrected.
inline constexpr std::int64_t kFitHoldsUs = 250'000;

/// A replica's admission and batching: which requests may wait, and which run together when.
///
/// Each ticket that is admitted ends once: in a batch of `next`, in `take_expired`, or by `cancel`. Call
/// `take_expired` after each `admit` and `next`, and `next` until it returns nothing after each `admit` (once
/// for several that come together), `on_done` and `wake_us`.
///
/// Mode `adaptive` never waits while all executors are busy, several are idle, or other shapes wait: at load
/// the batch fills by itself meanwhile. Beside the one idle executor it waits for another ticket while that
/// lowers the sum of latencies: it spares the newcomer the fixed cost `a` of a batch of its own, and costs
/// those k that wait the expected gap g between arrivals and everybody the newcomer's rows: while g (k + 1) <
/// a - b rows. It stops when 2 g have passed without an arrival. With an objective a batch is no larger than
/// lets it end in time when it waits for one of its like first (Nexus, SOSP 2019), and at most twice as large
/// as any measured (as Clipper, NSDI 2017, probes upward). A ticket whose deadline would make a full line run
/// in batches under half that size is dropped early (Nexus). Places are taken from the tenant with most of
/// them (`find_who_makes_way`).
///
/// A plain value: no thread, no clock; times never go back. Not for several threads at once.
class BatchQueue {
 public:
  explicit BatchQueue(const BatchingOptions& options) : options_(options) { update_cap(); }

  /// None: it waits. It may have taken the place of others, which `take_expired` tells.
  std::optional<Refusal> admit(Ticket ticket, std::int64_t now_us);
  /// The client went away. Nothing happens when the ticket doesn't wait.
  void cancel(std::uint64_t id);
  /// Those that will not run: their deadline can't be met any more, or another tenant has their place.
  std::vector<Expired> take_expired(std::int64_t now_us);
  /// What to run now; an executor is busy with it until `on_done`.
  std::optional<Batch> next(std::int64_t now_us);
  /// When `next` or `take_expired` may have something though nothing else happens; not before `now_us`.
  std::optional<std::int64_t> wake_us(std::int64_t now_us) const;
  /// `service_us` is what the executor took; 0 or less: it failed, and teaches nothing.
  void on_done(const Batch& batch, std::int64_t service_us, std::int64_t now_us);
  /// Teaches the fit, say from a warm-up.
  void observe(std::uint32_t rows, std::int64_t service_us, std::int64_t now_us = 0);
  /// Refuses newcomers from now on, and runs the rest without waiting.
  void drain() { is_draining_ = true; }

  /// Until all that waits has been served, by the measured rate; a second while nothing is measured.
  std::int64_t retry_after_us(std::int64_t now_us) const;
  /// Until a ticket like this would have run, were it admitted; 0 while nothing is measured, or not of late.
  std::int64_t expect_us(const Ticket& ticket, std::int64_t now_us) const;

  std::size_t depth() const { return line_.size(); }
  std::uint64_t bytes() const { return line_.bytes(); }
  std::uint32_t running() const { return static_cast<std::uint32_t>(running_.size()); }
  /// Neither waits nor runs anything.
  bool is_empty() const { return line_.empty() && running_.empty(); }
  /// The most rows of a batch at present.
  std::uint32_t size_cap() const { return cap_; }
  const ServiceFit& fit() const { return fit_; }
  const BatchCounters& counters() const { return counters_; }
  const BatchingOptions& options() const { return options_; }

 private:
  struct Arrivals {
    std::int64_t last_us = 0;
    double gap_us = 0;  ///< moving average; 0: unknown
  };
  struct Decision {
    std::uint64_t leader = 0;
    Release reason = Release::idle;
    std::int64_t at_us = 0;  ///< when to run it
  };

  std::optional<Refusal> make_place(const Ticket& ticket);
  void note_arrival(std::uint64_t shape_key, std::int64_t now_us);
  void expire(std::uint64_t id, Refusal why);
  void expire_late(std::int64_t now_us);
  /// Precondition: something waits.
  Decision decide(std::int64_t now_us) const;
  Decision decide_fixed(std::int64_t now_us) const;
  Decision decide_adaptive(const TicketLine::Waiting& leader, std::int64_t now_us) const;
  /// The last moment to start a batch of all of the key and another ticket so that everybody's deadline, and
  /// with an objective the oldest's, is kept, also when the timer for it is late.
  std::int64_t last_start_us(const TicketLine::KeyLine& key) const;
  const TicketLine::Waiting& whose_turn(std::int64_t now_us) const;
  std::optional<Batch> take(const Decision& decision, std::int64_t now_us);
  /// What the fit expects, as far as it may be held against a ticket; 0 else.
  std::int64_t needed_us(std::uint32_t rows, std::int64_t now_us) const;
  std::int64_t executor_free_in_us(std::int64_t now_us) const;
  double backlog_us(std::uint64_t rows) const;
  /// Rows of a batch when many wait.
  std::uint32_t usual_rows() const;
  void update_cap();

  BatchingOptions options_;
  TicketLine line_;
  ServiceFit fit_;
  std::uint32_t cap_ = 1;
  bool is_draining_ = false;
  std::map<std::uint64_t, std::int64_t> running_;  ///< batch number to when it should be done
  std::map<std::uint64_t, Arrivals> arrivals_;     ///< by shape
  std::vector<Expired> expired_;
  std::uint32_t turns_since_aged_ = 0;
  std::uint64_t alone_ = 0;       ///< tickets that share with nobody, so far
  std::int64_t measured_us_ = 0;  ///< when the fit last learnt
  BatchCounters counters_;
};

}  // namespace ds::serving
