#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "actors/fabric/command_queue.hpp"
#include "actors/fabric/handshake.hpp"
#include "actors/fabric/ucx_worker.hpp"

namespace ds::fabric {

using Clock = std::chrono::steady_clock;

struct Peer;

/// One endpoint and how far its handshake and its counters are.
struct Connection {
  enum class Side { client, server };
  /// greeting: nothing was heard; challenged: the server's proof is out; proven: both sides have proven themselves.
  enum class Phase { greeting, challenged, proven };

  EndpointId endpoint = 0;
  Side side = Side::client;
  Phase phase = Phase::greeting;
  std::string from;        ///< where it came from, for the log
  ProcessAddress remote;   ///< what the other end says it is; to be trusted once proven
  std::uint64_t wanted = 0;
  Handshake handshake;
  Peer* peer = nullptr;    ///< a client's from the start, a server's once proven

  std::uint64_t next_sent = 0;       ///< sequence of the next frame out
  std::uint64_t next_delivered = 0;  ///< sequence of the next frame to handle
  std::map<std::uint64_t, FrameArrived> early;  ///< arrived before one that comes first
  std::size_t posted_frames = 0;     ///< given to UCX and not back yet
  std::size_t posted_bytes = 0;

  Clock::time_point opened;
  Clock::time_point heard;
  Clock::time_point spoke;
  bool goodbye_sent = false;
};

/// Another process. There may be two connections when both sides connected at the same moment: we send on one, always the same.
struct Peer {
  ProcessAddress address;               ///< id 0 until a handshake tells it
  std::vector<ProcessAddress> aliases;  ///< addresses without id under which we reached it too
  std::vector<EndpointId> connections;
  EndpointId sender = 0;                ///< the connection that we send on; 0: none is proven yet
  std::deque<SendCommand> queue;        ///< not posted yet
};

}  // namespace ds::fabric
