#pragma once

#include <ucp/api/ucp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "actors/fabric/socket_address.hpp"
#include "actors/fabric/ucx_worker.hpp"

namespace ds::fabric {

// For the sources of `UcxWorker` alone: what UCX's callbacks and the worker's calls share.

inline constexpr unsigned kFrameMessage = 1;         ///< our only kind of active message
inline constexpr std::size_t kUnprovenLimit = 1024;  ///< the largest handshake frame is far smaller

Error ucx_error(const std::string& what, ucs_status_t status);

/// The argument of an endpoint's error handler; lives until the endpoint is closed for good.
struct ErrorTarget {
  void* state = nullptr;
  EndpointId endpoint = 0;
};

struct Endpoint {
  ucp_ep_h handle = nullptr;
  std::unique_ptr<ErrorTarget> target;
  std::size_t receive_limit = kUnprovenLimit;
  std::size_t receiving = 0;
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
  };
  struct Receiving {
    State* state = nullptr;
    EndpointId endpoint = 0;
    FrameHeader header;
    std::shared_ptr<std::byte[]> block;
    std::size_t bytes = 0;
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
  ucs_status_t arrived(EndpointId endpoint, FrameHeader header, void* data, std::size_t length,
                       bool announced);
  void reap_closing();
  ~State();

  static void on_connection(ucp_conn_request_h request, void* self);
  static void on_error(void* target, ucp_ep_h handle, ucs_status_t status);
  static void on_sent(void* request, ucs_status_t status, void* frame);
  static void on_received(void* request, ucs_status_t status, std::size_t length, void* frame);
  static ucs_status_t on_message(void* self, const void* header, std::size_t header_length, void* data,
                                 std::size_t length, const ucp_am_recv_param_t* param);
};

}  // namespace ds::fabric
