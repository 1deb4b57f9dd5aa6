#include "scheduler/ledger/history.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace ds::scheduler {
namespace {

using nlohmann::json;

/// A plan's events are written in one go.
constexpr std::int64_t kAtOnceMs = 1000;

/// What happens to many nodes at once, as where a rack loses its power.
constexpr std::array<std::string_view, 4> kOfManyNodes{"joined", "back", "lost", "stopped"};

json list_of(const std::deque<Happening>& happenings) {
  json list = json::array();
  for (const Happening& one : happenings) {
    list.push_back(
        {one.number, one.at_ms, one.what, one.job, one.by, one.why, one.value, one.workers, one.nodes});
    if (one.nodes_count > 0) list.back().push_back(one.nodes_count);
  }
  return list;
}

std::deque<Happening> happenings_from(const json& list) {
  std::deque<Happening> happenings;
  for (const auto& one : list) {
    Happening& read = happenings.emplace_back();
    one.at(0).get_to(read.number);
    one.at(1).get_to(read.at_ms);
    one.at(2).get_to(read.what);
    one.at(3).get_to(read.job);
    one.at(4).get_to(read.by);
    one.at(5).get_to(read.why);
    one.at(6).get_to(read.value);
    one.at(7).get_to(read.workers);
    one.at(8).get_to(read.nodes);
    if (one.size() > 9) one.at(9).get_to(read.nodes_count);
  }
  return happenings;
}

History::Page page_of(const std::deque<Happening>& all, std::uint64_t after) {
  const auto first = std::ranges::upper_bound(all, after, {}, &Happening::number);
  return {{first, all.end()}, false, 0};
}

/// A head that dies in a loop must not push all else out either.
bool is_one_of_many_starts(const std::deque<Happening>& recent, const Happening& now) {
  const auto is_start = [](const Happening& one) { return one.what == "head_started"; };
  constexpr auto kTold = History::kMaxNodes;
  return is_start(now) && recent.size() >= kTold &&
         std::all_of(recent.end() - static_cast<std::ptrdiff_t>(kTold), recent.end(), is_start);
}

}  // namespace

/// What ends a gang's workers is each one's node: that alone makes them no different things.
bool History::belong_together(const Happening& before, const Happening& now) {
  return before.workers > 0 && now.workers > 0 && before.what == now.what && before.job == now.job &&
         before.why == now.why && before.value == now.value && now.at_ms - before.at_ms <= kAtOnceMs &&
         before.at_ms <= now.at_ms;
}

/// Thousands of nodes that come with the cluster must not push all else out.
bool History::is_of_many_nodes(const Happening& now) const {
  if (!now.job.empty() || std::ranges::find(kOfManyNodes, now.what) == kOfManyNodes.end()) return false;
  const auto was_at_once = [&](const Happening& before) {
    return before.what == now.what && before.at_ms <= now.at_ms && now.at_ms - before.at_ms <= kAtOnceMs;
  };
  if (!recent_.empty() && recent_.back().nodes_count > 0) return was_at_once(recent_.back());
  return recent_.size() >= kMaxNodes &&
         std::all_of(recent_.end() - static_cast<std::ptrdiff_t>(kMaxNodes), recent_.end(), was_at_once);
}

void History::merge(Happening& into, const Happening& more) {
  into.number = more.number;  // whoever has read it before reads the whole of it now
  into.workers += more.workers;
  if (more.workers == 0) {
    into.nodes_count = std::max(into.nodes_count, 1U) + 1;
    if (into.why != more.why) into.why.clear();
  }
  for (const auto& [node, workers] : more.nodes) {
    const auto known = std::ranges::find(into.nodes, node, &std::pair<std::string, std::uint32_t>::first);
    if (known != into.nodes.end()) {
      known->second += workers;
    } else if (into.nodes.size() < kMaxNodes) {
      into.nodes.emplace_back(node, workers);
    }
  }
}

void History::add(Happening happening) {
  happening.number = next_++;
  if (is_one_of_many_starts(recent_, happening)) {
    recent_.back() = std::move(happening);  // which tells its number among the starts
    return;
  }
  const bool is_more =
      is_of_many_nodes(happening) || (!recent_.empty() && belong_together(recent_.back(), happening));
  if (!happening.job.empty() && happening.what != "submitted") {
    OfJob& own = jobs_[happening.job];
    if (is_more && !own.happenings.empty()) {
      merge(own.happenings.back(), happening);
    } else {
      own.happenings.push_back(happening);
    }
    if (own.happenings.size() > kMaxOfJob) {
      own.forgotten = own.happenings.front().number;
      own.happenings.pop_front();
    }
  }
  if (is_more) return merge(recent_.back(), happening);
  recent_.push_back(std::move(happening));
  if (recent_.size() <= kMaxRecent) return;
  forgotten_ = recent_.front().number;
  recent_.pop_front();
}

void History::end_job(const std::string& job) {
  ended_.push_back(job);
  if (ended_.size() <= kMaxEnded) return;
  jobs_.erase(ended_.front());
  ended_.pop_front();
}

void History::retry_job(const std::string& job) {
  std::erase(ended_, job);
}

void History::forget_job(const std::string& job) {
  if (jobs_.erase(job) > 0) std::erase(ended_, job);
}

History::Page History::recent(std::uint64_t after) const {
  auto page = page_of(recent_, after);
  page.has_gap = after < forgotten_;
  page.last = next_ - 1;
  return page;
}

History::Page History::of_job(std::string_view job, std::uint64_t after) const {
  Page page;
  if (const auto known = jobs_.find(job); known != jobs_.end()) {
    page = page_of(known->second.happenings, after);
    page.has_gap = after < known->second.forgotten;
  }
  page.last = next_ - 1;
  return page;
}

json History::to_json() const {
  return {{"next", next_}, {"forgotten", forgotten_}, {"recent", list_of(recent_)}, {"ended", ended_}};
}

json History::to_json(std::string_view job) const {
  const auto known = jobs_.find(job);
  if (known == jobs_.end()) return nullptr;
  return {known->second.forgotten, list_of(known->second.happenings)};
}

void History::take(const json& document) {
  document.at("next").get_to(next_);
  document.at("forgotten").get_to(forgotten_);
  recent_ = happenings_from(document.at("recent"));
  if (document.contains("jobs")) {
    for (const auto& [id, own] : document.at("jobs").items()) take_job(id, own);
  }
  for (const auto& job : document.at("ended")) ended_.push_back(job);
}

void History::take_job(const std::string& job, const json& document) {
  jobs_[job] = {happenings_from(document.at(1)), document.at(0)};
}

}  // namespace ds::scheduler
