#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "actors/fabric/command_queue.hpp"
#include "actors/fabric/connection.hpp"
#include "actors/fabric/door.hpp"
#include "actors/fabric/handler_table.hpp"
#include "actors/fabric/link_poller.hpp"
#include "actors/fabric/local_lanes.hpp"
#include "actors/fabric/ucx_worker.hpp"

namespace ds::fabric {

/// The transport's protocol: entry, queues, order, heartbeats and loss. Lives on the progress thread; the
/// counters can be read from anywhere.
class Courier {
 public:
  Courier(const TransportOptions& options, Door& door, LocalLanes& lanes, UcxWorker& ucx,
          CommandQueue& commands, HandlerTable& handlers);
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;

  void on_command(Command command, Clock::time_point now);
  void on_event(UcxEvent event, Clock::time_point now);
  void on_door(DoorEvent event, Clock::time_point now);
  void on_lane(LaneEvent event, Clock::time_point now);
  /// Deals with links that ended; true when there was one.
  bool on_link_endings();
  /// The links; any thread may poll them.
  LinkPoller& links() { return poller_; }
  /// Sends due heartbeats and gives up who fell silent. Call it at least every quarter of the heartbeat
  /// interval.
  void on_tick(Clock::time_point now);

  /// From here on nothing is delivered or reported; what is queued still goes out, then a goodbye.
  void begin_shutdown();
  /// While shutting down: says goodbye over links that have sent all they had.
  void wind_down_links();
  /// Everything went out and every peer said goodbye too, or is gone.
  bool drained() const { return connections_.empty() && peers_.empty() && nameless_.empty(); }
  void close_all();

  TransportCounters counters() const;

 private:
  // entry
  void on_entered(const DoorEntered& event, Clock::time_point now);
  void on_opened(const DoorOpened& event, Clock::time_point now);
  void on_shut(const DoorShut& event);
  void on_accepted(EndpointAccepted event, Clock::time_point now);
  void on_enter(Connection& connection, const FrameArrived& frame);
  void on_welcome(Connection& connection, const FrameArrived& frame);
  void on_lane_entering(const LaneEntering& event, Clock::time_point now);
  void on_lane_welcomed(const LaneWelcomed& event);
  void on_lane_broken(const LaneBroken& event);
  Result<Peer*> let_in(const Enter& enter, Proof& entered);
  Result<EndpointId> connect_to(const DoorOpened& server, const std::string& host);
  void drain_links(const Peer* peer);
  void begin_link(Connection& connection, LinkEnds ends);
  void attach_link(Peer& peer);
  void admit(Connection& connection);
  void expect_nobody_after(Clock::time_point now);

  // frames
  void on_arrived(FrameArrived event, Clock::time_point now);
  void handle(Connection& connection, FrameArrived& frame);
  void on_data(Connection& connection, FrameArrived& frame);
  void on_send(SendCommand command, Clock::time_point now);
  void post(Connection& connection, FrameType type, std::vector<std::byte> body, Clock::time_point now);
  void pump(Peer& peer);
  void say_goodbye(Connection& connection);
  void wind_down(Peer& peer);
  bool is_drained(const Connection& connection) const;

  // peers
  Peer& peer_for(const ProcessAddress& address);
  Peer* find_peer(const ProcessAddress& address);
  Peer* find_caller(SessionId call);
  Peer& name_peer(Peer& nameless, const ProcessAddress& address);
  void connect(Peer& peer, Clock::time_point now);
  void break_connection(EndpointId endpoint, const Error& why);
  void refuse(EndpointId endpoint, const Error& why);
  void lose(Peer& peer, const Error& why);
  Connection* find(EndpointId endpoint);
  Connection& add_connection(EndpointId endpoint, Connection::Side side, std::string from,
                             Clock::time_point now);
  void close_endpoint(EndpointId endpoint);

  struct Expected {
    ProcessAddress client;
    Handshake handshake;
    Clock::time_point deadline;
  };

  const TransportOptions options_;
  const ProcessAddress self_;
  Door& door_;
  LocalLanes& lanes_;
  UcxWorker& ucx_;
  CommandQueue& commands_;
  HandlerTable& handlers_;
  bool shutting_down_ = false;
  Clock::time_point last_tick_;
  std::unordered_map<EndpointId, std::unique_ptr<Connection>> connections_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Peer>> peers_;
  std::map<PeerKey, std::unique_ptr<Peer>> nameless_;  ///< reached by an address without id, not yet proven
  std::map<PeerKey, std::uint64_t> aliases_;
  std::map<Nonce, Expected>
      expected_;  ///< proved themselves at the door and are about to come in, by their nonce
  LinkSurroundings surroundings_;
  LinkPoller poller_;
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<std::uint64_t> delivered_{0};
};

}  // namespace ds::fabric
