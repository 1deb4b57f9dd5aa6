#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/result.hpp"

namespace ds::gateway {

struct HttpRequest {
  std::string method;  ///< `GET`, `POST`, …
  std::string path;    ///< percent-decoded, without the query
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Answers one request; callable from any thread, once. Never called: the client gets 504 after `answer_timeout`.
using Respond = std::function<void(HttpResponse)>;
/// Called on the gateway's threads; must not block them for long.
using Handler = std::function<void(HttpRequest, Respond)>;

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free port
  std::size_t threads = 2;
  std::size_t max_header_bytes = 8 << 10;
  std::size_t max_body_bytes = 128 << 10;
  std::size_t max_connections = 1024;  ///< beyond: 503 and closed
  std::chrono::seconds header_timeout{10};
  std::chrono::seconds idle_timeout{30};
  std::chrono::seconds answer_timeout{120};
};

/// HTTP/1.1 with keep-alive. `Content-Length` together with chunked encoding is refused.
class HttpServer {
 public:
  /// Errors: `already_exists` (port in use; names host:port and what to do), `invalid_argument` (host not an address).
  static Result<std::unique_ptr<HttpServer>> start(const HttpServerOptions& options, Handler handler);
  virtual ~HttpServer() = default;  ///< stops listening, closes connections, joins the threads
  virtual std::uint16_t port() const = 0;
};

/// One blocking GET of `http://HOST:PORT/path`, for programs of the cluster that look the head up.
Result<HttpResponse> http_get(const std::string& host_port, const std::string& path, std::chrono::milliseconds timeout);

}  // namespace ds::gateway
