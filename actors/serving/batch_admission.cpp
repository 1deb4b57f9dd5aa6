// Admission: whether a ticket may wait, and who makes way for it.
#include <algorithm>
#include <cmath>

#include "actors/serving/batch_queue.hpp"
#include "actors/serving/make_way.hpp"

namespace ds::serving {
namespace {

constexpr std::size_t kMaxShapes = 256;  // whose arrivals are remembered
constexpr double kGapStep = 1.0 / 16;
constexpr double kLongestGapUs = 1'000'000;
constexpr std::int64_t kUnknownRetryUs = 1'000'000;
constexpr std::int64_t kLongestRetryUs = 60'000'000;
constexpr std::uint64_t kAloneKeys = 0x5bd1'e995'97f4'a7c5ULL;

}  // namespace

std::optional<Refusal> BatchQueue::admit(Ticket ticket, std::int64_t now_us) {
  ticket.rows = std::max(ticket.rows, 1U);
  const auto refuse = [this](Refusal why) {
    ++counters_.refused.at(static_cast<std::size_t>(why));
    return why;
  };
  if (is_draining_) return refuse(Refusal::draining);
  if (ticket.rows > options_.max_size || ticket.bytes > options_.max_bytes) return refuse(Refusal::too_large);
  expire_late(now_us);
  if (ticket.deadline_us > 0) {
    if (ticket.deadline_us <= now_us || now_us + expect_us(ticket, now_us) > ticket.deadline_us)
      return refuse(Refusal::deadline);
  }
  if (const auto refusal = make_place(ticket)) return refuse(*refusal);
  if (ticket.alone) {
    // Unlike hashes of shapes, as good as surely, and unlike any other of these that waits.
    ticket.shape_key = kAloneKeys - ++alone_;
  } else {
    note_arrival(ticket.shape_key, now_us);
  }
  line_.add(std::move(ticket), now_us);
  ++counters_.admitted;
  return std::nullopt;
}

std::optional<Refusal> BatchQueue::make_place(const Ticket& ticket) {
  const auto who = find_who_makes_way(line_, ticket, {options_.max_depth, options_.max_bytes});
  if (!who) return who.error();
  if (!who->empty() && expired_.size() + who->size() > options_.max_depth) return who->front().why;
  for (const MakesWay& one : *who) expire(one.id, one.why);
  return std::nullopt;
}

void BatchQueue::note_arrival(std::uint64_t shape_key, std::int64_t now_us) {
  if (!arrivals_.contains(shape_key) && arrivals_.size() >= kMaxShapes) arrivals_.clear();
  const auto [found, is_new] = arrivals_.try_emplace(shape_key);
  Arrivals& arrivals = found->second;
  if (!is_new) {
    const double gap = std::min(static_cast<double>(now_us - arrivals.last_us), kLongestGapUs);
    arrivals.gap_us = arrivals.gap_us == 0 ? gap : arrivals.gap_us + kGapStep * (gap - arrivals.gap_us);
  }
  arrivals.last_us = now_us;
}

void BatchQueue::cancel(std::uint64_t id) {
  if (line_.remove(id)) ++counters_.cancelled;
}

void BatchQueue::expire(std::uint64_t id, Refusal why) {
  if (!line_.remove(id)) return;
  expired_.push_back({id, why});
  ++counters_.expired.at(static_cast<std::size_t>(why));
}

void BatchQueue::expire_late(std::int64_t now_us) {
  while (!line_.deadlines().empty()) {
    const auto [deadline_us, id] = *line_.deadlines().begin();
    if (now_us < deadline_us && now_us + needed_us(line_.at(id).ticket.rows, now_us) <= deadline_us) return;
    expire(id, Refusal::deadline);
  }
}

std::vector<Expired> BatchQueue::take_expired(std::int64_t now_us) {
  expire_late(now_us);
  return std::exchange(expired_, {});
}

std::int64_t BatchQueue::needed_us(std::uint32_t rows, std::int64_t now_us) const {
  if (running_.empty() && now_us - measured_us_ > kFitHoldsUs) return 0;
  return static_cast<std::int64_t>(fit_.expect_us(rows));
}

std::int64_t BatchQueue::executor_free_in_us(std::int64_t now_us) const {
  if (running_.size() < options_.executors) return 0;
  std::int64_t soonest = kLongestRetryUs;
  for (const auto& [number, done_us] : running_)
    soonest = std::min(soonest, std::max<std::int64_t>(done_us - now_us, 0));
  return soonest;
}

std::uint32_t BatchQueue::usual_rows() const {
  if (options_.mode != BatchingOptions::Mode::off) return cap_;
  const std::uint64_t tickets = std::max<std::size_t>(line_.size(), 1);
  return static_cast<std::uint32_t>(std::max<std::uint64_t>((line_.rows() + tickets - 1) / tickets, 1));
}

double BatchQueue::backlog_us(std::uint64_t rows) const {
  const std::uint32_t size = usual_rows();
  const double whole = std::floor(static_cast<double>(rows) / size);
  return whole * fit_.expect_us(size) / std::max(options_.executors, 1U);
}

std::int64_t BatchQueue::expect_us(const Ticket& ticket, std::int64_t now_us) const {
  if (needed_us(ticket.rows, now_us) == 0) return 0;
  const std::uint64_t before = line_.count_rows_before(ticket);
  const std::uint32_t size = options_.mode == BatchingOptions::Mode::off ? 1 : cap_;  // of its own
  // Where a batch is full before it, so will its own be.
  const auto own =
      std::max(ticket.rows, static_cast<std::uint32_t>(std::min<std::uint64_t>(before + ticket.rows, size)));
  return executor_free_in_us(now_us) + static_cast<std::int64_t>(backlog_us(before) + fit_.upper_us(own));
}

std::int64_t BatchQueue::retry_after_us(std::int64_t now_us) const {
  if (!fit_.is_known()) return kUnknownRetryUs;
  const double all = backlog_us(line_.rows() + usual_rows());
  return std::min(executor_free_in_us(now_us) + static_cast<std::int64_t>(all), kLongestRetryUs);
}

}  // namespace ds::serving
