#pragma once

#include <algorithm>
#include <chrono>

namespace ds::node {

/// Whether programs of ours start as forks of a fork server, and when that is waited for no longer. Pure.
///
/// A fork server that ends before it has answered one order has failed. After so many failures in a row there
/// is none any more: each would cost the next program the time that it takes to fail.
class ForkServerWatch {
 public:
  using Moment = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kStartLimit{20};  ///< a busy machine needs seconds to load libtorch
  static constexpr std::chrono::seconds kAnswerLimit{5};  ///< to the next order; milliseconds are usual
  static constexpr int kMostFailures = 3;

  bool is_there() const { return state_ != State::absent; }
  bool is_ready() const { return state_ == State::ready; }
  bool is_given_up() const { return failures_ >= kMostFailures; }
  bool may_start() const { return !is_there() && !is_given_up(); }

  void on_started(Moment now) {
    state_ = State::starting;
    started_ = now;
  }
  void on_ready() { state_ = State::ready; }
  void on_answer(Moment now) {
    failures_ = 0;
    last_answer_ = now;
  }
  /// It ended, or was ended, or could not be started.
  void on_ended() {
    state_ = State::absent;
    ++failures_;
  }
  /// It says that its process can't be forked, and no other could.
  void on_refusal() {
    state_ = State::absent;
    failures_ = kMostFailures;
  }

  /// When it is late with its start, or with the order that was sent first of those without an answer. It
  /// takes orders one after another: the last answer to any of them shows that it gets on.
  /// `sent`: the epoch when there is none; the greatest moment when nothing is waited for.
  Moment late_at(Moment sent) const {
    if (state_ == State::starting) return started_ + kStartLimit;
    if (state_ != State::ready || sent == Moment{}) return Moment::max();
    return std::max(sent, last_answer_) + kAnswerLimit;
  }

 private:
  enum class State { absent, starting, ready };
  State state_ = State::absent;
  Moment started_, last_answer_;
  int failures_ = 0;
};

}  // namespace ds::node
