// A connection: its life, its answers and its deadlines.
#include "actors/gateway/session.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <utility>

#include "actors/gateway/error_response.hpp"
#include "actors/gateway/held_answers.hpp"
#include "actors/gateway/request_target.hpp"
#include "actors/gateway/response_head.hpp"

namespace ds::gateway {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

// At most so much is offered to the kernel at once: some look at all that they are offered for every piece
// they take.
constexpr std::size_t kWriteBytes = 256 << 10;
constexpr std::size_t kCopiedBytes = 4 << 10;
// After a refusal the client may still be sending; closing at once would reset the connection and take the
// answer with it. So much, for so long, is read and thrown away.
constexpr std::size_t kDrainBytes = 1 << 20;
constexpr std::chrono::milliseconds kDrainTime{1000};
// How often clients that wait for an answer are looked after: to ask the kernel to tell of each one costs
// more than many a request.
constexpr std::chrono::milliseconds kLookPause{50};

template <class View>
std::string to_string(const View& view) {
  return std::string(view.data(), view.size());
}

std::string to_lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

HttpRequest take_request(http::request<http::string_body>&& message, RequestTarget target) {
  HttpRequest request;
  request.method = to_string(message.method_string());
  if (request.method == "HEAD") request.method = "GET";
  request.target = to_origin_form(std::string_view(message.target().data(), message.target().size()));
  request.path = std::move(target.path);
  request.query = std::move(target.query);
  for (const auto& field : message) {
    auto [place, fresh] =
        request.headers.emplace(to_lower(to_string(field.name_string())), to_string(field.value()));
    if (!fresh) place->second += ", " + to_string(field.value());
  }
  request.body = std::move(message.body());
  return request;
}

}  // namespace

/// What a `Respond` holds: the first call wins, and none keeps the connection alive.
struct Session::Answer {
  std::weak_ptr<Session> session;
  std::uint64_t request;
  std::atomic<bool> used{false};

  void operator()(Reply reply) {
    if (used.exchange(true)) return;
    auto target = session.lock();
    if (target) return AnswersTogether::Held::add(std::move(target), request, std::move(reply));
    [[maybe_unused]] const HttpResponse unheard = std::move(reply);  // who makes it may count it
  }
};

Session::Session(std::shared_ptr<ServerCore> core, Loop& loop, asio::ip::tcp::socket socket)
    : core_(std::move(core)), loop_(loop), socket_(std::move(socket)), timer_(loop.io) {
  ++loop_.sessions;
}

Session::~Session() {
  give_room_back();
  const std::lock_guard lock(core_->mutex);
  --loop_.sessions;
  core_->sessions.erase(this);
  core_->leaving.erase(this);
  if (refusing_) --core_->refused;
}

void Session::start() {
  asio::post(loop_.io, [self = shared_from_this()] { self->begin_request(); });
}

void Session::start_refusing() {
  refusing_ = true;
  waits_since_ = kOwesNothing;
  asio::post(loop_.io, [self = shared_from_this()] {
    if (self->phase_ == Phase::closed) return;
    self->refuse(503, "unavailable", "this server has all the connections that it accepts",
                 "close idle connections or try again in a moment");
  });
}

void Session::close() {
  asio::post(loop_.io, [self = shared_from_this()] { self->shut(); });
}

void Session::make_way() {
  asio::post(loop_.io, [self = shared_from_this()] {
    if (self->waits_since() == kOwesNothing) {
      const std::lock_guard lock(self->core_->mutex);
      self->core_->leaving.erase(self.get());
      return;
    }
    self->makes_way_ = true;
    error_code ignored;
    self->socket_.cancel(ignored);
  });
}

// ---- answering --------------------------------------------------------------------------------

void Session::on_request() {
  // From here on nobody takes its room; who has just done so is too late.
  fed_at_ = kNotFed;
  if (is_large_ && !make_room(parser_->get().body().size())) return refuse_large();
  auto message = parser_->release();
  auto target = parse_request_target(std::string_view(message.target().data(), message.target().size()));
  if (!target) return refuse(400, "bad_request", target.error().message, target.error().hint);

  phase_ = Phase::answering;
  waits_since_ = kOwesNothing;
  first_ = false;
  const auto answer = std::make_shared<Answer>();
  answer->session = weak_from_this();
  answer->request = ++request_;
  arm(core_->options.answer_timeout);  // its completion is what keeps this session alive meanwhile
  auto request = take_request(std::move(message), std::move(*target));
  if (is_below_) {
    request.client = client_ = std::make_shared<ClientWatch>();
    watch_clients();
  }
  try {
    core_->handler(std::move(request), [answer](Reply reply) { (*answer)(std::move(reply)); });
  } catch (const std::exception& error) {
    (*answer)(failure(500, "internal", std::string("the request could not be handled: ") + error.what()));
  }
}

/// As long as one of the loop's waits for an answer.
void Session::watch_clients() {
  if (std::exchange(loop_.is_looking, true)) return;
  loop_.looks.expires_after(kLookPause);
  loop_.looks.async_wait([core = std::weak_ptr(core_), &loop = loop_](const error_code& error) {
    loop.is_looking = false;
    if (!error) look_after_clients(core, loop);
  });
}

void Session::look_after_clients(const std::weak_ptr<ServerCore>& weak_core, Loop& loop) {
  const auto core = weak_core.lock();
  if (!core) return;
  std::vector<std::shared_ptr<Session>> all;  // not released under the lock, which their destructors take
  {
    const std::lock_guard lock(core->mutex);
    if (core->stopping) return;
    for (Session* session : core->sessions) {
      if (&session->loop_ != &loop) continue;
      if (auto alive = session->weak_from_this().lock()) all.push_back(std::move(alive));
    }
  }
  for (const auto& session : all) session->look_after_client();
}

/// Tells the request's handler when the client has gone away. It sends nothing more then: who has closed one
/// side of the connection only can't be told from who is gone.
void Session::look_after_client() {
  if (phase_ != Phase::answering || !client_) return;
  char next = 0;
  const auto bytes = ::recv(socket_.native_handle(), &next, 1, MSG_PEEK | MSG_DONTWAIT);
  const bool has_nothing = bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
  if (bytes > 0 || has_nothing) return watch_clients();
  client_->set_gone();
}

void Session::on_answer(std::uint64_t request, Reply reply) {
  HttpResponse response;
  try {
    response = std::move(reply);
  } catch (const std::exception& thrown) {  // nobody else on this thread would catch it
    response = failure(500, "internal", thrown.what());
  }
  if (phase_ != Phase::answering || request != request_) return;  // too late: it was answered with 504
  // Who has the answer may count on its room. After a 504 in time a thread may read the body a little longer.
  give_room_back();
  send(std::move(response));
}

void Session::refuse(int status, std::string_view code, std::string_view message, std::string_view hint) {
  keep_alive_ = false;
  // Before the head is whole nobody has looked where it goes.
  if (phase_ == Phase::head) is_below_ = is_below(target_so_far(), core_->options.large_prefix);
  send(failure(status, code, message, hint));
}

HttpResponse Session::failure(int status, std::string_view code, std::string_view message,
                              std::string_view hint) const {
  if (!is_below_ || !core_->options.large_refusal) return error_response(status, code, message, hint);
  std::string text(message);
  if (!hint.empty()) text.append("; ").append(hint);
  return core_->options.large_refusal(status, text);
}

/// Of a request whose head is not whole, or wrong.
std::string_view Session::target_so_far() const {
  const auto& known = parser_->get().target();
  if (!known.empty()) return {known.data(), known.size()};
  // The parser keeps nothing of a request line that is wrong, or too long.
  const auto bytes = buffer_.data();
  return target_in(std::string_view(static_cast<const char*>(bytes.data()), bytes.size()));
}

void Session::send(HttpResponse response) {
  phase_ = Phase::writing;
  waits_since_ = kOwesNothing;
  fed_at_ = kNotFed;
  client_.reset();
  timed_out_ = false;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  head_ = format_response_head(response, keep_alive_,
                               std::chrono::duration_cast<std::chrono::seconds>(now).count());
  body_ = head_only_ || !status_has_body(response.status) ? std::string() : std::move(response.body);
  if (body_.size() <= kCopiedBytes) head_ += std::exchange(body_, {});  // one piece is sent faster than two
  held_ = std::move(response.held);
  written_ = 0;
  const auto seconds = body_.size() / std::max<std::size_t>(core_->options.least_read_rate, 1);
  read_by_ = std::chrono::steady_clock::now() + core_->options.idle_timeout + std::chrono::seconds(seconds);
  write_more();
}

void Session::write_more() {
  const std::size_t from_head = std::min(written_, head_.size());
  const std::size_t from_body = written_ - from_head;
  const std::array<asio::const_buffer, 2> parts{asio::buffer(head_) + from_head,
                                                asio::buffer(asio::buffer(body_) + from_body, kWriteBytes)};
  // A slow reader may take long, but not for ever; one that has stopped may not.
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(read_by_ - std::chrono::steady_clock::now());
  arm(std::clamp(left, std::chrono::milliseconds(0), core_->options.idle_timeout));
  socket_.async_write_some(parts, [self = shared_from_this()](const error_code& error, std::size_t bytes) {
    if (self->phase_ == Phase::closed) return;
    if (error || self->timed_out_) return self->shut();
    self->written_ += bytes;
    if (self->written_ < self->head_.size() + self->body_.size()) return self->write_more();
    self->on_written();
  });
}

void Session::on_written() {
  give_room_back();
  body_ = std::string();
  held_.reset();
  if (keep_alive_) return begin_request();
  if (makes_way_) return shut();  // all that it had sent is read, so this resets nothing
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  phase_ = Phase::draining;
  buffer_.clear();
  arm(kDrainTime);
  drain();
}

void Session::drain() {
  socket_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = shared_from_this()](const error_code& error, std::size_t bytes) {
                            if (self->phase_ == Phase::closed) return;
                            self->drained_ += bytes;
                            if (error || self->timed_out_ || self->drained_ > kDrainBytes)
                              return self->shut();
                            self->drain();
                          });
}

// ---- deadlines --------------------------------------------------------------------------------

/// Most deadlines are replaced by later ones long before they come, several in each request: the timer runs
/// on then, and looks again when it wakes.
Session::Moment Session::arm(std::chrono::milliseconds timeout) {
  const auto now = std::chrono::steady_clock::now();
  deadline_ = now + timeout;
  if (!wakes_at_ || deadline_ < *wakes_at_) wait_for_deadline();
  return now;
}

void Session::wait_for_deadline() {
  wakes_at_ = deadline_;
  timer_.expires_at(deadline_);
  timer_.async_wait([self = shared_from_this(), round = ++timer_round_](const error_code&) {
    if (round != self->timer_round_ || self->phase_ == Phase::closed) return;
    self->wakes_at_.reset();
    if (std::chrono::steady_clock::now() < self->deadline_) return self->wait_for_deadline();
    self->on_deadline();
  });
}

void Session::on_deadline() {
  if (phase_ == Phase::answering) {
    if (client_) client_->set_gone();  // as good as: what is answered now it doesn't get
    return refuse(504, "deadline_exceeded", "the request was not answered in time", "try again in a moment");
  }
  timed_out_ = true;
  error_code ignored;
  socket_.cancel(ignored);
}

void Session::shut() {
  phase_ = Phase::closed;
  error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
}

}  // namespace ds::gateway
