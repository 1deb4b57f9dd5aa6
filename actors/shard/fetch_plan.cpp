#include "actors/shard/fetch_plan.hpp"

#include <algorithm>
#include <utility>

#include "actors/shard/assignment.hpp"

namespace ds::shard {

using train::MicroBatch;

FetchPlan::FetchPlan(std::uint32_t logical_ranks, BytesOf bytes_of, Limits limits)
    : logical_ranks_(logical_ranks), bytes_of_(std::move(bytes_of)), limits_(limits) {}

void FetchPlan::expect(const MicroBatch& first, train::BatchSource::Next next) {
  entries_.clear();
  bytes_ = 0;
  waiting_.reset();
  coming_ = first;
  next_ = std::move(next);
  for (auto& [number, shard] : shards_) take_back(number, shard);
}

void FetchPlan::set_shards(const std::vector<std::uint64_t>& shards) {
  for (auto shard = shards_.begin(); shard != shards_.end();) {
    const std::uint64_t number = (shard++)->first;
    if (std::ranges::find(shards, number) == shards.end()) on_lost(number);
  }
  for (const std::uint64_t number : shards) shards_.try_emplace(number);
}

void FetchPlan::on_lost(std::uint64_t shard) {
  const auto found = shards_.find(shard);
  if (found == shards_.end()) return;
  take_back(shard, found->second);
  to_forget_.erase(shard);
  shards_.erase(found);
}

void FetchPlan::refuse(std::uint64_t shard) {
  const auto found = shards_.find(shard);
  if (found == shards_.end()) return;
  found->second.refused = true;
  take_back(shard, found->second);
}

/// What it was asked for and has not sent will be asked of others.
void FetchPlan::take_back(std::uint64_t shard, Shard& entry) {
  if (!entry.asked.empty()) to_forget_.insert(shard);
  entry.asked.clear();
  for (Entry& one : entries_) {
    if (one.state == State::asked && one.shard == shard) one.state = State::open, one.shard = 0;
  }
}

std::vector<std::uint64_t> FetchPlan::usable(Time now) const {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, shard] : shards_) {
    if (!shard.refused && shard.rests_until <= now) numbers.push_back(number);
  }
  return numbers;
}

void FetchPlan::extend() {
  while (coming_ && entries_.size() < limits_.ahead) {
    const std::uint64_t bytes = bytes_of_(*coming_);
    if (!entries_.empty() && bytes_ + bytes > limits_.ahead_bytes) return;
    entries_.push_back({*coming_, bytes, State::open, 0, std::nullopt});
    bytes_ += bytes;
    coming_ = next_(*coming_);
  }
}

std::vector<FetchPlan::Ask> FetchPlan::take_asks(Time now) {
  if (std::vector<std::uint64_t> able = usable(now); able != assigned_to_) {
    owners_ = assign_ranks(logical_ranks_, able);
    assigned_to_ = std::move(able);
  }
  extend();
  std::map<std::uint64_t, Ask> asks;
  for (const std::uint64_t shard : std::exchange(to_forget_, {})) asks[shard] = {shard, true, {}};
  for (Entry& entry : entries_) {
    if (entry.state != State::open || owners_.empty()) continue;
    entry.state = State::asked;
    entry.shard = owners_[entry.which.logical_rank];
    Shard& shard = shards_.at(entry.shard);
    if (shard.asked.empty()) shard.heard = now;  // its time begins
    shard.asked.insert(entry.which);
    Ask& ask = asks[entry.shard];
    ask.shard = entry.shard;
    ask.wanted.push_back(entry.which);
  }
  std::vector<Ask> all;
  for (auto& [shard, ask] : asks) all.push_back(std::move(ask));
  return all;
}

FetchPlan::Entry* FetchPlan::find(const MicroBatch& which) {
  const auto found = std::ranges::lower_bound(entries_, which, {}, &Entry::which);
  return found == entries_.end() || found->which != which ? nullptr : &*found;
}

bool FetchPlan::on_batch(std::uint64_t shard, const MicroBatch& which, data::Batch batch, Time now) {
  if (const auto found = shards_.find(shard); found != shards_.end()) {
    if (found->second.asked.erase(which) > 0) found->second.heard = now;
  }
  Entry* entry = find(which);
  if (entry == nullptr || entry->state == State::ready) return false;
  entry->state = State::ready;
  entry->shard = shard;
  entry->batch = std::move(batch);
  return true;
}

std::optional<MicroBatch> FetchPlan::begin_here() {
  if (!owners_.empty()) return {};
  const auto open = std::ranges::find(entries_, State::open, &Entry::state);
  if (open == entries_.end()) return {};
  open->state = State::here;
  return open->which;
}

void FetchPlan::end_here(const MicroBatch& which, Result<data::Batch> batch) {
  Entry* entry = find(which);
  if (entry == nullptr || entry->state == State::ready) return;
  entry->state = State::ready;
  entry->batch = std::move(batch);
}

void FetchPlan::note_own_time(Time took) {
  own_time_ = own_time_ ? (3 * *own_time_ + took) / 4 : took;
}

FetchPlan::Time FetchPlan::patience() const {
  return std::clamp(limits_.patience * own_time_.value_or(Time(0)), limits_.least_patience,
                    limits_.most_patience);
}

void FetchPlan::drop_front() {
  bytes_ -= entries_.front().bytes;
  entries_.pop_front();
}

bool FetchPlan::another_is_idle(std::uint64_t shard, Time now) const {
  return std::ranges::any_of(
      usable(now), [&](std::uint64_t other) { return other != shard && shards_.at(other).asked.empty(); });
}

/// When the trainer has waited for it long enough.
FetchPlan::Time FetchPlan::late_at(const Shard& shard) const {
  return std::min(std::max(waiting_->since, shard.heard) + patience(),
                  waiting_->since + kMostPatience * patience());
}

/// Whether the trainer has waited for its shard long enough, or often enough.
bool FetchPlan::is_late(const Entry& entry, Time now) {
  Shard& shard = shards_.at(entry.shard);
  if (!waiting_ || waiting_->which != entry.which) {
    waiting_ = {entry.which, now};
    shard.waits = another_is_idle(entry.shard, now) ? shard.waits + 1 : 0;
    if (shard.waits >= kMostWaits) return true;
  }
  return now >= late_at(shard);
}

FetchPlan::Answer FetchPlan::want(const MicroBatch& which, Time now) {
  while (!entries_.empty() && entries_.front().which < which) drop_front();
  Entry* entry = find(which);
  if (entry == nullptr) return MakeHere{};
  const auto shard = shards_.find(entry->shard);
  if (entry->state == State::ready) {
    const bool waited = waiting_ && waiting_->which == which;
    if (!waited && shard != shards_.end()) shard->second.waits = 0, shard->second.rest = Time(0);
    Result<data::Batch> batch = *std::move(entry->batch);
    drop_front();
    return batch;
  }
  if (entry->state == State::here) return WaitUntil{now + limits_.most_rest};
  if (entry->state == State::asked && own_time_) {
    if (!is_late(*entry, now)) return WaitUntil{late_at(shard->second)};
    Shard& slow = shard->second;
    slow.waits = 0;
    slow.rest = slow.rest == Time(0) ? limits_.least_rest : std::min(2 * slow.rest, limits_.most_rest);
    slow.rests_until = now + slow.rest;
    take_back(shard->first, slow);
  }
  drop_front();  // the first time of all, too, for then this worker learns what a batch takes here
  return MakeHere{};
}

}  // namespace ds::shard
