#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/fabric/fabric.hpp"
#include "actors/parameters/requests.hpp"
#include "storage/result.hpp"

namespace ds::messages {

/// A server stopped and says what it holds; its answer to `PauseGang`.
struct ServerPaused {
  std::uint64_t worker = 0, generation = 0;
  std::vector<parameters::HeldRange> held;
  std::vector<parameters::Commit> last_commit;  ///< sync: of its newest step; at most one
  bool operator==(const ServerPaused&) const = default;
};

struct RangeHolders {
  std::vector<fabric::ActorAddress> servers;  ///< the primary first
  bool operator==(const RangeHolders&) const = default;
};

/// Gives a server its place in a generation, as `JoinGang` does for workers; answered with `GangJoined`.
///
/// It makes the step `commit` where it only prepared it, fetches the ranges that it is to hold and has not,
/// and serves from then on. `fresh`: all ranges begin without a state.
struct JoinServers {
  std::string job;
  std::uint64_t generation = 0;
  std::uint64_t parameters = 0;                  ///< elements over all ranges
  std::vector<parameters::RowTable> row_tables;  ///< of the whole vector
  bool fresh = false;
  std::uint64_t step = 0;                  ///< sync: every range is brought to it
  std::vector<parameters::Commit> commit;  ///< that leads there; at most one
  std::vector<RangeHolders> ranges;
  std::vector<fabric::ActorAddress>
      copies;  ///< by range: whom to fetch it from; 0: it is there, or not its own
  bool operator==(const JoinServers&) const = default;
};

/// Comes before a `parameters::Request` of a worker, in one message.
struct RangeCall {
  std::uint64_t generation = 0;  ///< requests of another than the server's are dropped
  std::uint32_t range = 0;
  std::uint64_t ticket = 0;  ///< of the asker, for the answer
  fabric::ActorAddress asker;
  bool operator==(const RangeCall&) const = default;
};

/// Comes before a `parameters::Answer`, or `RangeRefused`.
struct RangeAnswer {
  std::uint64_t generation = 0, ticket = 0;
  bool operator==(const RangeAnswer&) const = default;
};
struct RangeRefused {
  std::uint8_t code = 0;  ///< `ErrorCode`
  std::string message, hint;
  bool operator==(const RangeRefused&) const = default;
};

/// Comes before a `parameters::ReplicaUpdate`; answered with `ReplicaStored`.
struct ReplicaCall {
  std::uint64_t generation = 0;
  std::uint32_t range = 0;
  std::uint64_t number = 0;
  bool operator==(const ReplicaCall&) const = default;
};
struct ReplicaStored {
  std::uint64_t generation = 0;
  std::uint32_t range = 0;
  std::uint64_t number = 0;
  bool operator==(const ReplicaStored&) const = default;
};

/// A request of one server to another of the same generation, which answers once it has joined it.
struct FetchRange {
  std::uint64_t generation = 0;
  std::uint32_t range = 0;
  bool operator==(const FetchRange&) const = default;
};
struct FetchedRange {
  std::vector<parameters::RangeImage> image;  ///< one, or none
  std::string error;                          ///< why none
  bool operator==(const FetchedRange&) const = default;
};

template <class I>
auto inspect(I& f, ServerPaused& x) {
  return f(x.worker, x.generation, x.held, x.last_commit);
}
template <class I>
auto inspect(I& f, RangeHolders& x) {
  return f(x.servers);
}
template <class I>
auto inspect(I& f, JoinServers& x) {
  return f(x.job, x.generation, x.parameters, x.row_tables, x.fresh, x.step, x.commit, x.ranges, x.copies);
}
template <class I>
auto inspect(I& f, RangeCall& x) {
  return f(x.generation, x.range, x.ticket, x.asker);
}
template <class I>
auto inspect(I& f, RangeAnswer& x) {
  return f(x.generation, x.ticket);
}
template <class I>
auto inspect(I& f, RangeRefused& x) {
  return f(x.code, x.message, x.hint);
}
template <class I>
auto inspect(I& f, ReplicaCall& x) {
  return f(x.generation, x.range, x.number);
}
template <class I>
auto inspect(I& f, ReplicaStored& x) {
  return f(x.generation, x.range, x.number);
}
template <class I>
auto inspect(I& f, FetchRange& x) {
  return f(x.generation, x.range);
}
template <class I>
auto inspect(I& f, FetchedRange& x) {
  return f(x.image, x.error);
}

}  // namespace ds::messages
