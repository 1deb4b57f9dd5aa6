#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace ds::scheduler {

/// What a `serve` job does for one of the tags, or versions, that it names.
struct ServedLine {
  std::string tag;            ///< that it follows; empty: this version for ever
  std::uint32_t share = 100;  ///< of the requests, in hundredths
  std::uint64_t version = 0;  ///< its replicas are to be of
  std::uint64_t good = 0;     ///< the last that was proved, or the first ready; 0: none yet
  std::uint64_t refused = 0;  ///< it should serve this one, which could not be served; 0: there is none
  std::string trouble = {};   ///< why
  // Since then, and not proved; 0: none.
  std::uint64_t ready = 0;   ///< the last that was ready
  std::uint64_t before = 0;  ///< the one that was ready before it

  /// What it goes back to of its own: what served last; 0: none, or not known to serve.
  std::uint64_t former() const {
    if (version == good) return good;
    if (ready != 0 && ready != version) return ready;
    return before != 0 && before != version ? before : good;
  }
  /// The same where what was proved comes before what served last, as heads did before.
  std::uint64_t former_proved() const { return good != 0 ? good : former(); }
  void move_to(std::uint64_t other) {
    version = other;
    if (version == good) ready = before = 0;
  }
  /// A replica of its version is there.
  void on_ready() {
    if (version == good || version == ready) return;
    before = ready;
    ready = version;
  }
  void on_proved() {
    good = version;
    ready = before = 0;
  }
  /// It cannot be gone back to.
  void forget(std::uint64_t other) {
    if (ready == other) ready = std::exchange(before, 0);
    if (before == other) before = 0;
  }
  bool operator==(const ServedLine&) const = default;
};

}  // namespace ds::scheduler
