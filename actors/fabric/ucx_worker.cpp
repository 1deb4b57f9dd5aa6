#include "actors/fabric/ucx_worker.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <ucs/config/global_opts.h>

#include <cstdlib>
#include <cstring>

#include "actors/fabric/own_sockets.hpp"
#include "actors/fabric/ucx_state.hpp"

namespace ds::fabric {
namespace {

constexpr std::size_t kMaxWaitingConnections = 64;  // accepted but not yet fetched as events

}  // namespace

Error ucx_error(const std::string& what, ucs_status_t status) {
  ErrorCode code = ErrorCode::unavailable;
  if (status == UCS_ERR_NO_MEMORY || status == UCS_ERR_NO_RESOURCE) code = ErrorCode::resource_exhausted;
  return Error{code, fmt::format("{}: {}", what, ucs_status_string(status)), {}};
}

// ---- opening ------------------------------------------------------------------------------------

Result<void> UcxWorker::State::open(const std::string& wanted_host) {
  // UCX reports each lost peer at its own level on standard output; we report it ourselves.
  if (std::getenv("UCX_LOG_LEVEL") == nullptr) ucs_global_opts_set_value("LOG_LEVEL", "fatal");
  auto address = to_socket_address(wanted_host, 0);
  if (!address) return tl::unexpected(address.error());
  host = *address;
  return open_context(host).and_then([&] { return open_worker(); });
}

Result<void> UcxWorker::State::open_context(const SocketAddress& address) {
  // UCX 1.13 prefers a device's IPv4 address and then copies an IPv6 one into memory of its size; it listens
  // to the environment only.
  if (address.get()->sa_family == AF_INET6) ::setenv("UCX_TCP_AF_PRIO", "inet6", 0);
  ucp_config_t* config = nullptr;
  if (auto status = ucp_config_read(nullptr, nullptr, &config); status != UCS_OK) {
    return tl::unexpected(ucx_error("reading UCX's configuration", status));
  }
  // Peer-failure mode excludes shared memory anyway; naming the lanes keeps surprises out.
  if (std::getenv("UCX_TLS") == nullptr) ucp_config_modify(config, "TLS", "tcp,self");
  if (std::getenv("UCX_RNDV_THRESH") == nullptr) {
    // Whole frames at once, pieces by rendezvous.
    ucp_config_modify(config, "RNDV_THRESH", std::to_string(kLargestWhole + 1).c_str());
  }
  if (std::getenv("UCX_MAX_RNDV_LANES") == nullptr) ucp_config_modify(config, "MAX_RNDV_LANES", "1");
  const std::string device = device_of(address);
  if (std::getenv("UCX_NET_DEVICES") == nullptr && !device.empty()) {
    ucp_config_modify(config, "NET_DEVICES", device.c_str());
  }
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  auto status = ucp_init(&params, config, &context);
  ucp_config_release(config);
  if (status != UCS_OK) return tl::unexpected(ucx_error("starting UCX", status));
  return {};
}

Result<void> UcxWorker::State::open_worker() {
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SINGLE;
  if (auto status = ucp_worker_create(context, &params, &worker); status != UCS_OK) {
    return tl::unexpected(ucx_error("creating the UCX worker", status));
  }
  ucp_am_handler_param_t handler{};
  handler.field_mask =
      UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
  handler.arg = this;
  for (const auto& [id, receiver] : {std::pair{kFrameMessage, &on_message}, {kPieceMessage, &on_piece}}) {
    handler.id = id;
    handler.cb = receiver;
    if (auto status = ucp_worker_set_am_recv_handler(worker, &handler); status != UCS_OK) {
      return tl::unexpected(ucx_error("registering the receiver of frames", status));
    }
  }
  if (auto status = ucp_worker_get_efd(worker, &event_fd); status != UCS_OK) {
    return tl::unexpected(ucx_error("asking UCX for its event descriptor", status));
  }
  return {};
}

Result<void> UcxWorker::State::listen() {
  ucp_listener_params_t params{};
  params.field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER;
  params.sockaddr.addr = host.get();
  params.sockaddr.addrlen = host.length;
  params.conn_handler.cb = &on_connection;
  params.conn_handler.arg = this;
  if (auto status = ucp_listener_create(worker, &params, &listener); status != UCS_OK) {
    listener = nullptr;
    return tl::unexpected(ucx_error(fmt::format("listening on {}", host_of(host.storage)), status));
  }
  ucp_listener_attr_t attr{};
  attr.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR;
  if (auto status = ucp_listener_query(listener, &attr); status != UCS_OK) {
    return tl::unexpected(ucx_error("asking UCX for the listener's port", status));
  }
  port = port_of(attr.sockaddr);
  listener_fd = find_listener(port);
  if (listener_fd < 0) {
    spdlog::warn("fabric: UCX's listener on port {} was not found; it stays open to strangers", port);
  }
  return {};
}

// ---- endpoints ----------------------------------------------------------------------------------

Result<EndpointId> UcxWorker::State::create_endpoint(ucp_ep_params_t& params) {
  const EndpointId id = next_endpoint++;
  auto target = std::make_unique<ErrorTarget>(ErrorTarget{this, id});
  params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLER | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE;
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.cb = &on_error;
  params.err_handler.arg = target.get();
  ucp_ep_h handle = nullptr;
  if (auto status = ucp_ep_create(worker, &params, &handle); status != UCS_OK) {
    return tl::unexpected(ucx_error("connecting", status));
  }
  Endpoint& endpoint = endpoints[id];
  endpoint.handle = handle;
  endpoint.target = std::move(target);
  by_handle[handle] = id;
  return id;
}

void UcxWorker::State::on_connection(ucp_conn_request_h request, void* self) {
  auto& state = *static_cast<State*>(self);
  if (state.waiting.size() >= kMaxWaitingConnections) {
    ucp_listener_reject(state.listener, request);
    return;
  }
  state.waiting.push_back(request);
}

void UcxWorker::State::accept_waiting() {
  for (ucp_conn_request_h request : std::exchange(waiting, {})) {
    if (refusing) {
      ucp_listener_reject(listener, request);
      continue;
    }
    ucp_conn_request_attr_t attr{};
    attr.field_mask = UCP_CONN_REQUEST_ATTR_FIELD_CLIENT_ADDR;
    std::string from =
        ucp_conn_request_query(request, &attr) == UCS_OK ? host_of(attr.client_address) : "unknown";
    ucp_ep_params_t params{};
    params.field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST;
    params.conn_request = request;
    if (auto endpoint = create_endpoint(params)) {
      events.emplace_back(EndpointAccepted{*endpoint, std::move(from)});
    } else {
      spdlog::debug("fabric: could not accept a connection from {}: {}", from, endpoint.error().message);
    }
  }
}

void UcxWorker::State::broken(EndpointId endpoint, Error why) {
  events.emplace_back(EndpointBroken{endpoint, std::move(why)});
}

void UcxWorker::State::on_error(void* target, ucp_ep_h, ucs_status_t status) {
  const EndpointId endpoint = static_cast<ErrorTarget*>(target)->endpoint;
  auto& state = *static_cast<State*>(static_cast<ErrorTarget*>(target)->state);
  if (state.endpoints.count(endpoint) != 0) state.broken(endpoint, ucx_error("connection lost", status));
}

void UcxWorker::State::log_lanes(ucp_ep_h handle) {
  if (std::exchange(lanes_logged, true) || !spdlog::should_log(spdlog::level::debug)) return;
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* stream = open_memstream(&text, &size);
  if (stream == nullptr) return;
  ucp_ep_print_info(handle, stream);
  std::fclose(stream);
  spdlog::debug("fabric: UCX chose these lanes:\n{}", std::string_view(text, size));
  std::free(text);
}

// ---- the calls ----------------------------------------------------------------------------------

UcxWorker::UcxWorker(std::unique_ptr<State> state) : state_(std::move(state)) {}
UcxWorker::~UcxWorker() = default;

Result<std::unique_ptr<UcxWorker>> UcxWorker::open(const std::string& host) {
  auto state = std::make_unique<State>();
  if (auto opened = state->open(host); !opened) return tl::unexpected(opened.error());
  return std::unique_ptr<UcxWorker>(new UcxWorker(std::move(state)));
}

Result<std::uint16_t> UcxWorker::listen() {
  if (state_->listener == nullptr) {
    if (auto listening = state_->listen(); !listening) return tl::unexpected(listening.error());
  } else if (state_->listener_fd >= 0) {
    undeafen(state_->listener_fd);
  }
  return state_->port;
}

void UcxWorker::stop_listening() {
  if (state_->listener_fd >= 0 && !deafen(state_->listener_fd)) {
    spdlog::warn("fabric: UCX's listener on port {} stays open to strangers: {}", state_->port,
                 std::strerror(errno));
  }
}

int UcxWorker::event_fd() const {
  return state_->event_fd;
}

Result<EndpointId> UcxWorker::connect(const std::string& host, std::uint16_t port) {
  auto address = to_socket_address(host, port);
  if (!address) return tl::unexpected(address.error());
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR;
  params.flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER;
  params.sockaddr.addr = address->get();
  params.sockaddr.addrlen = address->length;
  return state_->create_endpoint(params);
}

void UcxWorker::set_receive_limit(EndpointId endpoint, std::size_t bytes) {
  auto found = state_->endpoints.find(endpoint);
  if (found == state_->endpoints.end()) return;
  found->second.receive_limit = bytes;
  state_->log_lanes(found->second.handle);
}

std::size_t UcxWorker::receiving_bytes(EndpointId endpoint) const {
  auto found = state_->endpoints.find(endpoint);
  return found == state_->endpoints.end() ? 0 : found->second.receiving;
}

void UcxWorker::close(EndpointId endpoint) {
  auto found = state_->endpoints.find(endpoint);
  if (found == state_->endpoints.end()) return;
  state_->abandon(found->second);
  ucp_ep_h handle = found->second.handle;
  auto target = std::move(found->second.target);
  state_->endpoints.erase(found);
  state_->by_handle.erase(handle);
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  auto request = ucp_ep_close_nbx(handle, &param);
  if (UCS_PTR_IS_PTR(request)) state_->closing.push_back({request, std::move(target)});
}

void UcxWorker::State::reap_closing() {
  std::erase_if(closing, [](const Closing& one) {
    if (ucp_request_check_status(one.request) == UCS_INPROGRESS) return false;
    ucp_request_free(one.request);
    return true;
  });
}

bool UcxWorker::progress() {
  const bool worked = ucp_worker_progress(state_->worker) != 0;
  if (!state_->waiting.empty()) state_->accept_waiting();
  if (!state_->closing.empty()) state_->reap_closing();
  return worked;
}

std::vector<UcxEvent> UcxWorker::take_events() {
  return std::exchange(state_->events, {});
}

bool UcxWorker::arm() {
  return ucp_worker_arm(state_->worker) == UCS_OK;
}

void UcxWorker::settle(std::chrono::milliseconds limit) {
  stop_listening();
  state_->refusing = true;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  auto busy = [&] {
    return !state_->sending.empty() || !state_->receiving.empty() || !state_->closing.empty();
  };
  // A connection that UCX accepted, but whose first bytes are still to come, must be gone before the listener
  // is destroyed: UCX's own thread would follow a pointer to it.
  auto half_open = [&] { return state_->listener != nullptr && count_accepted(state_->port) != 0; };
  while ((busy() || half_open()) && std::chrono::steady_clock::now() < deadline) progress();
}

UcxWorker::State::~State() {
  for (ucp_conn_request_h request : waiting) ucp_listener_reject(listener, request);
  if (listener != nullptr) ucp_listener_destroy(listener);
  if (worker != nullptr) ucp_worker_destroy(worker);
  if (context != nullptr) ucp_cleanup(context);
  // Only now is UCX done with memory whose requests never completed.
  for (Sending* frame : sending) delete frame;
  for (Piece* piece : sending_pieces) delete piece;
  for (Receiving* frame : receiving) delete frame;
}

}  // namespace ds::fabric
