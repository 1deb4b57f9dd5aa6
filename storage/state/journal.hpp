#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "storage/result.hpp"

namespace ds::storage {

/// The durable, ordered log of everything the head has decided. Format: `storage/FORMAT.md`.
///
/// Records carry a sequence number and a hash chain; a high-water mark outside the database tells a journal
/// that lost records from one that never had them. Any damaged byte makes `open` fail with `data_loss` and
/// the file's name. A directory written by a newer version is refused with `unsupported`. Thread-safe.
class StateJournal {
 public:
  struct Recovered {
    std::vector<std::string> snapshot;  ///< the pieces that `compact` was last given; empty: none
    std::vector<std::string> events;    ///< all events after the state that they tell, oldest first
  };

  /// A part of a snapshot: of what all events before its first piece have led to.
  struct SnapshotPiece {
    std::string text;
    bool is_first = true, is_last = true;
    /// Of the first: about how many bytes all will have. That they have room is known before any is written.
    std::uint64_t expected_bytes = 0;
  };

  /// Called on the writer's thread, in the order of the appends, exactly once each.
  using OnDurable = std::function<void(Result<void>)>;

  /// Opens or creates the journal in `directory`, which only one process may hold open.
  static Result<std::unique_ptr<StateJournal>> open(const std::filesystem::path& directory);
  virtual ~StateJournal() = default;

  /// What was found on disk; moved out, so the second call returns nothing.
  virtual Recovered take_recovered() = 0;

  /// Appends events as one atomic record, in the order of the calls, and returns at once. Records that wait
  /// together are committed by one synced write. While less than `kLeastFreeBytes` of disk are free they wait
  /// for more, and go on by themselves. Fails through `on_durable` with `resource_exhausted` when 65,536
  /// records wait, or when it is closed meanwhile; after any failed sync every later append fails.
  virtual void append(std::vector<std::string> events, OnDurable on_durable) = 0;

  /// Replaces all events appended before the first piece by a snapshot, whose pieces come one after another
  /// with events in between: atomically with respect to crashes, when the last one is durable. Until then
  /// nothing is replaced, and after a crash those that are there count for nothing. A first piece gives up
  /// the snapshot before it that has not ended. Whoever waits for each piece (`on_durable` says of one that
  /// is not the last only that it is written) holds one in memory; how large it is is not bounded here. Fails
  /// through `on_durable`, and no event with it, when less than the reserve (64 MiB) of disk would be left,
  /// and else as `append` does: the pieces so far are gone then, and no further one must come.
  virtual void compact(SnapshotPiece piece, OnDurable on_durable) = 0;

  /// `resource_exhausted` when less than the reserve of disk is free: what is there may go on for a while,
  /// and nothing new should come. Any thread.
  virtual Result<void> check_room() const = 0;

  /// `resource_exhausted` when so little disk is free that appended records wait for more, or would. Any
  /// thread.
  virtual Result<void> check_progress() const = 0;

  /// Bytes of events since the last whole snapshot, to decide when to compact.
  virtual std::uint64_t bytes_since_snapshot() const = 0;
};

}  // namespace ds::storage
