#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace ds::scheduler {

/// Whether a replica more finds room while a job's replicas move to another version, and so whether one of
/// the old ones has to leave first. One job; pure.
///
/// A slot that somebody has left is taken some moments later, or by another job: until one of the two is
/// known nobody else leaves for it.
class RolloutRoom {
 public:
  /// One more that finds no room for so long has none.
  static constexpr std::chrono::milliseconds kPatience{3'000};

  struct Sight {
    std::uint32_t workers = 0;  ///< those that are leaving not counted
    std::uint32_t wanted = 0;   ///< of all versions
    bool is_any_leaving = false;
    bool lacks_one = false;  ///< one more may come and has not
  };
  /// At every look, with a steady time.
  bool has_room(const Sight& now, std::chrono::milliseconds at) {
    // Somebody has come, or who left is not missed any more.
    if (gave_way_ && (now.workers > *gave_way_ || now.workers >= now.wanted)) {
      gave_way_.reset();
      lacks_since_.reset();
    }
    if (gave_way_ || now.is_any_leaving || !now.lacks_one) {
      lacks_since_.reset();
    } else if (!lacks_since_) {
      lacks_since_ = at;
    }
    return !lacks_since_ || at - *lacks_since_ < kPatience;
  }

  /// One has left first, and so many stay.
  void on_gave_way(std::uint32_t workers) { gave_way_ = workers; }

 private:
  std::optional<std::uint32_t> gave_way_;
  std::optional<std::chrono::milliseconds> lacks_since_;
};

}  // namespace ds::scheduler
