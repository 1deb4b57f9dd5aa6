#include <fmt/format.h>

#include "actors/fabric/block_pool.hpp"
#include "actors/fabric/ucx_state.hpp"

namespace ds::fabric {

// ---- sending ------------------------------------------------------------------------------------

void UcxWorker::State::finish(Sending* frame) {
  events.emplace_back(FrameSent{frame->endpoint, frame->type, frame->sequence, frame->bytes});
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

  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_REPLY;
  param.cb.send = &State::on_sent;
  param.user_data = frame;
  const void* data = nullptr;
  std::size_t count = 0;
  if (frame->list.size() == 1) {
    data = frame->list[0].buffer;
    count = frame->list[0].length;
  } else if (!frame->list.empty()) {
    param.op_attr_mask |= UCP_OP_ATTR_FIELD_DATATYPE;
    param.datatype = ucp_dt_make_iov();
    data = frame->list.data();
    count = frame->list.size();
  }
  auto request = ucp_am_send_nbx(found->second.handle, kFrameMessage, frame->header.data(),
                                 frame->header.size(), data, count, &param);
  if (UCS_PTR_IS_ERR(request)) {
    state_->broken(endpoint, ucx_error("sending", UCS_PTR_STATUS(request)));
    state_->finish(frame);
  } else if (request == nullptr) {
    state_->finish(frame);
  }
}

// ---- receiving ----------------------------------------------------------------------------------

ucs_status_t UcxWorker::State::on_message(void* self, const void* header, std::size_t header_length,
                                          void* data, std::size_t length, const ucp_am_recv_param_t* param) {
  auto& state = *static_cast<State*>(self);
  if ((param->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) == 0) return UCS_OK;
  auto id = state.by_handle.find(param->reply_ep);
  if (id == state.by_handle.end()) return UCS_OK;
  auto decoded = decode_frame_header({static_cast<const std::byte*>(header), header_length},
                                     state.endpoints[id->second].receive_limit);
  if (decoded && decoded->total_bytes() != length) {
    decoded = fail(ErrorCode::invalid_argument, "frame header: its part sizes are not the frame's");
  }
  if (!decoded) {
    state.broken(id->second, decoded.error());
    return UCS_OK;
  }
  const bool announced = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0;
  return state.arrived(id->second, std::move(*decoded), data, length, announced);
}

ucs_status_t UcxWorker::State::arrived(EndpointId endpoint, FrameHeader header, void* data,
                                       std::size_t length, bool announced) {
  if (!announced) {
    // Eager frames are small once connected, and what UCX lent us ends with this call.
    Buffer block = Buffer::copy_of({static_cast<const std::byte*>(data), length});
    events.emplace_back(FrameArrived{endpoint, std::move(header), std::move(block)});
    return UCS_OK;
  }
  std::shared_ptr<std::byte[]> block;
  try {
    block = take_block(length);
  } catch (const std::bad_alloc&) {
    broken(
        endpoint,
        Error{ErrorCode::resource_exhausted, fmt::format("no memory for a frame of {} bytes", length), {}});
    return UCS_OK;
  }
  auto* frame = new Receiving{this, endpoint, std::move(header), block, length};
  receiving.insert(frame);
  endpoints[endpoint].receiving += length;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.cb.recv_am = &on_received;
  param.user_data = frame;
  auto request = ucp_am_recv_data_nbx(worker, data, block.get(), length, &param);
  if (UCS_PTR_IS_ERR(request)) {
    finish(frame, UCS_PTR_STATUS(request));
  } else if (request == nullptr) {
    finish(frame, UCS_OK);
  }
  return UCS_INPROGRESS;  // the descriptor is UCX's again
}

void UcxWorker::State::on_received(void* request, ucs_status_t status, std::size_t, void* frame) {
  auto* done = static_cast<Receiving*>(frame);
  done->state->finish(done, status);
  ucp_request_free(request);
}

void UcxWorker::State::finish(Receiving* frame, ucs_status_t status) {
  if (auto found = endpoints.find(frame->endpoint); found != endpoints.end()) {
    found->second.receiving -= frame->bytes;
    if (status == UCS_OK) {
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
