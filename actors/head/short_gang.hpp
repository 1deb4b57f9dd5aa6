#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace ds::head {

/// A training gang that lacks workers of its minimum keeps the others for two minutes, as long as others may
/// need to make room for those that it lacks; then it gives all its slots up, and waits for its whole
/// minimum. Times are those of a steady clock. Pure; a part of what the head knows of a job.
class ShortGang {
 public:
  using Moment = std::chrono::milliseconds;  ///< since any other
  static constexpr std::chrono::minutes kStays{2};

  /// What there is to know of the job when the time may be over.
  struct Now {
    bool is_short = false;  ///< it lacks some
    bool trains = false;    ///< with some that are told to leave, or with fewer than its owner wants by now
    bool is_backing_off = false;  ///< after a crash: nobody makes room for it meanwhile
    bool may_come_back = false;   ///< the head is new, and its workers may say hello yet
  };

  /// It has lost some, or is seen to lack some; it starts none for so long after a crash. Returns after how
  /// long to ask `gives_up`. Each time the two minutes begin anew.
  std::chrono::milliseconds on_short(Moment now, std::chrono::milliseconds backs_off);
  /// Once the time is over it says so once: who asks for an earlier loss later on has no say.
  bool gives_up(const Now& job, Moment now);

 private:
  std::optional<Moment> until_;
};

}  // namespace ds::head
