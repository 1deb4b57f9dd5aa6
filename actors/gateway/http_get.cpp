#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "actors/gateway/host_port.hpp"
#include "actors/gateway/http_server.hpp"

namespace ds::gateway {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kMaxBodyBytes = 16 << 20;
constexpr std::size_t kReadBytes = 16 << 10;

/// One exchange, driven by `run`; the deadline lies over all of it.
class Exchange {
 public:
  Exchange(HostPort target, const std::string& host_port, const std::string& path)
      : target_(std::move(target)),
        request_(fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nConnection: close\r\n\r\n", path,
                             host_port)) {
    parser_.body_limit(kMaxBodyBytes);
    parser_.eager(true);
  }

  /// False when the time was over first.
  bool run(std::chrono::milliseconds timeout) {
    error_code error;
    const auto address = asio::ip::make_address(target_.host, error);
    if (!error) {
      socket_.async_connect({address, target_.port},
                            [this](const error_code& failure) { on_connected(failure); });
    } else {
      resolver_.async_resolve(target_.host, std::to_string(target_.port),
                              [this](const error_code& failure, const tcp::resolver::results_type& found) {
                                if (failure) return finish(failure);
                                asio::async_connect(socket_, found,
                                                    [this](const error_code& refused, const tcp::endpoint&) {
                                                      on_connected(refused);
                                                    });
                              });
    }
    io_.run_for(timeout);
    return finished_;
  }

  const error_code& error() const { return error_; }

  HttpResponse take_response() {
    auto message = parser_.release();
    HttpResponse response;
    response.status = static_cast<int>(message.result_int());
    response.content_type =
        std::string(message[http::field::content_type].data(), message[http::field::content_type].size());
    for (const auto& field : message) {
      response.headers.emplace_back(std::string(field.name_string().data(), field.name_string().size()),
                                    std::string(field.value().data(), field.value().size()));
    }
    response.body = std::move(message.body());
    return response;
  }

 private:
  void on_connected(const error_code& error) {
    if (error) return finish(error);
    asio::async_write(socket_, asio::buffer(request_),
                      [this](const error_code& failure, std::size_t) { failure ? finish(failure) : read(); });
  }

  void read() {
    socket_.async_read_some(buffer_.prepare(kReadBytes), [this](const error_code& error, std::size_t bytes) {
      buffer_.commit(bytes);
      error_code failure;
      if (error == asio::error::eof && parser_.got_some()) {
        parser_.put_eof(failure);
        return finish(failure);
      }
      if (error) return finish(error);
      while (!failure && !parser_.is_done() && buffer_.size() > 0) {
        buffer_.consume(parser_.put(buffer_.data(), failure));
      }
      if (failure && failure != http::error::need_more) return finish(failure);
      parser_.is_done() ? finish({}) : read();
    });
  }

  void finish(const error_code& error) {
    error_ = error;
    finished_ = true;
  }

  HostPort target_;
  std::string request_;
  asio::io_context io_;
  tcp::resolver resolver_{io_};
  tcp::socket socket_{io_};
  boost::beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  error_code error_;
  bool finished_ = false;
};

}  // namespace

Result<HttpResponse> http_get(const std::string& host_port, const std::string& path,
                              std::chrono::milliseconds timeout) {
  auto target = parse_host_port(host_port);
  if (!target) return tl::unexpected(target.error());
  if (target->port == 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("nobody can be asked at port 0, got \"{}\"", host_port),
                "for example 127.0.0.1:8080");
  }
  if (!path.starts_with('/') || path.find_first_of(" \r\n") != std::string::npos) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a path to ask for", path));
  }
  Exchange exchange(std::move(*target), host_port, path);
  if (!exchange.run(timeout)) {
    return fail(ErrorCode::deadline_exceeded,
                fmt::format("{} did not answer within {} ms", host_port, timeout.count()));
  }
  if (exchange.error()) {
    return fail(ErrorCode::unavailable,
                fmt::format("{} cannot be asked: {}", host_port, exchange.error().message()),
                "check the address and that the program runs");
  }
  return exchange.take_response();
}

}  // namespace ds::gateway
