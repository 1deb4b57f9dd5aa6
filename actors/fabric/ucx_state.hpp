#pragma once

#include <ucp/api/ucp.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "actors/fabric/socket_address.hpp"
#include "actors/fabric/ucx_worker.hpp"

namespace ds::fabric {

// For the sources of `UcxWorker` alone: what UCX's callbacks and the worker's calls share.

inline constexpr unsigned kFrameMessage = 1;         ///< a whole frame: its header, its parts
inline constexpr unsigned kPieceMessage = 2;         ///< u64 offset, the frame's header; a piece of its bytes
inline constexpr std::size_t kUnprovenLimit = 1024;  ///< the largest handshake frame is far smaller

// A large frame goes in pieces, a few at a time, so that what is small waits for these few at most. UCX
// fetches a piece (rendezvous), so that one that was sent has arrived: the sockets' buffers hold no queue.
inline constexpr std::size_t kPieceBytes = std::size_t{128} << 10;
inline constexpr int kPiecesOnTheWay = 2;
inline constexpr std::size_t kMostAssemblies = 4;  // more frames than this are never begun at a time

Error ucx_error(const std::string& what, ucs_status_t status);

/// The argument of an endpoint's error handler; lives until the endpoint is closed for good.
struct ErrorTarget {
  void* state = nullptr;
  EndpointId endpoint = 0;
};

struct UcxWorker::State {
  // What UCX holds while it sends: header, parts and the list that points at them.
  struct Sending {
    State* state = nullptr;
    EndpointId endpoint = 0;
    FrameType type{};
    std::uint64_t sequence = 0;
    std::vector<std::byte> header;
    std::vector<Buffer> parts;
    std::vector<ucp_dt_iov_t> list;
    std::shared_ptr<void> ticket;
    std::size_t bytes = 0;
    std::size_t posted = 0;  ///< bytes that went out in pieces
    int pieces = 0;          ///< of them on the way
  };
  struct Piece {
    Sending* frame = nullptr;
    std::vector<std::byte> header;
    std::vector<ucp_dt_iov_t> list;
  };
  struct Receiving {
    State* state = nullptr;
    EndpointId endpoint = 0;
    FrameHeader header;
    std::shared_ptr<std::byte[]> block;
    std::size_t bytes = 0;
    bool piece = false;
  };
  /// A frame that comes in pieces.
  struct Assembly {
    FrameHeader header;
    std::shared_ptr<std::byte[]> block;
    std::size_t bytes = 0;
    std::size_t missing = 0;
    std::vector<bool> begun;  ///< by piece
  };
  struct Endpoint {
    ucp_ep_h handle = nullptr;
    std::unique_ptr<ErrorTarget> target;
    std::size_t receive_limit = kUnprovenLimit;
    std::size_t receiving = 0;
    std::deque<Sending*> bulk;                     ///< frames that have pieces to post
    int pieces = 0;                                ///< on the way
    std::map<std::uint64_t, Assembly> assemblies;  ///< by sequence number
  };
  struct Closing {
    ucs_status_ptr_t request = nullptr;
    std::unique_ptr<ErrorTarget> target;
  };

  ucp_context_h context = nullptr;
  ucp_worker_h worker = nullptr;
  ucp_listener_h listener = nullptr;
  int listener_fd = -1;   // UCX's, to make it deaf
  bool refusing = false;  // whoever still comes over UCX
  int event_fd = -1;
  SocketAddress host;
  std::uint16_t port = 0;  // of the listener
  EndpointId next_endpoint = 1;
  bool lanes_logged = false;
  std::unordered_map<EndpointId, Endpoint> endpoints;
  std::unordered_map<ucp_ep_h, EndpointId> by_handle;
  std::unordered_set<Sending*> sending;
  std::unordered_set<Piece*> sending_pieces;
  std::unordered_set<Receiving*> receiving;
  std::vector<Closing> closing;
  std::vector<ucp_conn_request_h> waiting;
  std::vector<UcxEvent> events;

  Result<void> open(const std::string& wanted_host);
  Result<void> open_context(const SocketAddress& address);
  Result<void> open_worker();
  Result<void> listen();
  Result<EndpointId> create_endpoint(ucp_ep_params_t& params);
  void accept_waiting();
  void log_lanes(ucp_ep_h handle);
  void broken(EndpointId endpoint, Error why);
  void finish(Sending* frame);
  void finish(Receiving* frame, ucs_status_t status);
  void post(Sending* frame, ucp_ep_h handle);
  void push_pieces(EndpointId endpoint);
  bool post_piece(Sending* frame, ucp_ep_h handle);
  void piece_sent(Piece* piece, ucs_status_t status);
  void abandon(Endpoint& endpoint);
  EndpointId sender_of(const ucp_am_recv_param_t* param) const;
  Result<void> begin_piece(Endpoint& endpoint, FrameHeader header, std::uint64_t offset, std::size_t length);
  void piece_arrived(EndpointId endpoint, std::uint64_t sequence, std::size_t bytes);
  ucs_status_t fetch(Receiving* frame, void* data, std::byte* to);
  ucs_status_t arrived(EndpointId endpoint, FrameHeader header, void* data, std::size_t length,
                       bool announced);
  void reap_closing();
  ~State();

  static void on_connection(ucp_conn_request_h request, void* self);
  static void on_error(void* target, ucp_ep_h handle, ucs_status_t status);
  static void on_sent(void* request, ucs_status_t status, void* frame);
  static void on_piece_sent(void* request, ucs_status_t status, void* piece);
  static ucs_status_t on_piece(void* self, const void* header, std::size_t header_length, void* data,
                               std::size_t length, const ucp_am_recv_param_t* param);
  static void on_received(void* request, ucs_status_t status, std::size_t length, void* frame);
  static ucs_status_t on_message(void* self, const void* header, std::size_t header_length, void* data,
                                 std::size_t length, const ucp_am_recv_param_t* param);
};

}  // namespace ds::fabric
