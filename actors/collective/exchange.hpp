#pragma once

#include <cstdint>
#include <optional>

#include "actors/fabric/buffer.hpp"
#include "storage/result.hpp"

namespace ds::collective {

/// Moves buffers between the ranks of one generation of a gang. Made anew for each generation. Thread-safe.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual std::uint32_t rank() const = 0;
  virtual std::uint32_t world_size() const = 0;

  /// Queues `bytes` for rank `to`; never waits for it.
  virtual Result<void> send(std::uint32_t to, std::uint64_t tag, Buffer bytes) = 0;

  /// Waits for what `from` sent with `tag`, each sent buffer being received once. Fails once `abort` was
  /// called or a member was lost.
  virtual Result<Buffer> receive(std::uint32_t from, std::uint64_t tag) = 0;

  /// Makes every present and later call fail with `why`. The first reason stays. Other members need not
  /// notice.
  virtual void abort(Error why) = 0;

  /// Like `abort`, and tells the other members, whose calls fail with `why` too.
  virtual void abort_everywhere(Error why) = 0;

  /// Why calls fail, once they do. Cheap enough to ask a million times a second while all is well.
  virtual std::optional<Error> aborted() const = 0;
};

}  // namespace ds::collective
