#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/state/journal.hpp"

namespace ds::head::test {

/// One head's journal in memory: a record becomes durable when the test says so, and what has not may be lost
/// with the head, from the end.
class MemoryJournal final : public storage::StateJournal {
 public:
  explicit MemoryJournal(Recovered recovered) : recovered_(std::move(recovered)) {}

  Recovered take_recovered() override { return std::exchange(recovered_, {}); }
  void append(std::vector<std::string> events, OnDurable on_durable) override {
    if (!is_closed_) waiting_.push_back({std::move(events), std::move(on_durable)});
  }
  void compact(std::string, OnDurable on_durable) override { on_durable({}); }
  Result<void> check_room() const override { return {}; }
  Result<void> check_progress() const override { return {}; }
  std::uint64_t bytes_since_snapshot() const override { return 0; }

  std::size_t waiting() const { return waiting_.size(); }

  /// The oldest that waits is durable from now on; its head hears of it if it is still there.
  std::vector<std::string> sync_one() {
    Record record = std::move(waiting_.front());
    waiting_.pop_front();
    if (!is_closed_) record.on_durable({});
    return std::move(record.events);
  }
  /// Its head is dead: nothing more is taken from it, and it hears nothing.
  void close() { is_closed_ = true; }

 private:
  struct Record {
    std::vector<std::string> events;
    OnDurable on_durable;
  };
  Recovered recovered_;
  std::deque<Record> waiting_;
  bool is_closed_ = false;
};

}  // namespace ds::head::test
