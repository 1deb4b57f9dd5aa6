#include "actors/head/compaction.hpp"

#include <algorithm>
#include <utility>

namespace ds::head {

Compaction::Compaction(std::uint64_t least_bytes, std::size_t piece_bytes, std::uint64_t snapshot_bytes)
    : least_bytes_(least_bytes), piece_bytes_(piece_bytes), snapshot_bytes_(snapshot_bytes) {
  end();
}

bool Compaction::is_due(std::uint64_t bytes_since_snapshot) const {
  return !snapshot_ && bytes_since_snapshot >= due_at_;
}

Compaction::Piece Compaction::begin(const scheduler::Ledger& ledger, std::uint64_t bytes_since_snapshot) {
  const auto expected_bytes = snapshot_bytes_ + bytes_since_snapshot;
  snapshot_.emplace(ledger);
  former_bytes_ = std::exchange(snapshot_bytes_, 0);
  auto piece = make_piece(true);
  piece.expected_bytes = expected_bytes;
  return piece;
}

void Compaction::before(const scheduler::Event& event) {
  if (snapshot_) snapshot_->before(event);
}

std::optional<Compaction::Piece> Compaction::next() {
  if (!snapshot_->is_whole()) return make_piece(false);
  end();
  return std::nullopt;
}

void Compaction::give_up(std::uint64_t bytes_since_snapshot) {
  snapshot_bytes_ = std::max(snapshot_bytes_, former_bytes_);
  end();
  due_at_ += bytes_since_snapshot;
}

Compaction::Piece Compaction::make_piece(bool is_first) {
  Piece piece;
  piece.text = snapshot_->next_piece(piece_bytes_);
  piece.is_first = is_first;
  piece.is_last = snapshot_->is_whole();
  snapshot_bytes_ += piece.text.size();
  return piece;
}

void Compaction::end() {
  snapshot_.reset();
  due_at_ = std::max(least_bytes_, snapshot_bytes_);
}

}  // namespace ds::head
