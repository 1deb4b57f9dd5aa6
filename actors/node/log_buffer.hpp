#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ds::node {

/// Output of one worker on its way to the head: one piece under way at a time, the rest waits here.
///
/// Bounded: beyond `kMaxBytes` the oldest half is dropped and a line says how much, so that a node that the
/// head cannot take from neither grows nor stops its workers. No piece ends inside a UTF-8 character,
/// wherever the reads of the worker's output ended: the log keeps what is UTF-8 and escapes the rest, piece
/// by piece.
class LogBuffer {
 public:
  static constexpr std::size_t kMaxBytes = 1 << 20;
  static constexpr std::size_t kPieceBytes = 64 << 10;

  /// `whole_lines`: a line that has not ended waits for its end, unless it is longer than a piece.
  explicit LogBuffer(bool whole_lines = false) : whole_lines_(whole_lines) {}

  void add(std::string_view bytes);
  /// No more comes: a last line without an end goes too.
  void close() { is_closed_ = true; }

  /// The next piece (whole lines where possible), unless one is under way or there is nothing.
  std::optional<std::string> take();
  void on_taken() {
    under_way_.clear();
    busy_ = false;
  }

  /// The head is another one now: what was under way goes again.
  void on_new_head();

  bool is_drained() const { return !busy_ && waiting_.empty() && dropped_ == 0; }

 private:
  std::size_t next_size() const;
  std::string take_notice();

  std::string waiting_;
  std::string under_way_;
  bool busy_ = false;
  bool whole_lines_;
  bool is_closed_ = false;
  bool ends_line_ = true;    ///< what was taken last
  std::size_t dropped_ = 0;  ///< bytes before those that wait
};

}  // namespace ds::node
