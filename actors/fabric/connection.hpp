#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "actors/fabric/command_queue.hpp"
#include "actors/fabric/door.hpp"
#include "actors/fabric/frame_order.hpp"
#include "actors/fabric/handshake.hpp"
#include "actors/fabric/local_link.hpp"
#include "actors/fabric/ucx_worker.hpp"

namespace ds::fabric {

struct Peer;

/// One endpoint. On one host the rest is in its link, over UCX here.
struct Connection {
  enum class Side { client, server };

  EndpointId endpoint = 0;
  Side side = Side::client;
  bool proven = false;   ///< tied to a handshake in which both sides proved the secret
  std::string from;      ///< where it came from, for the log
  Handshake handshake;   ///< a client's
  Peer* peer = nullptr;  ///< a client's from the start, a server's once proven

  std::shared_ptr<LocalLink> link;   ///< none over UCX
  std::uint64_t peer_heartbeat = 0;  ///< of the link, when last looked at

  FrameNumbers numbers;            ///< of the frames out
  FrameOrder<FrameArrived> order;  ///< of the frames in
  std::set<std::uint64_t> posted;  ///< sequences of the frames given to UCX and not back yet

  Clock::time_point opened;
  Clock::time_point heard;
  Clock::time_point spoke;
  bool goodbye_sent = false;
};

/// Another process. There may be two connections when both sides connected at the same moment: we send on
/// one, always the same.
struct Peer {
  ProcessAddress address;               ///< id 0 until a handshake tells it
  std::vector<ProcessAddress> aliases;  ///< addresses without id under which we reached it too
  SessionId call = 0;                   ///< we are calling at its door; 0: we are not
  std::vector<EndpointId> connections;
  EndpointId sender = 0;          ///< the connection that we send on; 0: none is proven yet
  std::deque<SendCommand> queue;  ///< not posted yet
};

}  // namespace ds::fabric
