#include "actors/shard/shard_feed.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "actors/shard/received_batch.hpp"

namespace ds::shard {

using train::MicroBatch;

ShardFeed::ShardFeed(const train::BatchMaker& maker, ShardLine& line, Tell tell, Memory memory,
                     FetchPlan::Limits limits)
    : maker_(maker),
      line_(line),
      tell_(std::move(tell)),
      memory_(memory),
      plan_(
          maker.logical_ranks(), [this](const MicroBatch& which) { return maker_.bytes_of(which); }, limits),
      thread_([this] { run(); }) {
  line_.attach(this);
}

ShardFeed::~ShardFeed() {
  line_.detach();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

FetchPlan::Time ShardFeed::now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

void ShardFeed::say_what_is_due() {
  for (const FetchPlan::Ask& ask : plan_.take_asks(now())) tell_(ask);
  changed_.notify_all();
}

void ShardFeed::expect(const MicroBatch& first, Next next) {
  std::lock_guard lock(mutex_);
  plan_.expect(first, std::move(next));
  say_what_is_due();
}

Result<data::Batch> ShardFeed::take(const MicroBatch& wanted) {
  std::unique_lock lock(mutex_);
  for (;;) {
    FetchPlan::Answer answer = plan_.want(wanted, now());
    say_what_is_due();
    if (const auto* wait = std::get_if<FetchPlan::WaitUntil>(&answer)) {
      changed_.wait_until(lock, std::chrono::steady_clock::time_point(wait->time));
      continue;
    }
    if (auto* batch = std::get_if<Result<data::Batch>>(&answer)) return std::move(*batch);
    ++counts_.made_here;
    lock.unlock();
    return make_timed(wanted);
  }
}

Result<data::Batch> ShardFeed::make_timed(const MicroBatch& which) {
  const FetchPlan::Time begin = now();
  Result<data::Batch> batch = maker_.make(which);
  const FetchPlan::Time took = now() - begin;
  std::lock_guard lock(mutex_);
  plan_.note_own_time(took);
  return batch;
}

void ShardFeed::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto which = plan_.begin_here();
    if (!which) {
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    Result<data::Batch> batch = make_timed(*which);
    lock.lock();
    plan_.end_here(*which, std::move(batch));
    ++counts_.made_here;
    changed_.notify_all();
  }
}

void ShardFeed::set_shards(const std::vector<std::uint64_t>& shards) {
  std::lock_guard lock(mutex_);
  plan_.set_shards(shards);
  say_what_is_due();
}

void ShardFeed::on_lost(std::uint64_t shard) {
  std::lock_guard lock(mutex_);
  plan_.on_lost(shard);
  say_what_is_due();
}

void ShardFeed::on_batch(std::uint64_t shard, const MicroBatch& which, Result<data::Batch> batch) {
  if (batch) {
    if (const auto fits = check_received(*batch, which, maker_); !fits) batch = tl::unexpected(fits.error());
  }
  if (batch) settle_memory(*batch, memory_ == Memory::copied);
  std::lock_guard lock(mutex_);
  if (batch) {
    counts_.from_shards += plan_.on_batch(shard, which, *std::move(batch), now()) ? 1 : 0;
  } else {
    // What is wrong with the data this worker will find itself, when it makes that batch.
    spdlog::warn("shard {} is not asked any more: {}", shard, batch.error().message);
    plan_.refuse(shard);
  }
  say_what_is_due();
}

ShardFeed::Counts ShardFeed::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

// ---- the line -------------------------------------------------------------------------------------

void ShardLine::attach(ShardFeed* feed) {
  std::lock_guard lock(mutex_);
  feed_ = feed;
  feed_->set_shards(shards_);
}

void ShardLine::detach() {
  std::lock_guard lock(mutex_);
  feed_ = nullptr;
}

void ShardLine::set_shards(std::vector<std::uint64_t> shards) {
  std::lock_guard lock(mutex_);
  shards_ = std::move(shards);
  if (feed_ != nullptr) feed_->set_shards(shards_);
}

void ShardLine::lose(std::uint64_t shard) {
  std::lock_guard lock(mutex_);
  std::erase(shards_, shard);
  if (feed_ != nullptr) feed_->on_lost(shard);
}

std::optional<ShardFeed::Counts> ShardLine::counts() {
  std::lock_guard lock(mutex_);
  if (feed_ == nullptr) return {};
  return feed_->counts();
}

void ShardLine::bring(std::uint64_t shard, const MicroBatch& which, Result<data::Batch> batch) {
  std::lock_guard lock(mutex_);
  if (feed_ != nullptr) feed_->on_batch(shard, which, std::move(batch));
}

}  // namespace ds::shard
