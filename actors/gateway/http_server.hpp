#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/result.hpp"

namespace ds::gateway {

/// Whether the client that waits for an answer is still there. All members may be called from any thread.
class ClientWatch {
 public:
  /// `action` is called once when the client closes its connection, or its side of it, before it is answered,
  /// within a tenth of a second or so; at once if it has. On one of the gateway's threads, or on the
  /// caller's: it must not block. Of one that has begun to send its next request nobody can tell.
  void on_gone(std::function<void()> action);
  void set_gone();  ///< for the gateway
  bool is_gone() const {
    const std::lock_guard lock(mutex_);
    return is_gone_;
  }

 private:
  mutable std::mutex mutex_;
  bool is_gone_ = false;
  std::function<void()> action_;
};

struct HttpRequest {
  std::string method;  ///< `GET`, `POST`, …
  std::string path;    ///< percent-decoded, without the query
  std::string target;  ///< as it stands in the request line, without `http://host`
  std::map<std::string, std::string> query;
  std::map<std::string, std::string, std::less<>> headers;  ///< names in lower case
  std::string body;
  std::shared_ptr<ClientWatch> client;  ///< of requests below `large_prefix`; else null
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::shared_ptr<const void> held = {};  ///< let go once it is written, or won't be
};

/// The answer to a request, or what makes it.
class Reply {
 public:
  Reply() = default;
  Reply(HttpResponse response) : response_(std::move(response)) {}  // NOLINT: implicit by design
  /// `make` is called once: on the connection's thread when its turn to be written comes, so of answers that
  /// are given together the first is on its way while the next is made. It must not block, nor throw.
  explicit Reply(std::function<HttpResponse()> make) : make_(std::move(make)) {}

  operator HttpResponse() && {  // NOLINT: implicit by design
    return make_ ? std::exchange(make_, {})() : std::move(response_);
  }

 private:
  HttpResponse response_;
  std::function<HttpResponse()> make_;
};

/// Answers one request; callable from any thread, once. Never called: the client gets 504 after
/// `answer_timeout`.
using Respond = std::function<void(Reply)>;
/// Called on the gateway's threads; must not block them for long: the connections of that thread wait. A HEAD
/// request arrives as GET; the server leaves the body of the answer out. What it throws becomes a 500.
using Handler = std::function<void(HttpRequest, Respond)>;

/// On one of the gateway's threads: calls `action` there once the requests that have come by now are with
/// their handler, so that what they ask for can be asked for together. On any other thread: at once. It must
/// not throw.
void after_those_at_hand(std::function<void()> action);

/// On one of the gateway's threads: calls `action` there so much later, unless the server ends before, and in
/// the place of what was to be called so. It must not throw. False: this is another thread, and nothing is
/// done.
bool call_later(std::chrono::milliseconds pause, std::function<void()> action);

/// The answers that are given on this thread while one lives are passed to the gateway's threads when it
/// ends, each thread's own together: it is woken once for them. Within another one's life it does nothing.
class AnswersTogether {
 public:
  AnswersTogether();
  ~AnswersTogether();
  AnswersTogether(const AnswersTogether&) = delete;
  AnswersTogether& operator=(const AnswersTogether&) = delete;

  struct Held;  ///< private to the folder

 private:
  std::unique_ptr<Held> held_;
};

struct HttpServerOptions {
  std::string host = "127.0.0.1";  ///< numeric address or `localhost`
  std::uint16_t port = 0;          ///< 0: any free port
  std::size_t threads = 2;         ///< a connection stays with one of them
  std::size_t max_header_bytes = 8 << 10;
  /// Twice the 64 KiB that a job file may have: as a JSON string its quotes and newlines take two bytes each.
  std::size_t max_body_bytes = 128 << 10;
  /// Of requests for the path `large_prefix` and what is below it; empty: there are none such. They may take
  /// long, so they hear when their client is gone.
  std::string large_prefix;
  /// The gateway's own refusals of these, in their protocol's form; empty: as of all others.
  std::function<HttpResponse(int status, std::string_view message)> large_refusal;
  std::size_t max_large_body_bytes = 64 << 20;
  std::size_t max_large_bytes = std::size_t{1} << 30;  ///< of all their bodies at a time; beyond: 503
  /// A large body of which less than `kLeastFed` has come for so long gives its room up (408) to another that
  /// needs it.
  std::chrono::milliseconds still_time{2'000};
  static constexpr std::size_t kLeastFed = 128 << 10;
  /// Beyond, a new one takes the place of that which has owed a request, or the rest of one, for longest;
  /// where all are being answered it gets 503.
  std::size_t max_connections = 1024;
  std::chrono::milliseconds header_timeout{
      10'000};  ///< from the first byte (or the connection) to the last header
  std::chrono::milliseconds idle_timeout{
      30'000};  ///< between requests, for a body, and for a reader that takes nothing
  std::chrono::milliseconds answer_timeout{120'000};  ///< for the handler
  /// Bytes a second: who reads an answer more slowly for longer than `idle_timeout` is given up.
  std::size_t least_read_rate = 64 << 10;
};

/// HTTP/1.1 with keep-alive and pipelining (requests of one connection are handled one after another).
///
/// What is not a valid request gets a JSON error (`error_response`) and the connection is closed: 400, 408
/// too slow, 413 and 431 too large, 417; `Content-Length` together with `Transfer-Encoding` is refused.
/// Threads are its own; members may be called from any of them, the destructor from none of them (it joins
/// them).
class HttpServer {
 public:
  /// Errors: `already_exists` (port in use; names host:port and what to do), `invalid_argument` (host not an
  /// address).
  static Result<std::unique_ptr<HttpServer>> start(const HttpServerOptions& options, Handler handler);
  virtual ~HttpServer() = default;  ///< stops listening, closes connections, joins the threads
  virtual std::uint16_t port() const = 0;
};

/// One blocking GET of `http://HOST:PORT/path`, for programs of the cluster that look the head up. Any status
/// is a response, not an error. Errors: `invalid_argument`, `unavailable`, `deadline_exceeded`. `timeout`
/// covers all of it.
Result<HttpResponse> http_get(const std::string& host_port, const std::string& path,
                              std::chrono::milliseconds timeout);

}  // namespace ds::gateway
