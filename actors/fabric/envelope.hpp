#pragma once

#include <cstdint>
#include <vector>

#include "actors/fabric/fabric.hpp"

namespace ds::fabric {

/// What an actor frame is about.
enum class Kind : std::uint8_t {
  message = 1,  ///< for `target` from `source`; the message's content follows
  watch,        ///< tell `source.process` when `target` ends, under `number`
  down,         ///< the actor watched under `number` ended; an error follows
  exit,         ///< `source` ends and takes `target` along, or somebody wants it to; an error follows
  link,         ///< when `source` ends, `target` gets an exit message
  unlink,
};

/// The first thing in every actor frame.
struct Envelope {
  Kind kind = Kind::message;
  std::uint64_t target = 0;  ///< an `ActorAddress::actor` of the receiving process
  std::uint64_t number = 0;  ///< the message id, or the watch's number
  ActorAddress source;
  std::vector<ActorAddress> stages;  ///< where the response goes first; CAF's forwarding stack
};

template <class Inspector>
auto inspect(Inspector& f, Envelope& x) {
  return f(x.kind, x.target, x.number, x.source, x.stages);
}

}  // namespace ds::fabric
