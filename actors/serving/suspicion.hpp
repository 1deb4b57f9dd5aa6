#pragma once

#include <cstdint>

namespace ds::serving {

/// What the deaths of replicas say of one request that they had.
///
/// When a replica dies, whatever it had may have killed it: what it ran when it died it can't tell any more.
/// So each of these runs alone from then on, and only after its replica has said so and been heard. A replica
/// that crashes then has died of it; one that something outside has ended has not, and the request may be
/// tried again. Hence a request that makes replicas crash costs two at most, and none is given up for what it
/// shared a batch, or a replica, with. Pure.
class Suspicion {
 public:
  /// It shares no batch, and its replica says when it begins.
  bool is_suspect() const { return is_suspect_; }
  /// It goes to a replica, which has not begun.
  void on_sent() { is_run_alone_ = false; }
  /// That replica is about to run it, and nothing else.
  void on_begun() { is_run_alone_ = is_suspect_; }
  /// That replica is gone, without an answer. False: it ran nothing else, so unless something outside has
  /// ended it the request is not to be tried again.
  bool on_death() {
    if (is_run_alone_) return false;
    is_suspect_ = true;
    return true;
  }

 private:
  bool is_suspect_ = false;    ///< a replica died that had it
  bool is_run_alone_ = false;  ///< where it is now
};

}  // namespace ds::serving
