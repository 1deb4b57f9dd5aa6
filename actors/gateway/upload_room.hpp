#pragma once

// Private to actors/gateway: who gives room up when large bodies have too little of it; its source has also
// what sessions do about their room.

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

namespace ds::gateway {

/// A body of which a part has come.
struct Upload {
  std::size_t room = 0;                          ///< that it has taken
  std::chrono::steady_clock::time_point fed_at;  ///< when it had last come on
};

/// The places of those that give up their room for `missing` bytes of another's: of those that have not come
/// on since `still_since` the ones that have stood for longest. None where all of these have less than that:
/// who gives way should not do so for nothing. Pure.
std::vector<std::size_t> choose_who_gives_room(std::span<const Upload> uploads, std::size_t missing,
                                               std::chrono::steady_clock::time_point still_since);

}  // namespace ds::gateway
