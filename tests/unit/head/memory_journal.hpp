#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/state/journal.hpp"

namespace ds::head::test {

/// One head's journal in memory: a record, or a piece of a snapshot, becomes durable when the test says so,
/// and what has not may be lost with the head, from the end.
class MemoryJournal final : public storage::StateJournal {
 public:
  /// A whole snapshot, of what was recovered and so many events after that have led to.
  struct Snapshot {
    std::vector<std::string> pieces;
    std::size_t after = 0;
  };

  explicit MemoryJournal(Recovered recovered) : recovered_(std::move(recovered)) {
    for (const auto& event : recovered_.events) bytes_ += event.size();
  }

  Recovered take_recovered() override { return std::exchange(recovered_, {}); }
  void append(std::vector<std::string> events, OnDurable on_durable) override {
    if (!is_closed_) waiting_.push_back({std::move(events), std::nullopt, std::move(on_durable)});
  }
  void compact(SnapshotPiece piece, OnDurable on_durable) override {
    if (!is_closed_) waiting_.push_back({{}, std::move(piece), std::move(on_durable)});
  }
  Result<void> check_room() const override { return {}; }
  Result<void> check_progress() const override { return {}; }
  std::uint64_t bytes_since_snapshot() const override { return bytes_; }

  std::size_t waiting() const { return waiting_.size(); }

  /// The oldest that waits is durable from now on; its head hears of it if it is still there.
  std::vector<std::string> sync_one() {
    Record record = std::move(waiting_.front());
    waiting_.pop_front();
    if (record.piece) take(*std::move(record.piece));
    durable_ += record.events.size();
    for (const auto& event : record.events) bytes_ += event.size();
    if (!is_closed_) record.on_durable({});
    return std::move(record.events);
  }
  /// Its head is dead: nothing more is taken from it, and it hears nothing.
  void close() { is_closed_ = true; }

  /// The last one that got whole since the last call.
  std::optional<Snapshot> take_snapshot() { return std::exchange(whole_, std::nullopt); }
  /// A snapshot has begun and is not whole.
  bool is_compacting() const { return !begun_.pieces.empty(); }

 private:
  struct Record {
    std::vector<std::string> events;
    std::optional<SnapshotPiece> piece;
    OnDurable on_durable;
  };

  void take(SnapshotPiece piece) {
    if (piece.is_first) {
      begun_ = {{}, durable_};
      bytes_before_ = bytes_;
    }
    begun_.pieces.push_back(std::move(piece.text));
    if (!piece.is_last) return;
    bytes_ -= bytes_before_;
    whole_ = std::exchange(begun_, {});
  }

  Recovered recovered_;
  std::deque<Record> waiting_;
  bool is_closed_ = false;
  std::size_t durable_ = 0;                     ///< events
  std::uint64_t bytes_ = 0, bytes_before_ = 0;  ///< since the last snapshot, and before the one under way
  Snapshot begun_;
  std::optional<Snapshot> whole_;
};

}  // namespace ds::head::test
