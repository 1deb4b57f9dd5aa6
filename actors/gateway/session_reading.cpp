// A connection's requests, until one is whole.
#include <algorithm>
#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "actors/gateway/request_target.hpp"
#include "actors/gateway/session.hpp"

namespace ds::gateway {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

}  // namespace

void Session::begin_request() {
  if (phase_ == Phase::closed) return;
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(core_->options.max_header_bytes));
  parser_->body_limit(std::numeric_limits<std::uint64_t>::max());  // `on_head` knows the limit
  keep_alive_ = head_only_ = is_below_ = is_large_ = false;
  if (buffer_.size() > 0) {  // pipelined
    phase_ = Phase::head;
    owe_from(arm(core_->options.header_timeout));
    return parse();
  }
  phase_ = Phase::idle;
  owe_from(arm(first_ ? core_->options.header_timeout : core_->options.idle_timeout));
  read_more();
}

/// A new connection has owed its first request since it was there.
void Session::owe_from(Moment now) {
  if (!first_) waits_since_ = now;
}

void Session::read_more() {
  socket_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = shared_from_this()](const error_code& error, std::size_t bytes) {
                            self->on_read(error, bytes);
                          });
}

void Session::on_read(const error_code& error, std::size_t bytes) {
  if (phase_ == Phase::closed) return;
  if (timed_out_) {
    if (phase_ == Phase::idle) return shut();
    return refuse(408, "bad_request", "the request did not arrive in time", "send it without pauses");
  }
  if (makes_way_) {
    if (phase_ == Phase::idle && bytes == 0) return shut();
    buffer_.commit(bytes);
    if (phase_ == Phase::idle) phase_ = Phase::head;
    return refuse(503, "unavailable", "others need the connection, and the request was not whole yet",
                  "try again in a moment");
  }
  if (gives_room_) {
    parser_->get().body() = std::string();  // another has the room
    return refuse(408, "bad_request", "the body came too slowly while others needed its room",
                  "send it without pauses, or try again in a moment");
  }
  if (error) return shut();
  buffer_.commit(bytes);
  if (phase_ == Phase::idle) {
    phase_ = Phase::head;
    owe_from(arm(core_->options.header_timeout));
  }
  parse();
}

void Session::parse() {
  while (!parser_->is_done()) {
    error_code error;
    const std::size_t used = parser_->put(buffer_.data(), error);
    buffer_.consume(used);
    if (is_large_) note_fed(parser_->get().body().size());
    if (is_large_ && !make_room(parser_->get().body().size())) return refuse_large();
    if (error == http::error::need_more) {
      // Only an unfinished head or chunk header waits here, so more than this is a client that never ends
      // one.
      if (buffer_.size() > core_->options.max_header_bytes + kReadBytes) {
        return on_parse_error(http::error::header_limit);
      }
      return read_more();
    }
    if (error) return on_parse_error(error);
    if (phase_ == Phase::head && parser_->is_header_done()) {
      phase_ = Phase::body;
      return on_head();
    }
    if (!parser_->is_done() && buffer_.size() == 0) return read_more();
  }
  on_request();
}

void Session::on_parse_error(const error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return refuse(431, "bad_request",
                  "the request's headers are larger than " + std::to_string(core_->options.max_header_bytes) +
                      " bytes");
  }
  if (error == http::error::body_limit) {
    return refuse(413, "bad_request",
                  "the request's body is larger than " + std::to_string(limit_) + " bytes");
  }
  refuse(400, "bad_request", "this is not a valid HTTP/1.1 request: " + error.message());
}

void Session::on_head() {
  const auto& head = parser_->get();
  const HttpServerOptions& options = core_->options;
  const std::string_view wanted(head.target().data(), head.target().size());
  is_below_ = is_below(wanted, options.large_prefix);
  keep_alive_ = head.keep_alive();
  head_only_ = head.method() == http::verb::head;
  const bool has_length = head.count(http::field::content_length) > 0;
  const bool has_coding = head.count(http::field::transfer_encoding) > 0;
  if (has_length && has_coding) {
    return refuse(400, "bad_request", "Content-Length and Transfer-Encoding cannot stand together",
                  "send one of the two");
  }
  if (has_coding && (!parser_->chunked() || head.version() < 11 ||
                     !boost::beast::iequals(head[http::field::transfer_encoding], "chunked"))) {
    return refuse(400, "bad_request", "the only Transfer-Encoding known here is chunked, in HTTP/1.1");
  }
  if (head.count(http::field::content_length) > 1 || head.count(http::field::host) > 1 ||
      (head.version() >= 11 && head.count(http::field::host) == 0)) {
    return refuse(400, "bad_request",
                  "an HTTP/1.1 request has one Host header and at most one Content-Length");
  }
  const bool only_reads = head.method() == http::verb::get || head.method() == http::verb::head;
  if (!only_reads && head.count(http::field::origin) > 0) {
    return refuse(403, "not_allowed", "pages of a browser may not change anything here",
                  "use ds-submit, or a client that sends no Origin");
  }
  limit_ = is_below_ ? options.max_large_body_bytes : options.max_body_bytes;
  if (parser_->content_length() && *parser_->content_length() > limit_)
    return on_parse_error(http::error::body_limit);
  parser_->body_limit(limit_);
  is_large_ = is_below_ && !only_reads;
  if (is_large_ && !has_room(parser_->content_length().value_or(0))) return refuse_large();
  const auto now = arm(core_->options.idle_timeout);
  fed_bytes_ = 0;
  if (is_large_) fed_at_ = now;
  if (head.count(http::field::expect) > 0) {
    if (!boost::beast::iequals(head[http::field::expect], "100-continue")) {
      return refuse(417, "bad_request", "the only expectation known here is 100-continue");
    }
    if (!parser_->is_done() && buffer_.size() == 0 && head.version() >= 11) return send_continue();
  }
  parse();
}

void Session::send_continue() {
  head_ = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(socket_, asio::buffer(head_),
                    [self = shared_from_this()](const error_code& error, std::size_t) {
                      if (self->phase_ == Phase::closed) return;
                      if (error || self->timed_out_ || self->makes_way_ || self->gives_room_)
                        return self->shut();
                      self->read_more();
                    });
}

}  // namespace ds::gateway
