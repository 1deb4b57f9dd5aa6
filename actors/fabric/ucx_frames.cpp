#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "actors/fabric/block_pool.hpp"
#include "actors/fabric/ucx_state.hpp"
#include "actors/fabric/wire.hpp"

namespace ds::fabric {
namespace {

Result<std::shared_ptr<std::byte[]>> take(std::size_t bytes) {
  try {
    return take_block(bytes);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::resource_exhausted, fmt::format("no memory for a frame of {} bytes", bytes));
  }
}

}  // namespace

// ---- sending ------------------------------------------------------------------------------------

void UcxWorker::State::finish(Sending* frame) {
  events.emplace_back(FrameSent{frame->endpoint, frame->type, frame->sequence});
  sending.erase(frame);
  delete frame;
}

void UcxWorker::State::on_sent(void* request, ucs_status_t, void* frame) {
  auto* done = static_cast<Sending*>(frame);
  done->state->finish(done);
  ucp_request_free(request);
}

void UcxWorker::send(EndpointId endpoint, const FrameHeader& header, std::vector<Buffer> parts,
                     std::shared_ptr<void> ticket) {
  auto found = state_->endpoints.find(endpoint);
  if (found == state_->endpoints.end()) return;
  auto* frame = new State::Sending;
  frame->state = state_.get();
  frame->endpoint = endpoint;
  frame->type = header.type;
  frame->sequence = header.number.sequence;
  frame->header = encode_frame_header(header);
  frame->parts = std::move(parts);
  frame->ticket = std::move(ticket);
  for (const Buffer& part : frame->parts) {
    frame->bytes += part.size();
    if (!part.empty()) frame->list.push_back({const_cast<std::byte*>(part.bytes().data()), part.size()});
  }
  state_->sending.insert(frame);
  if (frame->bytes <= kLargestWhole) return state_->post(frame, found->second.handle);
  found->second.bulk.push_back(frame);
  state_->push_pieces(endpoint);
}

namespace {

/// Sets what is sent from `list`, which must stay where it is.
std::pair<const void*, std::size_t> as_data(const std::vector<ucp_dt_iov_t>& list,
                                            ucp_request_param_t& param) {
  if (list.empty()) return {nullptr, 0};
  if (list.size() == 1) return {list[0].buffer, list[0].length};
  param.op_attr_mask |= UCP_OP_ATTR_FIELD_DATATYPE;
  param.datatype = ucp_dt_make_iov();
  return {list.data(), list.size()};
}

ucp_request_param_t sending_params(ucp_send_nbx_callback_t done, void* user_data) {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_REPLY;
  param.cb.send = done;
  param.user_data = user_data;
  return param;
}

}  // namespace

void UcxWorker::State::post(Sending* frame, ucp_ep_h handle) {
  ucp_request_param_t param = sending_params(&on_sent, frame);
  const auto [data, count] = as_data(frame->list, param);
  auto request =
      ucp_am_send_nbx(handle, kFrameMessage, frame->header.data(), frame->header.size(), data, count, &param);
  if (UCS_PTR_IS_ERR(request)) {
    broken(frame->endpoint, ucx_error("sending", UCS_PTR_STATUS(request)));
    finish(frame);
  } else if (request == nullptr) {
    finish(frame);
  }
}

void UcxWorker::State::push_pieces(EndpointId id) {
  auto found = endpoints.find(id);
  if (found == endpoints.end()) return;
  Endpoint& endpoint = found->second;
  while (!endpoint.bulk.empty() && endpoint.pieces < kPiecesOnTheWay) {
    Sending* frame = endpoint.bulk.front();
    if (frame->bytes - frame->posted <= kPieceBytes) endpoint.bulk.pop_front();
    if (!post_piece(frame, endpoint.handle)) return;
  }
}

// False when the endpoint is of no use any more.
bool UcxWorker::State::post_piece(Sending* frame, ucp_ep_h handle) {
  auto* piece = new Piece{frame, {}, {}};
  sending_pieces.insert(piece);
  WireWriter header;
  header.integer(static_cast<std::uint64_t>(frame->posted));
  header.bytes(frame->header);
  piece->header = header.take();
  std::size_t skip = frame->posted;
  std::size_t left = std::min(kPieceBytes, frame->bytes - frame->posted);
  frame->posted += left;
  for (const ucp_dt_iov_t& part : frame->list) {
    const std::size_t from = std::min(skip, part.length);
    skip -= from;
    const std::size_t take = std::min(part.length - from, left);
    if (take != 0) piece->list.push_back({static_cast<std::byte*>(part.buffer) + from, take});
    left -= take;
  }
  ++frame->pieces;
  ++endpoints[frame->endpoint].pieces;
  const EndpointId endpoint = frame->endpoint;
  ucp_request_param_t param = sending_params(&on_piece_sent, piece);
  const auto [data, count] = as_data(piece->list, param);
  auto request =
      ucp_am_send_nbx(handle, kPieceMessage, piece->header.data(), piece->header.size(), data, count, &param);
  if (UCS_PTR_IS_ERR(request)) {
    broken(endpoint, ucx_error("sending", UCS_PTR_STATUS(request)));
    piece_sent(piece, UCS_PTR_STATUS(request));
    return false;
  }
  if (request == nullptr) piece_sent(piece, UCS_OK);
  return true;
}

void UcxWorker::State::piece_sent(Piece* piece, ucs_status_t status) {
  Sending* frame = piece->frame;
  sending_pieces.erase(piece);
  delete piece;
  auto found = endpoints.find(frame->endpoint);
  if (found != endpoints.end()) {
    --found->second.pieces;
    if (status != UCS_OK) abandon(found->second);
  }
  if (--frame->pieces == 0 && frame->posted == frame->bytes) finish(frame);
}

// Posts nothing of what waits there; the frames count as sent once UCX has given their pieces back.
void UcxWorker::State::abandon(Endpoint& endpoint) {
  for (Sending* frame : std::exchange(endpoint.bulk, {})) {
    frame->posted = frame->bytes;
    if (frame->pieces == 0) finish(frame);
  }
}

void UcxWorker::State::on_piece_sent(void* request, ucs_status_t status, void* piece) {
  auto* sent = static_cast<Piece*>(piece);
  State& state = *sent->frame->state;
  const EndpointId endpoint = sent->frame->endpoint;
  state.piece_sent(sent, status);
  ucp_request_free(request);
  state.push_pieces(endpoint);
}

// ---- receiving ----------------------------------------------------------------------------------

// 0: none that we know.
EndpointId UcxWorker::State::sender_of(const ucp_am_recv_param_t* param) const {
  if ((param->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) == 0) return 0;
  auto id = by_handle.find(param->reply_ep);
  return id == by_handle.end() ? 0 : id->second;
}

ucs_status_t UcxWorker::State::on_message(void* self, const void* header, std::size_t header_length,
                                          void* data, std::size_t length, const ucp_am_recv_param_t* param) {
  auto& state = *static_cast<State*>(self);
  const EndpointId endpoint = state.sender_of(param);
  if (endpoint == 0) return UCS_OK;
  auto decoded = decode_frame_header({static_cast<const std::byte*>(header), header_length},
                                     state.endpoints[endpoint].receive_limit);
  if (decoded && decoded->total_bytes() != length) {
    decoded = fail(ErrorCode::invalid_argument, "frame header: its part sizes are not the frame's");
  }
  if (!decoded) {
    state.broken(endpoint, decoded.error());
    return UCS_OK;
  }
  const bool announced = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0;
  return state.arrived(endpoint, std::move(*decoded), data, length, announced);
}

ucs_status_t UcxWorker::State::arrived(EndpointId endpoint, FrameHeader header, void* data,
                                       std::size_t length, bool announced) {
  if (!announced) {
    // What UCX lent us ends with this call.
    Buffer block = Buffer::copy_of({static_cast<const std::byte*>(data), length});
    events.emplace_back(FrameArrived{endpoint, std::move(header), std::move(block)});
    return UCS_OK;
  }
  auto block = take(length);
  if (!block) {
    broken(endpoint, block.error());
    return UCS_OK;
  }
  std::byte* to = block->get();
  return fetch(new Receiving{this, endpoint, std::move(header), std::move(*block), length}, data, to);
}

ucs_status_t UcxWorker::State::fetch(Receiving* frame, void* data, std::byte* to) {
  receiving.insert(frame);
  endpoints[frame->endpoint].receiving += frame->bytes;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.cb.recv_am = &on_received;
  param.user_data = frame;
  auto request = ucp_am_recv_data_nbx(worker, data, to, frame->bytes, &param);
  if (UCS_PTR_IS_ERR(request)) {
    finish(frame, UCS_PTR_STATUS(request));
  } else if (request == nullptr) {
    finish(frame, UCS_OK);
  }
  return UCS_INPROGRESS;  // the descriptor is UCX's again
}

ucs_status_t UcxWorker::State::on_piece(void* self, const void* header, std::size_t header_length, void* data,
                                        std::size_t length, const ucp_am_recv_param_t* param) {
  auto& state = *static_cast<State*>(self);
  const EndpointId id = state.sender_of(param);
  if (id == 0) return UCS_OK;
  Endpoint& endpoint = state.endpoints[id];
  WireReader in({static_cast<const std::byte*>(header), header_length});
  const auto offset = in.integer<std::uint64_t>();
  auto decoded = decode_frame_header(in.bytes(in.left()), endpoint.receive_limit);
  const std::uint64_t sequence = decoded ? decoded->number.sequence : 0;
  auto begun = decoded ? state.begin_piece(endpoint, std::move(*decoded), offset, length)
                       : Result<void>(tl::unexpected(decoded.error()));
  if (!begun) {
    state.broken(id, begun.error());
    return UCS_OK;
  }
  const Assembly& assembly = endpoint.assemblies[sequence];
  std::byte* to = assembly.block.get() + offset;
  if ((param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) == 0) {
    std::memcpy(to, data, length);
    state.piece_arrived(id, sequence, length);
    return UCS_OK;
  }
  return state.fetch(new Receiving{&state, id, assembly.header, assembly.block, length, true}, data, to);
}

// Checks a piece that is announced, and makes room for its frame when it is the first.
Result<void> UcxWorker::State::begin_piece(Endpoint& endpoint, FrameHeader header, std::uint64_t offset,
                                           std::size_t length) {
  const std::uint64_t bytes = header.total_bytes();
  if (offset % kPieceBytes != 0 || offset >= bytes ||
      length != std::min<std::uint64_t>(kPieceBytes, bytes - offset)) {
    return fail(ErrorCode::invalid_argument, "a piece that its frame does not have");
  }
  auto found = endpoint.assemblies.find(header.number.sequence);
  if (found == endpoint.assemblies.end()) {
    if (endpoint.assemblies.size() == kMostAssemblies) {
      return fail(ErrorCode::invalid_argument, "it begins too many large frames at once");
    }
    auto block = take(bytes);
    if (!block) return tl::unexpected(block.error());
    const std::uint64_t sequence = header.number.sequence;
    const std::size_t pieces = (bytes + kPieceBytes - 1) / kPieceBytes;
    Assembly fresh{std::move(header), std::move(*block), bytes, bytes, std::vector<bool>(pieces)};
    found = endpoint.assemblies.emplace(sequence, std::move(fresh)).first;
  } else if (found->second.header != header) {
    return fail(ErrorCode::invalid_argument, "the pieces of a frame disagree about it");
  }
  std::vector<bool>& begun = found->second.begun;
  if (begun[offset / kPieceBytes]) return fail(ErrorCode::invalid_argument, "a piece comes twice");
  begun[offset / kPieceBytes] = true;
  return {};
}

void UcxWorker::State::piece_arrived(EndpointId id, std::uint64_t sequence, std::size_t bytes) {
  auto& assemblies = endpoints[id].assemblies;
  auto found = assemblies.find(sequence);
  Assembly& assembly = found->second;
  assembly.missing -= bytes;
  if (assembly.missing != 0) return;
  const std::span<const std::byte> whole(assembly.block.get(), assembly.bytes);
  events.emplace_back(FrameArrived{id, std::move(assembly.header), Buffer(std::move(assembly.block), whole)});
  assemblies.erase(found);
}

void UcxWorker::State::on_received(void* request, ucs_status_t status, std::size_t, void* frame) {
  auto* done = static_cast<Receiving*>(frame);
  done->state->finish(done, status);
  ucp_request_free(request);
}

void UcxWorker::State::finish(Receiving* frame, ucs_status_t status) {
  if (auto found = endpoints.find(frame->endpoint); found != endpoints.end()) {
    found->second.receiving -= frame->bytes;
    if (status == UCS_OK && frame->piece) {
      piece_arrived(frame->endpoint, frame->header.number.sequence, frame->bytes);
    } else if (status == UCS_OK) {
      const std::span<const std::byte> bytes(frame->block.get(), frame->bytes);
      events.emplace_back(
          FrameArrived{frame->endpoint, std::move(frame->header), Buffer(frame->block, bytes)});
    } else {
      broken(frame->endpoint, ucx_error("receiving", status));
    }
  }
  receiving.erase(frame);
  delete frame;
}

}  // namespace ds::fabric
