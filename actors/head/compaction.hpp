#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "scheduler/ledger/ledger_snapshot.hpp"
#include "storage/state/journal.hpp"

namespace ds::head {

/// When the journal is compacted, and with which pieces of a snapshot. One piece is made at a time, and
/// between them is done what there is to do: a head with a million jobs stands still for none of them. Pure.
class Compaction {
 public:
  using Piece = storage::StateJournal::SnapshotPiece;

  /// A snapshot costs what there is, so it is made when `least_bytes` of events have come, and as many as the
  /// last one, which had `snapshot_bytes`.
  Compaction(std::uint64_t least_bytes, std::size_t piece_bytes, std::uint64_t snapshot_bytes);

  bool is_due(std::uint64_t bytes_since_snapshot) const;
  /// The first piece of what the ledger is now. Until the end `before` is to hear of each event before that
  /// is applied.
  Piece begin(const scheduler::Ledger& ledger, std::uint64_t bytes_since_snapshot);
  void before(const scheduler::Event& event);
  /// The next piece, once the last one is written; none: that was the end.
  std::optional<Piece> next();
  /// The last one could not be written: it is tried again when as much again has come.
  void give_up(std::uint64_t bytes_since_snapshot);

 private:
  Piece make_piece(bool is_first);
  void end();

  const std::uint64_t least_bytes_;
  const std::size_t piece_bytes_;
  std::optional<scheduler::LedgerSnapshot> snapshot_;  ///< that is being made
  std::uint64_t snapshot_bytes_;                       ///< of that so far, or of the last one
  std::uint64_t former_bytes_ = 0;                     ///< of the last one, while one is made
  std::uint64_t due_at_ = 0;                           ///< bytes of events since the last one
};

}  // namespace ds::head
