#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/gateway/http_server.hpp"

namespace ds::gateway {

class Session;

/// One of the server's threads. Connections are not passed between them: who goes on with one wakes nobody.
struct Loop {
  boost::asio::io_context io{1};
  boost::asio::steady_timer looks{io};  ///< after clients that wait
  boost::asio::steady_timer later{io};  ///< of `call_later`
  bool is_looking = false;
  std::size_t sessions = 0;  ///< its own; guarded by the core's mutex
};

/// What the listener and its sessions share. Lives until the last of them, and the last `Respond`, is gone.
struct ServerCore {
  ServerCore(HttpServerOptions server_options, Handler server_handler)
      : options(std::move(server_options)), handler(std::move(server_handler)) {}

  const HttpServerOptions options;
  const Handler handler;
  std::vector<std::unique_ptr<Loop>> loops;

  std::mutex mutex;             ///< guards what follows
  bool stopping = false;        ///< once set, nothing is posted to a loop any more
  std::set<Session*> sessions;  ///< open connections
  std::set<Session*> leaving;   ///< of them, those that were told to make way for others
  std::size_t refused = 0;      ///< of them, those that only get their 503
  std::size_t large_bytes = 0;  ///< that large bodies may take, until they are answered: the sum of `room_`
};

/// One connection: reads a request, hands it to the handler, writes the answer, and again.
///
/// All members run on its loop's thread, but for those said below; exactly one asynchronous read or write is
/// under way at a time, so a deadline that fires can cancel it and every completion sees `timed_out_`.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<ServerCore> core, Loop& loop, boost::asio::ip::tcp::socket socket);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // From any thread; the core's lock is held.
  void start();           ///< begins to serve
  void start_refusing();  ///< answers 503 and closes
  void close();           ///< what is under way ends at once
  /// Ends the connection, which is among those leaving, unless its request is whole meanwhile.
  void make_way();

  using Moment = std::chrono::steady_clock::time_point;
  /// Since when it has owed a request, or the rest of one; none: it owes nothing. From any thread.
  Moment waits_since() const { return waits_since_; }
  static constexpr Moment kOwesNothing{};

 private:
  static constexpr std::size_t kReadBytes = 16 << 10;  ///< at once

  enum class Phase { idle, head, body, answering, writing, draining, closed };
  struct Answer;
  friend struct AnswersTogether::Held;

  // ---- reading (session_reading.cpp) ----
  void read_more();
  void on_read(const boost::system::error_code& error, std::size_t bytes);
  void begin_request();
  void owe_from(Moment now);
  void parse();
  void on_parse_error(const boost::system::error_code& error);
  void on_head();
  void send_continue();

  // ---- the room of large bodies (upload_room.cpp); other sessions' threads give this one's up ----
  bool has_room(std::size_t bytes);
  bool make_room(std::size_t bytes);
  void note_fed(std::size_t bytes);
  using Sessions = std::vector<std::shared_ptr<Session>>;
  std::vector<std::size_t> choose_who_gives_room(std::size_t missing, Sessions& others) const;
  void give_room_up();
  void refuse_large();
  void give_room_back();

  // ---- answering (session.cpp) ----
  void on_request();
  void watch_clients();
  static void look_after_clients(const std::weak_ptr<ServerCore>& core, Loop& loop);
  void look_after_client();
  void on_answer(std::uint64_t request, Reply reply);
  void refuse(int status, std::string_view code, std::string_view message, std::string_view hint = {});
  /// An error in the form of the target's protocol.
  HttpResponse failure(int status, std::string_view code, std::string_view message,
                       std::string_view hint = {}) const;
  std::string_view target_so_far() const;
  void send(HttpResponse response);
  void write_more();
  void on_written();
  void drain();

  // ---- deadlines ----
  Moment arm(std::chrono::milliseconds timeout);  ///< returns now
  void wait_for_deadline();
  void on_deadline();
  void shut();

  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  std::shared_ptr<ServerCore> core_;
  Loop& loop_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer timer_;
  std::chrono::steady_clock::time_point deadline_;                 ///< of what is under way
  std::optional<std::chrono::steady_clock::time_point> wakes_at_;  ///< none: the timer doesn't run
  std::uint64_t timer_round_ = 0;  ///< tells a wait that was replaced from the one that holds
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  Phase phase_ = Phase::idle;
  std::atomic<Moment> waits_since_ = std::chrono::steady_clock::now();
  bool timed_out_ = false;
  bool makes_way_ = false;
  bool gives_room_ = false;
  bool refusing_ = false;
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool is_below_ = false;  ///< its target is below `large_prefix`
  bool is_large_ = false;  ///< its body may be large
  bool first_ = true;
  std::shared_ptr<ClientWatch> client_;  ///< of the request being answered
  std::uint64_t request_ = 0;            ///< number of the request being answered
  std::string head_;
  std::string body_;
  std::shared_ptr<const void> held_;  ///< of the answer
  Moment read_by_;                    ///< when its client must have taken it
  std::size_t written_ = 0;           ///< of head_ and body_ together
  std::size_t drained_ = 0;
  std::size_t limit_ = 0;                 ///< of the body at hand
  std::atomic<std::size_t> room_ = 0;     ///< of `ServerCore::large_bytes`; set with the core's mutex held
  std::size_t fed_bytes_ = 0;             ///< that had come at `fed_at_`
  std::atomic<Moment> fed_at_ = kNotFed;  ///< when the body had last come on
  static constexpr Moment kNotFed = Moment::max();  ///< there is none on its way
};

}  // namespace ds::gateway
