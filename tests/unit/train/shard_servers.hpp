#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "actors/parameters/link.hpp"
#include "actors/parameters/range_shard.hpp"
#include "actors/parameters/sparse_rows.hpp"
#include "actors/train/row_tables.hpp"
#include "actors/train/state_description.hpp"
#include "scheduler/spec/job_spec.hpp"

namespace ds::train {

/// The parameter servers of a job in this process: each range a shard, with a replica if wanted.
class ShardServers {
 public:
  ShardServers(const scheduler::JobSpec& spec, const std::string& description, std::uint32_t ranges,
               bool replicated = false)
      : spec_(spec) {
    const auto known = to_state_description(description);
    if (!known) throw std::runtime_error(known.error().message);
    std::uint64_t parameters = 0;
    for (const TensorSlot& slot : known->parameters) parameters += slot.size;
    ranges_ = parameters::cut_into_ranges(parameters, ranges);
    for (const parameters::KeyRange& range : ranges_) {
      const parameters::ShardOptions options{
          range,      spec.logical_ranks(), spec.strategy.consistency == "sync",
          replicated, spec.optimizer,       parameters::tables_in(range, row_tables(known->parameters))};
      shards_.emplace_back(options);
      if (replicated) replicas_.emplace_back(options);
    }
  }

  /// All links that there were have ended. With replicas, these take over.
  void begin_generation() {
    end_generation({ErrorCode::cancelled, "the generation ended", {}});
    std::lock_guard lock(mutex_);
    const parameters::Commit* newest = nullptr;
    for (const auto& shard : shards_) {
      const auto& last = shard.last_commit();
      if (last && (newest == nullptr || last->step > newest->step)) newest = &*last;
    }
    std::optional<parameters::Commit> commit;
    if (newest != nullptr) commit = *newest;
    if (!replicas_.empty()) std::swap(shards_, replicas_);
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      if (commit && shards_[i].applied() <= commit->step) {
        EXPECT_TRUE(shards_[i].roll_forward(*commit));
      }
      shards_[i].begin_generation(!replicas_.empty());
      if (!replicas_.empty() && shards_[i].has_state()) {
        EXPECT_TRUE(replicas_[i].restore(shards_[i].image()));
      }
    }
    ended_.reset();
    ++generation_;
  }

  void end_generation(const Error& why) {
    std::lock_guard lock(mutex_);
    if (!ended_) ended_ = why;
    answered_.notify_all();
  }

  bool has_state() {
    std::lock_guard lock(mutex_);
    return shards_.front().has_state();
  }

  std::vector<std::uint64_t> clocks(std::size_t range) {
    std::lock_guard lock(mutex_);
    return shards_[range].image().clocks;
  }

  std::uint64_t updates(std::size_t range) {
    std::lock_guard lock(mutex_);
    return shards_[range].image().updates;
  }

  /// By range.
  std::vector<Buffer> parameters() {
    std::lock_guard lock(mutex_);
    std::vector<Buffer> parameters;
    for (const auto& shard : shards_) parameters.push_back(shard.image().parameters);
    return parameters;
  }

  /// The most steps that a logical rank was ahead of the slowest when it began a share.
  std::uint64_t largest_lead() const { return largest_lead_; }
  std::size_t short_pushes() const { return short_pushes_; }
  std::size_t short_pulls() const { return short_pulls_; }
  /// Bytes of parameters that came with images.
  std::size_t image_bytes() const { return image_bytes_; }

  class ServerLink;
  std::shared_ptr<parameters::Link> link();
  /// One whose call number `calls`, from 1, is delivered to some ranges only and then fails: its worker dies.
  std::shared_ptr<parameters::Link> link_that_dies(std::size_t calls);

 private:
  friend class ServerLink;
  using Answers = std::map<parameters::Ticket, Result<parameters::Answer>>;

  /// The lock is held.
  parameters::Ticket send(std::uint32_t range, parameters::Request request) {
    watch(range, request);
    const parameters::Ticket ticket = next_ticket_++;
    carry_out(range, shards_[range].on_request(ticket, std::move(request)));
    return ticket;
  }

  void carry_out(std::uint32_t range, parameters::ShardActions actions) {
    for (parameters::ShardAction& action : actions) {
      if (auto* sent = std::get_if<parameters::SendAnswer>(&action)) {
        answers_.emplace(sent->ticket, std::move(sent->answer));
      } else {
        const auto& stored = std::get<parameters::SendToReplicas>(action);
        EXPECT_TRUE(replicas_[range].on_replica_update(stored.update));
        carry_out(range, shards_[range].on_stored(stored.number));
      }
    }
    answered_.notify_all();
  }

  void watch(std::uint32_t range, const parameters::Request& request) {
    if (const auto* push = std::get_if<parameters::PushSum>(&request)) {
      for (const auto& part : push->parts)
        short_pushes_ += part.gradient.form == parameters::Form::runs ? 1 : 0;
    }
    const auto* update = std::get_if<parameters::PushUpdate>(&request);
    if (update == nullptr || !shards_[range].has_state()) return;
    const auto clocks = shards_[range].image().clocks;
    const std::uint64_t slowest = *std::ranges::min_element(clocks);
    if (update->clock > slowest) largest_lead_ = std::max(largest_lead_, update->clock - 1 - slowest);
  }

  const scheduler::JobSpec spec_;
  std::vector<parameters::KeyRange> ranges_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::vector<parameters::RangeShard> shards_, replicas_;
  Answers answers_;
  std::optional<Error> ended_;
  std::uint64_t generation_ = 0;
  parameters::Ticket next_ticket_ = 1;
  std::uint64_t largest_lead_ = 0;
  std::size_t short_pushes_ = 0, short_pulls_ = 0, image_bytes_ = 0;
};

class ShardServers::ServerLink final : public parameters::Link {
 public:
  ServerLink(ShardServers& servers, std::optional<std::size_t> calls)
      : servers_(servers), generation_(servers.generation_), calls_(calls) {}

  const std::vector<parameters::KeyRange>& ranges() const override { return servers_.ranges_; }

  Result<std::vector<parameters::Answer>> call(std::vector<parameters::RangeRequest> requests) override {
    std::unique_lock lock(servers_.mutex_);
    const bool dies = calls_ && *calls_ == 1;
    if (calls_ && *calls_ > 0) --*calls_;
    std::vector<parameters::Ticket> tickets;
    for (auto& one : requests) {
      if (has_ended()) break;
      tickets.push_back(servers_.send(one.range, std::move(one.request)));
      if (dies) break;
    }
    if (dies) return fail(ErrorCode::unavailable, "the worker died");
    std::vector<parameters::Answer> answers;
    for (const parameters::Ticket ticket : tickets) {
      servers_.answered_.wait(lock, [&] { return has_ended() || servers_.answers_.count(ticket) != 0; });
      const auto found = servers_.answers_.find(ticket);
      if (found == servers_.answers_.end()) break;
      Result<parameters::Answer> answer = std::move(found->second);
      servers_.answers_.erase(found);
      if (!answer) return tl::unexpected(answer.error());
      if (const auto* pulled = std::get_if<parameters::Pulled>(&*answer))
        servers_.short_pulls_ += pulled->parameters.form == parameters::Form::runs ? 1 : 0;
      if (const auto* image = std::get_if<parameters::RangeImage>(&*answer))
        servers_.image_bytes_ += image->parameters.size();
      answers.push_back(*std::move(answer));
    }
    if (answers.size() == requests.size()) return answers;
    return tl::unexpected(why_.value_or(Error{ErrorCode::cancelled, "the generation ended", {}}));
  }

  void abort(const Error& why) override {
    std::lock_guard lock(servers_.mutex_);
    if (!why_) why_ = why;
    servers_.answered_.notify_all();
  }

 private:
  bool has_ended() const { return why_ || servers_.ended_ || servers_.generation_ != generation_; }

  ShardServers& servers_;
  const std::uint64_t generation_;
  std::optional<std::size_t> calls_;
  std::optional<Error> why_;
};

inline std::shared_ptr<parameters::Link> ShardServers::link() {
  return std::make_shared<ServerLink>(*this, std::nullopt);
}

inline std::shared_ptr<parameters::Link> ShardServers::link_that_dies(std::size_t calls) {
  return std::make_shared<ServerLink>(*this, calls);
}

}  // namespace ds::train
