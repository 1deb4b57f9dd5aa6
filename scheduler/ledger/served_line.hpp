#pragma once

#include <cstdint>
#include <string>

namespace ds::scheduler {

/// What a `serve` job does for one of the tags, or versions, that it names.
struct ServedLine {
  std::string tag;            ///< that it follows; empty: this version for ever
  std::uint32_t share = 100;  ///< of the requests, in hundredths
  std::uint64_t version = 0;  ///< its replicas are to be of
  std::uint64_t good =
      0;  ///< that it goes back to: the last that was proved, or the first ready; 0: none yet
  std::uint64_t refused = 0;  ///< it should serve this one, which could not be served; 0: there is none
  std::string trouble = {};   ///< why
  /// Its first that was ready, while nothing of it is `good`, since another part's was ready before; 0: none
  std::uint64_t first_ready = 0;

  /// What it goes back to of its own; 0: none, or not known to serve.
  std::uint64_t former() const { return good != 0 || first_ready == version ? good : first_ready; }
  bool operator==(const ServedLine&) const = default;
};

}  // namespace ds::scheduler
