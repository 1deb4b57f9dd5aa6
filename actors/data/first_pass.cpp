#include "actors/data/first_pass.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace ds::data {
namespace {

constexpr std::uint64_t kRangeRecords = 4096;

/// Adds up the words of ranges in the order of the records, whoever read them when: counts with a bound
/// depend on it. Every range must be added.
class WordsInOrder {
 public:
  explicit WordsInOrder(WordCounts all) : all_(std::move(all)) {}

  /// Waits for the ranges before this one. Leaves `words` empty.
  void add(std::uint64_t range, WordCounts& words) {
    std::unique_lock lock(mutex_);
    turn_.wait(lock, [&] { return next_ == range; });
    all_.take(words);
    ++next_;
    turn_.notify_all();
  }
  WordCounts take() { return std::move(all_); }

 private:
  std::mutex mutex_;
  std::condition_variable turn_;
  std::uint64_t next_ = 0;
  WordCounts all_;
};

/// One thread's share.
struct Share {
  FirstPass pass;
  std::optional<Error> error;
  std::uint64_t error_at = 0;
  std::optional<Error> first_bad;

  /// False: stop.
  bool take(const Source& source, const FirstPassPlan& plan, Sample& sample, std::uint64_t record) {
    auto taken = source.read_label(record, sample);
    if (taken) {
      if (plan.has_label) pass.labels.add(sample.fields.back());
      for (const std::size_t field : plan.text_fields) pass.words.add_text(sample.fields[field].text);
      return true;
    }
    if (plan.on_bad_record.skip && is_bad_record(taken.error()) &&
        pass.bad.size() <= plan.on_bad_record.most) {
      if (pass.bad.empty()) first_bad = taken.error();
      pass.bad.push_back(record);
      return true;
    }
    error = taken.error();
    error_at = record;
    return false;
  }
};

}  // namespace

bool is_bad_record(const Error& error) {
  return error.code == ErrorCode::invalid_argument || error.code == ErrorCode::data_loss;
}

Error too_many_bad_records(std::uint64_t most, const Error& error) {
  return {ErrorCode::invalid_argument,
          fmt::format("more than {} bad records, which is what on_bad_record allows; one of them: {}", most,
                      error.message),
          error.hint};
}

Result<FirstPass> take_first_pass(const Source& source, const FirstPassPlan& plan) {
  const WordCounts none(plan.ngrams, plan.most_words);
  std::vector<Share> shares(std::max<std::uint32_t>(plan.threads, 1));
  for (Share& share : shares) share.pass.words = none;  // of one range at a time
  WordsInOrder words(none);
  std::atomic<std::uint64_t> next{0};
  std::atomic<bool> failed{false};
  const std::uint64_t size = source.size();
  const auto work = [&](Share& share) {
    Sample sample;
    // Ranges are taken in order and those taken are finished, so the first error of all is among those found.
    while (!failed) {
      const std::uint64_t begin = next.fetch_add(kRangeRecords);
      if (begin >= size) return;
      const std::uint64_t end = std::min(size, begin + kRangeRecords);
      std::uint64_t record = begin;
      while (record < end && share.take(source, plan, sample, record)) ++record;
      if (record < end) failed = true;
      words.add(begin / kRangeRecords, share.pass.words);
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < shares.size(); ++i) others.emplace_back(work, std::ref(shares[i]));
    work(shares[0]);
  }
  const Share* first = nullptr;
  for (const Share& share : shares) {
    if (share.error && (first == nullptr || share.error_at < first->error_at)) first = &share;
  }
  if (first != nullptr && !(plan.on_bad_record.skip && is_bad_record(*first->error)))
    return tl::unexpected(*first->error);
  if (first != nullptr) return tl::unexpected(too_many_bad_records(plan.on_bad_record.most, *first->error));
  FirstPass all = std::move(shares[0].pass);
  all.words = words.take();
  std::optional<Error> bad = shares[0].first_bad;
  for (std::size_t i = 1; i < shares.size(); ++i) {
    all.labels.add(shares[i].pass.labels);
    all.bad.insert(all.bad.end(), shares[i].pass.bad.begin(), shares[i].pass.bad.end());
    if (!bad) bad = shares[i].first_bad;
  }
  std::ranges::sort(all.bad);
  if (all.bad.size() > plan.on_bad_record.most)
    return tl::unexpected(too_many_bad_records(plan.on_bad_record.most, *bad));
  return all;
}

}  // namespace ds::data
