#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "actors/fabric/lent_bytes.hpp"
#include "actors/train/batch_source.hpp"

namespace ds::shard {

/// Decides which of a worker's next micro-batches are asked of which data shard, and when it makes one
/// itself.
///
/// A window of what is expected next is asked for ahead of need: its size, in batches and bytes, is the
/// credit that the shards have, for they send nothing that was not asked for. Whoever makes a batch, its bits
/// are the same, so the first to come is taken and nobody has to agree with anybody: a lost, slow or refused
/// shard's batches are asked of the others, and without a usable shard the worker makes them.
///
/// A shard is slow when the trainer has waited for it longer than `patience` times what a batch takes here,
/// and nothing that it was asked for came from it meanwhile; or when the trainer has waited `kMostPatience`
/// times as long, whatever came; or when it lets the trainer wait `kMostWaits` times in a row while
/// another shard has nothing left to do for this worker. Then it is left alone for a while, doubled each
/// time.
///
/// Pure: time comes in, equal calls give equal answers. Not thread-safe.
class FetchPlan {
 public:
  using Time = std::chrono::nanoseconds;  ///< since any fixed moment
  using BytesOf = std::function<std::uint64_t(const train::MicroBatch&)>;

  struct Limits {
    std::size_t ahead = 16;  ///< batches in the window
    /// Of the window; a single batch may be larger. Half of what a shard may lend this process, so that
    /// batches of its host are not copied: the trainer may still hold one, and blocks are larger than what
    /// lies in them.
    std::uint64_t ahead_bytes = fabric::kMaxLentBytes / 2;
    int patience = 2;
    Time least_patience = std::chrono::milliseconds(20);
    Time most_patience = std::chrono::milliseconds(500);
    Time least_rest = std::chrono::milliseconds(250);
    Time most_rest = std::chrono::seconds(30);
  };
  static constexpr int kMostWaits = 8;
  static constexpr int kMostPatience = 8;

  /// What a shard is to be told.
  struct Ask {
    std::uint64_t shard = 0;
    bool forget = false;                    ///< first, all that this worker asked of it before
    std::vector<train::MicroBatch> wanted;  ///< rising; may be empty
    bool operator==(const Ask&) const = default;
  };

  FetchPlan(std::uint32_t logical_ranks, BytesOf bytes_of, Limits limits);

  /// As `BatchSource::expect`.
  void expect(const train::MicroBatch& first, train::BatchSource::Next next);
  /// All shards that there are now, by number.
  void set_shards(const std::vector<std::uint64_t>& shards);
  void on_lost(std::uint64_t shard);
  /// It will not be asked again as long as it is there.
  void refuse(std::uint64_t shard);

  /// What is to be said now, each thing once. To be called after every call that changes something.
  std::vector<Ask> take_asks(Time now);
  /// A shard has made a batch. False when nobody waits for it (any more).
  bool on_batch(std::uint64_t shard, const train::MicroBatch& which, data::Batch batch, Time now);

  /// The first expected batch that no shard can be asked for; from now on it counts as being made here.
  std::optional<train::MicroBatch> begin_here();
  void end_here(const train::MicroBatch& which, Result<data::Batch> batch);
  /// How long a batch took that was made here.
  void note_own_time(Time took);

  struct WaitUntil {
    Time time{};  ///< want it again then, or as soon as something has changed
  };
  struct MakeHere {};  ///< by who wants it; it is no longer in the window
  using Answer = std::variant<Result<data::Batch>, WaitUntil, MakeHere>;
  /// The trainer wants this one, and nothing before it any more.
  Answer want(const train::MicroBatch& which, Time now);

  std::size_t window() const { return entries_.size(); }
  std::uint64_t window_bytes() const { return bytes_; }
  /// Those that can be asked: there, neither refused nor resting.
  std::vector<std::uint64_t> usable(Time now) const;

 private:
  struct Shard {
    bool refused = false;
    Time rests_until{0}, rest{0};
    Time heard{0};                      ///< when it last sent something that it was asked for
    std::set<train::MicroBatch> asked;  ///< that it has not sent yet
    int waits = 0;                      ///< in a row
  };
  enum class State : std::uint8_t { open, asked, here, ready };
  struct Entry {
    train::MicroBatch which;
    std::uint64_t bytes = 0;
    State state = State::open;
    std::uint64_t shard = 0;  ///< that was asked, or has made it; 0: none
    std::optional<Result<data::Batch>> batch;
  };
  struct Waiting {
    train::MicroBatch which;
    Time since{0};
    bool operator==(const Waiting&) const = default;
  };

  Entry* find(const train::MicroBatch& which);
  void extend();
  void drop_front();
  void take_back(std::uint64_t shard, Shard& entry);
  bool another_is_idle(std::uint64_t shard, Time now) const;
  bool is_late(const Entry& entry, Time now);
  Time late_at(const Shard& shard) const;
  Time patience() const;

  const std::uint32_t logical_ranks_;
  const BytesOf bytes_of_;
  const Limits limits_;
  train::BatchSource::Next next_;
  std::optional<train::MicroBatch> coming_;  ///< first behind the window
  std::deque<Entry> entries_;                ///< the window, rising
  std::uint64_t bytes_ = 0;
  std::map<std::uint64_t, Shard> shards_;
  std::set<std::uint64_t> to_forget_;       ///< shards that are to be told so
  std::vector<std::uint64_t> owners_;       ///< by logical rank; empty: there is no usable shard
  std::vector<std::uint64_t> assigned_to_;  ///< the usable shards that `owners_` was made for
  std::optional<Time> own_time_;            ///< what a batch takes here, smoothed
  std::optional<Waiting> waiting_;
};

}  // namespace ds::shard
