#pragma once

#include <caf/actor_control_block.hpp>
#include <caf/attachable.hpp>
#include <caf/error.hpp>
#include <caf/mailbox_element.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

#include "actors/fabric/borrowed_thread.hpp"
#include "actors/fabric/command_queue.hpp"
#include "actors/fabric/envelope.hpp"
#include "actors/fabric/fabric.hpp"
#include "actors/fabric/pending_requests.hpp"

namespace ds::fabric {

class MessageReader;
class Proxy;

/// Real actors' numbers start here; below are the published ones.
inline constexpr std::uint64_t kFirstActorNumber = 1024;

/// What the fabric and its proxies share. Proxies hold it weakly: it ends with the fabric.
struct Fabric::State : std::enable_shared_from_this<Fabric::State> {
  State(caf::actor_system& actor_system, std::shared_ptr<Transport> frames)
      : system(actor_system),
        transport(std::move(frames)),
        progress_thread(std::make_shared<BorrowedThread>(actor_system)) {}

  // local actors (fabric.cpp)
  ActorAddress export_actor(const caf::strong_actor_ptr& actor);
  caf::strong_actor_ptr find_local(std::uint64_t number);
  bool is_self(const ProcessAddress& process) const;

  // remote actors (fabric.cpp)
  caf::strong_actor_ptr resolve(const ActorAddress& address);
  caf::strong_actor_ptr make_proxy(const ActorAddress& address, std::uint64_t number, bool alive);
  void kill(const caf::strong_actor_ptr& proxy, std::uint64_t number, const caf::error& reason);
  void on_lost(const ProcessAddress& peer);
  void close();

  // frames out (fabric_frames.cpp); false when the frame could not be queued
  bool send(const ProcessAddress& to, const Envelope& envelope, const caf::error& reason);
  bool send(const ProcessAddress& to, const Envelope& envelope);
  bool send_parts(const ProcessAddress& to, std::vector<Buffer> parts, Stream stream);

  // frames in (fabric_frames.cpp)
  void on_frame(const ProcessAddress& from, const std::vector<Buffer>& parts);
  caf::error read_frame(const ProcessAddress& from, const std::vector<Buffer>& parts);
  caf::error on_message(const Envelope& envelope, MessageReader& reader);
  void deliver(const caf::strong_actor_ptr& target, caf::mailbox_element_ptr message);
  void on_watch(const ProcessAddress& from, const Envelope& envelope);
  void on_down(const ProcessAddress& from, std::uint64_t number, const caf::error& reason);
  void on_exit(const Envelope& envelope, const caf::error& reason);
  void on_link(const Envelope& envelope, bool unlink);
  void on_watched_exit(caf::actor_id target, const caf::error& reason);
  void tell_down(const ProcessAddress& watcher, std::uint64_t number, const caf::error& reason);

  caf::actor_system& system;
  const std::shared_ptr<Transport> transport;
  const std::shared_ptr<BorrowedThread> progress_thread;  ///< as far as it runs actors
  PendingRequests pending;
  std::uint64_t lost_token = 0;

  struct Remote {
    ActorAddress address;
    caf::strong_actor_ptr proxy;
  };
  std::mutex mutex;
  bool closed = false;
  std::map<std::uint64_t, caf::strong_actor_ptr> published;
  std::unordered_map<std::uint64_t, caf::weak_actor_ptr> exports;
  std::size_t sweep_exports_at = 64;
  std::map<std::pair<PeerKey, std::uint64_t>, std::uint64_t>
      proxy_numbers;  ///< process and actor to the proxy's number
  std::unordered_map<std::uint64_t, Remote> proxies;
  std::uint64_t next_number = 1;
  struct Watch {
    ProcessAddress watcher;
    caf::actor_id target = 0;
  };
  std::map<std::pair<std::uint64_t, std::uint64_t>, Watch>
      watched;                             ///< by process id, under the number that it chose
  std::set<caf::actor_id> watched_actors;  ///< that carry our functor: one each, however many watch
};

}  // namespace ds::fabric
