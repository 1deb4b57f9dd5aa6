#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>

#include "actors/fabric/link_ends.hpp"

namespace ds::fabric {

/// Mapped blocks of a peer that nobody looks at are kept up to here, the least lately used thrown away first.
inline constexpr std::size_t kMaxIdleMappings = std::size_t{128} << 20;

/// The blocks of one peer that are mapped into this process, for reading only. Not thread-safe; what it gives
/// out may be used and let go anywhere.
class LentMemory {
 public:
  using Mapping = std::shared_ptr<const std::span<const std::byte>>;

  /// The block that `place` names, mapped; from the cache when it was seen before. Fails when the peer has no
  /// such block, or it is not sealed, or smaller than it says.
  Result<Mapping> map(const PartPlace& place, const LinkEnds& ends);

 private:
  struct Entry {
    std::uint64_t block = 0;
    Mapping mapping;
  };
  void shrink();

  std::list<Entry> entries_;  ///< the latest used first
};

}  // namespace ds::fabric
