#include "actors/serving/batch_queue.hpp"

#include <algorithm>
#include <limits>

namespace ds::serving {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kMostLookedAt = 16;  // tickets that do not fit, before a batch is closed
// How much of a batch a ticket waits for before its own starts, for the size under an objective: few come
// just when it has started. Not divided by the executors: at load they start in step.
constexpr double kWaitForBatch = 2.0 / 3;
constexpr std::uint32_t kMostGrowth = 2;  // times the largest batch measured
// A timer is late by so much at most, nearly always; of a short timeout no more than a part is given away.
constexpr std::int64_t kTimerLateUs = 5'000;
constexpr std::int64_t kTimerPart = 4;

/// By when what was admitted then is to be released, so that it ends in time though the timer is late.
std::int64_t with_room_for_timer(std::int64_t admitted_us, std::int64_t deadline_us) {
  return deadline_us -
         std::min(kTimerLateUs, std::max<std::int64_t>(deadline_us - admitted_us, 0) / kTimerPart);
}

}  // namespace

void BatchQueue::observe(std::uint32_t rows, std::int64_t service_us, std::int64_t now_us) {
  measured_us_ = std::max(measured_us_, now_us);
  fit_.observe(rows, service_us);
  update_cap();
}

void BatchQueue::on_done(const Batch& batch, std::int64_t service_us, std::int64_t now_us) {
  if (running_.erase(batch.number) == 0) return;
  if (service_us > 0) observe(batch.rows, service_us, now_us);
}

void BatchQueue::update_cap() {
  cap_ = std::max(options_.max_size, 1U);
  if (options_.mode != BatchingOptions::Mode::adaptive || options_.p99_us <= 0) return;
  const auto objective = static_cast<double>(options_.p99_us);
  const std::uint32_t probed = std::max(fit_.largest_seen(), 1U) * kMostGrowth;
  std::uint32_t within = 1;
  if (fit_.is_known()) {
    within = fit_.largest_within(objective / (1 + kWaitForBatch), cap_);
    if (within == 0) within = fit_.largest_within(objective, cap_);
    if (within == 0) within = cap_;
  }
  cap_ = std::min({cap_, within, probed});
}

const TicketLine::Waiting& BatchQueue::whose_turn(std::int64_t now_us) const {
  const bool is_aged = now_us - line_.oldest().admitted_us > kAgedUs;
  return is_aged && turns_since_aged_ + 1 >= kAgedTurn ? line_.oldest() : line_.first();
}

std::int64_t BatchQueue::last_start_us(const TicketLine::KeyLine& key) const {
  const std::size_t tickets = key.places.size();
  const std::uint64_t another = (key.rows + tickets - 1) / tickets;
  const auto rows = static_cast<std::uint32_t>(std::min<std::uint64_t>(key.rows + another, cap_));
  const auto service_us = static_cast<std::int64_t>(fit_.upper_us(rows));
  std::int64_t earliest = kNever;
  std::size_t looked_at = 0;
  for (const TicketLine::Waiting* waiting : key.by_age) {
    if (waiting->ticket.deadline_us > 0)
      earliest = std::min(earliest, with_room_for_timer(waiting->admitted_us, waiting->ticket.deadline_us));
    if (++looked_at == cap_) break;
  }
  if (options_.mode == BatchingOptions::Mode::adaptive && options_.p99_us > 0) {
    const std::int64_t admitted_us = key.by_age.front()->admitted_us;
    earliest = std::min(earliest, with_room_for_timer(admitted_us, admitted_us + options_.p99_us));
  }
  return earliest == kNever ? kNever : earliest - service_us;
}

BatchQueue::Decision BatchQueue::decide_fixed(std::int64_t now_us) const {
  Decision soonest{.at_us = kNever};
  const TicketLine::Waiting& turn = whose_turn(now_us);
  for (const auto& [shape_key, key] : line_.keys()) {
    const bool is_turn = shape_key == turn.ticket.shape_key;
    Decision decision{is_turn ? turn.ticket.id : key.places.begin()->id, Release::full, now_us};
    if (key.by_age.front()->ticket.alone) {
      decision.reason = Release::unbatched;
    } else if (key.rows < cap_) {
      const std::int64_t delay_us = key.by_age.front()->admitted_us + options_.max_delay_us;
      const std::int64_t last_us = last_start_us(key);
      decision.reason = last_us < delay_us ? Release::deadline : Release::delay;
      decision.at_us = std::max(now_us, std::min(last_us, delay_us));
    }
    if (is_turn && decision.at_us <= now_us) return decision;
    if (decision.at_us < soonest.at_us) soonest = decision;
  }
  return soonest;
}

BatchQueue::Decision BatchQueue::decide_adaptive(const TicketLine::Waiting& leader,
                                                 std::int64_t now_us) const {
  const TicketLine::KeyLine& key = line_.key(leader.ticket.shape_key);
  Decision decision{leader.ticket.id, Release::idle, now_us};
  if (leader.ticket.alone) {
    decision.reason = Release::unbatched;
    return decision;
  }
  if (key.rows >= cap_) {
    decision.reason = Release::full;
    return decision;
  }
  const bool others_wait = key.places.size() < line_.size();
  const bool several_idle = running_.size() + 1 < options_.executors;
  const auto arrivals = arrivals_.find(leader.ticket.shape_key);
  if (others_wait || several_idle || !fit_.is_known() || arrivals == arrivals_.end()) return decision;
  const double gap_us = arrivals->second.gap_us;
  const double gain_us = fit_.fixed_us() - fit_.per_row_us() * static_cast<double>(key.rows);
  if (gap_us <= 0 || gap_us * static_cast<double>(key.places.size() + 1) >= gain_us) return decision;

  const std::int64_t given_up_us = arrivals->second.last_us + static_cast<std::int64_t>(2 * gap_us);
  const std::int64_t delay_us = key.by_age.front()->admitted_us + options_.max_delay_us;
  const std::int64_t last_us = last_start_us(key);
  const std::int64_t at_us = std::min({given_up_us, delay_us, last_us});
  if (at_us == last_us) {
    decision.reason = Release::deadline;
  } else if (at_us == delay_us) {
    decision.reason = Release::delay;
  }
  decision.at_us = std::max(at_us, now_us);
  return decision;
}

BatchQueue::Decision BatchQueue::decide(std::int64_t now_us) const {
  const TicketLine::Waiting& leader = whose_turn(now_us);
  if (options_.mode == BatchingOptions::Mode::off) return {leader.ticket.id, Release::unbatched, now_us};
  if (is_draining_) return {leader.ticket.id, Release::drain, now_us};
  if (options_.mode == BatchingOptions::Mode::fixed) return decide_fixed(now_us);
  return decide_adaptive(leader, now_us);
}

std::optional<Batch> BatchQueue::next(std::int64_t now_us) {
  expire_late(now_us);
  while (!line_.empty() && running_.size() < options_.executors) {
    const Decision decision = decide(now_us);
    if (decision.at_us > now_us) return std::nullopt;
    if (auto batch = take(decision, now_us)) return batch;  // else all that it looked at were too late
  }
  return std::nullopt;
}

std::optional<Batch> BatchQueue::take(const Decision& decision, std::int64_t now_us) {
  const TicketLine::Waiting& leader = line_.at(decision.leader);
  Batch batch;
  batch.shape_key = leader.ticket.shape_key;
  batch.reason = decision.reason;
  const TicketLine::KeyLine& key = line_.key(batch.shape_key);
  const bool is_long = key.rows >= cap_;
  std::uint32_t limit = options_.mode == BatchingOptions::Mode::off ? 1 : std::max(cap_, leader.ticket.rows);
  std::vector<std::uint64_t> late;
  std::size_t skipped = 0;

  const auto consider = [&](const TicketLine::Waiting& waiting) {
    const std::uint32_t rows = batch.rows + waiting.ticket.rows;
    const bool is_alone = batch.ids.empty();
    if (!is_alone && rows > limit) return false;
    if (const std::int64_t deadline_us = waiting.ticket.deadline_us; deadline_us > 0 && fit_.is_known()) {
      const auto budget = static_cast<double>(deadline_us - now_us);
      if (needed_us(waiting.ticket.rows, now_us) > deadline_us - now_us) {
        late.push_back(waiting.ticket.id);
        return false;
      }
      if (fit_.expect_us(std::max(rows, limit)) > budget) {
        const std::uint32_t room = fit_.largest_within(budget, limit);
        if (is_long && room > 0 && room < limit / 2) {
          late.push_back(waiting.ticket.id);
          return false;
        }
        if (!is_alone && room < rows) return false;
        limit = std::max(room, rows);
      }
    }
    batch.ids.push_back(waiting.ticket.id);
    batch.waited_us.push_back(now_us - waiting.admitted_us);
    batch.rows = rows;
    return true;
  };
  consider(leader);
  for (const TicketLine::Place& place : key.places) {
    if (batch.rows >= limit || skipped == kMostLookedAt) break;
    if (options_.mode == BatchingOptions::Mode::off && !batch.ids.empty()) break;
    if (place.id != decision.leader && !consider(line_.at(place.id))) ++skipped;
  }
  const bool was_aged = &leader == &line_.oldest() && now_us - leader.admitted_us > kAgedUs;
  for (const std::uint64_t id : late) expire(id, Refusal::deadline);
  if (batch.ids.empty()) return std::nullopt;

  turns_since_aged_ = was_aged ? 0 : std::min(turns_since_aged_ + 1, kAgedTurn);
  batch.number = ++counters_.batches;
  counters_.tickets_run += batch.ids.size();
  counters_.rows_run += batch.rows;
  ++counters_.released.at(static_cast<std::size_t>(batch.reason));
  for (const std::uint64_t id : batch.ids) {
    if (id == batch.ids.front()) {
      line_.remove_leader(id);
    } else {
      line_.remove(id);
    }
  }
  running_.emplace(batch.number, now_us + static_cast<std::int64_t>(fit_.upper_us(batch.rows)));
  return batch;
}

std::optional<std::int64_t> BatchQueue::wake_us(std::int64_t now_us) const {
  if (line_.empty()) return std::nullopt;
  std::int64_t wake = kNever;
  if (running_.size() < options_.executors) wake = decide(now_us).at_us;
  if (!line_.deadlines().empty()) {
    const auto [deadline_us, id] = *line_.deadlines().begin();
    wake = std::min(wake, std::max(now_us, deadline_us - needed_us(line_.at(id).ticket.rows, now_us) + 1));
  }
  return wake == kNever ? std::nullopt : std::optional(std::max(wake, now_us));
}

}  // namespace ds::serving
