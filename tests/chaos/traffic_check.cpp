#include "tests/chaos/traffic_check.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ds::chaos {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
/// A message may overtake the report of the loss before it by so much: whoever sends it cannot know yet.
constexpr std::int64_t kReportSlack = kSecond;
/// A process that stood still at least so long may be taken for dead (half of its time-out).
constexpr std::int64_t kLongStop = kSecond;
/// So long after a process woke may losses still come from its sleep: what tried to connect to it meanwhile
/// times out.
constexpr std::int64_t kAftermath = 6 * kSecond;
/// So soon everybody must know that a process was killed.
constexpr std::int64_t kDownLimit = 10 * kSecond;

constexpr std::int32_t kStreams = 4;  ///< pairs of actors from one process to another

const Incarnation* find(const std::vector<Incarnation>& all, std::uint64_t id) {
  auto found = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.id == id; });
  return found == all.end() ? nullptr : &*found;
}

// Whether it slept within the time, or long enough to be taken for dead and not long before it.
bool slept(const Incarnation& process, std::int64_t from_ns, std::int64_t to_ns, std::int64_t at_least) {
  return std::any_of(process.stops.begin(), process.stops.end(), [&](const auto& stop) {
    return stop.to_ns - stop.from_ns >= at_least && stop.from_ns <= to_ns && stop.to_ns >= from_ns;
  });
}

}  // namespace

// ---- reading ------------------------------------------------------------------------------------

void TrafficCheck::read(std::uint64_t id, const JournalMemory& journal) {
  std::int64_t& offset = offsets_[id];
  std::vector<Record> chunk(4096);
  while (true) {
    const auto bytes = ::pread(journal.fd(), chunk.data(), chunk.size() * sizeof(Record), offset);
    const std::int64_t whole = bytes / static_cast<std::int64_t>(sizeof(Record));
    if (whole <= 0) return;
    for (std::int64_t i = 0; i < whole; ++i) take(id, chunk[static_cast<std::size_t>(i)]);
    offset += whole * static_cast<std::int64_t>(sizeof(Record));
  }
}

void TrafficCheck::take(std::uint64_t id, const Record& record) {
  const std::pair numbered(id, record.sequence);
  const Way out{id, record.peer, record.stream};
  switch (record.event) {
    case Event::raw_received:
    case Event::actor_received:
      return take_arrival(id, record);
    case Event::raw_total:
      totals_[{id, record.peer, -1}] = {0, record.sequence};
      return;
    case Event::actor_total:
      totals_[out] = {record.epoch, record.sequence};
      return;
    case Event::lost:
      losses_[{id, record.peer}].push_back({record.time_ns, record.sequence});
      arrived_[{record.peer, id, -1}].lost_since = true;
      return;
    case Event::actor_down:
      if (!downs_.emplace(std::pair(out, record.epoch), record.time_ns).second)
        violations_.push_back(
            fmt::format("{}: the handle of epoch {} was down twice", name(out), record.epoch));
      return;
    case Event::watch:
      watches_[numbered] = {record.peer, record.time_ns, {}};
      return;
    case Event::watch_down:
      watches_[numbered].fired.push_back(record.time_ns);
      return;
    case Event::ask:
      questions_[numbered].peer = record.peer;
      return;
    case Event::answered:
    case Event::failed:
      ++questions_[numbered].ends;
      ++(record.event == Event::answered ? answered_ : failed_);
      return;
    case Event::damaged:
      violations_.push_back(
          fmt::format("{:016x} got a damaged message or answer {} of stream {} from {:016x}", id,
                      record.sequence, record.stream, record.peer));
  }
}

void TrafficCheck::take_arrival(std::uint64_t id, const Record& record) {
  const bool raw = record.event == Event::raw_received;
  const Way way{record.peer, id, raw ? -1 : std::int32_t{record.stream}};
  Arrived& last = arrived_[way];
  const bool first = last.count++ == 0;
  if (record.epoch < last.epoch || (record.epoch == last.epoch && record.sequence <= last.sequence)) {
    violations_.push_back(fmt::format("{}: message {} of epoch {} came after message {} of epoch {}",
                                      name(way), record.sequence, record.epoch, last.sequence, last.epoch));
    return;
  }
  const std::uint64_t expected = record.epoch == last.epoch ? last.sequence + 1 : 1;
  if (record.sequence != expected) {
    gaps_.push_back({way, record.epoch, expected, record.sequence - 1, record.sent_ns});
    // Frames and losses come to the receiver on one thread, so it must have been told before.
    if (raw && !first && !last.lost_since) {
      violations_.push_back(
          fmt::format("{}: messages {} to {} are missing and the receiver was not told of a loss", name(way),
                      expected, record.sequence - 1));
    }
  }
  last.epoch = record.epoch;
  last.sequence = record.sequence;
  last.lost_since = false;
}

std::string TrafficCheck::name(const Way& way) const {
  return fmt::format("{:016x} to {:016x} ({})", way.from, way.to,
                     way.stream < 0 ? "raw" : fmt::format("actor stream {}", way.stream));
}

std::uint64_t TrafficCheck::arrived(std::uint64_t from, std::uint64_t to) const {
  std::uint64_t count = 0;
  for (const auto& [way, last] : arrived_) count += way.from == from && way.to == to ? last.count : 0;
  return count;
}

std::vector<std::int64_t> TrafficCheck::losses(std::uint64_t who, std::uint64_t whom) const {
  std::vector<std::int64_t> times;
  if (auto found = losses_.find({who, whom}); found != losses_.end()) {
    for (const Loss& loss : found->second) times.push_back(loss.time_ns);
  }
  return times;
}

std::int64_t TrafficCheck::last_loss_ns(const std::vector<std::uint64_t>& living) const {
  std::int64_t last = 0;
  for (std::uint64_t who : living) {
    for (std::uint64_t whom : living) {
      for (std::int64_t time : losses(who, whom)) last = std::max(last, time);
    }
  }
  return last;
}

std::vector<std::int64_t> TrafficCheck::fired(std::uint64_t who, std::uint64_t whom) const {
  std::vector<std::int64_t> times;
  for (const auto& [key, watch] : watches_) {
    if (key.first == who && watch.peer == whom)
      times.insert(times.end(), watch.fired.begin(), watch.fired.end());
  }
  return times;
}

// ---- judging ------------------------------------------------------------------------------------

std::vector<std::string> TrafficCheck::unsettled(const std::vector<std::uint64_t>& living) const {
  std::vector<std::string> waits;
  auto lives = [&](std::uint64_t id) { return std::find(living.begin(), living.end(), id) != living.end(); };
  for (const auto& [way, total] : totals_) {
    if (!lives(way.from) || !lives(way.to) || total.sequence == 0) continue;
    auto found = arrived_.find(way);
    const Arrived last = found == arrived_.end() ? Arrived{} : found->second;
    if (last.epoch != total.epoch || last.sequence != total.sequence) {
      waits.push_back(fmt::format("{}: {} of {} arrived, epoch {} of {}", name(way), last.sequence,
                                  total.sequence, last.epoch, total.epoch));
    }
  }
  for (const auto& [key, question] : questions_) {
    if (lives(key.first) && question.ends == 0)
      waits.push_back(fmt::format("{:016x} waits for an answer of {:016x}", key.first, question.peer));
  }
  for (std::uint64_t from : living) {
    for (std::uint64_t to : living) {
      for (std::int32_t stream = -1; from != to && stream < kStreams; ++stream) {
        if (!totals_.contains({from, to, stream}))
          waits.push_back(fmt::format("{}: nothing was sent at the end", name({from, to, stream})));
      }
    }
  }
  return waits;
}

std::vector<std::string> TrafficCheck::findings(const std::vector<Incarnation>& all) const {
  auto found = violations_;
  judge_gaps(all, found);
  judge_losses(all, found);
  judge_requests(all, found);
  judge_watches(all, found);
  return found;
}

// What is missing must have been queued before a loss that its sender was told of, at the latest right after
// it sent the next one.
void TrafficCheck::judge_gaps(const std::vector<Incarnation>& all, std::vector<std::string>& found) const {
  for (const Gap& gap : gaps_) {
    const Incarnation* sender = find(all, gap.way.from);
    if (sender == nullptr) {
      found.push_back(fmt::format("{}: a message of a process that never was", name(gap.way)));
      continue;
    }
    auto in_time = [&](std::int64_t told_ns) {
      return told_ns <= gap.next_sent_ns + kReportSlack || slept(*sender, gap.next_sent_ns, told_ns, 0);
    };
    bool told = sender->killed_ns != 0 && in_time(sender->killed_ns);
    if (gap.way.stream < 0) {
      if (auto losses = losses_.find({gap.way.from, gap.way.to}); losses != losses_.end()) {
        for (const Loss& loss : losses->second) told |= loss.last_sent >= gap.last && in_time(loss.time_ns);
      }
    } else if (auto down = downs_.find({gap.way, gap.epoch}); down != downs_.end()) {
      told |= in_time(down->second);
    }
    if (!told) {
      found.push_back(fmt::format("{}: messages {} to {} of epoch {} are missing and the sender was not told",
                                  name(gap.way), gap.first, gap.last, gap.epoch));
    }
  }
}

void TrafficCheck::judge_losses(const std::vector<Incarnation>& all, std::vector<std::string>& found) const {
  for (const auto& [pair, losses] : losses_) {
    const Incarnation* self = find(all, pair.first);
    const Incarnation* peer = find(all, pair.second);
    for (const Loss& loss : losses) {
      auto explains = [&](const Incarnation* process) {
        return process == nullptr || (process->killed_ns != 0 && process->killed_ns <= loss.time_ns) ||
               slept(*process, loss.time_ns - kAftermath, loss.time_ns, kLongStop);
      };
      if (explains(self) || explains(peer)) continue;
      found.push_back(fmt::format("{:016x} reported {:016x} lost without a reason", pair.first, pair.second));
    }
  }
}

void TrafficCheck::judge_requests(const std::vector<Incarnation>& all,
                                  std::vector<std::string>& found) const {
  for (const auto& [key, question] : questions_) {
    const Incarnation* asker = find(all, key.first);
    const bool killed = asker != nullptr && asker->killed_ns != 0;
    if (question.ends > 1 || (question.ends == 0 && !killed)) {
      found.push_back(fmt::format("request {} of {:016x} to {:016x} ended {} times", key.second, key.first,
                                  question.peer, question.ends));
    }
  }
}

void TrafficCheck::judge_watches(const std::vector<Incarnation>& all, std::vector<std::string>& found) const {
  for (const auto& [key, watch] : watches_) {
    const Incarnation* watcher = find(all, key.first);
    const Incarnation* peer = find(all, watch.peer);
    const bool watcher_killed = watcher != nullptr && watcher->killed_ns != 0;
    const bool peer_killed = peer != nullptr && peer->killed_ns != 0;
    if (watch.fired.size() > 1 || (watch.fired.empty() && peer_killed && !watcher_killed)) {
      found.push_back(fmt::format("monitor {} of {:016x} on {:016x} fired {} times", key.second, key.first,
                                  watch.peer, watch.fired.size()));
    }
    if (watch.fired.empty() || !peer_killed || watcher == nullptr) continue;
    const std::int64_t told = watch.fired.front();
    const std::int64_t since = std::max(peer->killed_ns, watch.set_ns);
    if (told - since > kDownLimit && !slept(*watcher, since, told, 0)) {
      found.push_back(fmt::format("monitor {} of {:016x} took {} s to see that {:016x} was killed",
                                  key.second, key.first, (told - since) / kSecond, watch.peer));
    }
  }
}

std::string TrafficCheck::summary(const std::vector<Incarnation>& all) const {
  std::uint64_t raw = 0, actors = 0, losses = 0;
  for (const auto& [way, last] : arrived_) (way.stream < 0 ? raw : actors) += last.count;
  for (const auto& entry : losses_) losses += entry.second.size();
  std::vector<std::int64_t> seen;
  for (const auto& [key, watch] : watches_) {
    const Incarnation* watcher = find(all, key.first);
    const Incarnation* peer = find(all, watch.peer);
    if (watch.fired.empty() || watcher == nullptr || peer == nullptr || peer->killed_ns == 0) continue;
    const std::int64_t told = watch.fired.front();
    // Only who was awake, and watched before.
    if (watch.set_ns < peer->killed_ns && told > peer->killed_ns &&
        !slept(*watcher, peer->killed_ns, told, 0))
      seen.push_back((told - peer->killed_ns) / 1'000'000);
  }
  std::sort(seen.begin(), seen.end());
  return fmt::format(
      "{} frames, {} messages of actors, {} requests answered, {} failed, {} losses reported, {} gaps; a "
      "kill was seen "
      "after {} ms (median), {} ms (latest) by {} monitors",
      raw, actors, answered_, failed_, losses, gaps_.size(), seen.empty() ? 0 : seen[seen.size() / 2],
      seen.empty() ? 0 : seen.back(), seen.size());
}

}  // namespace ds::chaos
