#pragma once

#include <cstdint>

#include "storage/result.hpp"

namespace ds::train {

enum class PieceKind : std::uint8_t { micro_batch, evaluation_batch };

/// Looks on while a session computes. Each micro-batch of a step and each batch of an evaluation is a piece;
/// between two of them what is computed can be given up, and nothing of it is left.
class PieceWatch {
 public:
  virtual ~PieceWatch() = default;
  /// A piece comes next; an error gives the step or the evaluation up with it.
  virtual Result<void> begin(PieceKind kind) = 0;
  virtual void end() = 0;  ///< whatever came of the piece
};

/// One piece, from `begin` to the end of the scope. `watch` may be null: nobody looks on.
class Piece {
 public:
  Piece(PieceWatch* watch, PieceKind kind) : watch_(watch) {
    if (watch_ != nullptr) begun_ = watch_->begin(kind);
  }
  ~Piece() {
    if (watch_ != nullptr && begun_) watch_->end();
  }
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;

  const Result<void>& begun() const { return begun_; }

 private:
  PieceWatch* watch_;
  Result<void> begun_;
};

}  // namespace ds::train
