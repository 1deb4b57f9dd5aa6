#include "actors/gateway/http_server.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <ranges>
#include <thread>
#include <vector>

#include "actors/gateway/session.hpp"

namespace ds::gateway {

void ClientWatch::on_gone(std::function<void()> action) {
  {
    const std::lock_guard lock(mutex_);
    if (!is_gone_) {
      action_ = std::move(action);
      return;
    }
  }
  action();
}

void ClientWatch::set_gone() {
  std::function<void()> action;
  {
    const std::lock_guard lock(mutex_);
    is_gone_ = true;
    action = std::exchange(action_, {});
  }
  if (action) action();
}

namespace {

thread_local Loop* this_thread_runs = nullptr;

}  // namespace

void after_those_at_hand(std::function<void()> action) {
  // Their handlers stand before it in the line.
  this_thread_runs == nullptr ? action() : boost::asio::post(this_thread_runs->io, std::move(action));
}

bool call_later(std::chrono::milliseconds pause, std::function<void()> action) {
  if (this_thread_runs == nullptr) return false;
  auto& timer = this_thread_runs->later;
  timer.expires_after(pause);
  timer.async_wait([action = std::move(action)](const boost::system::error_code& error) {
    if (!error) action();
  });
  return true;
}

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Connections beyond the bound that are told so at one time; more than these are closed without a word.
constexpr std::size_t kMaxRefused = 64;
// Connections that are told at one time to make way for new ones.
constexpr std::size_t kMaxLeaving = 256;
constexpr std::chrono::milliseconds kAcceptRetry{50};

Result<asio::ip::address> parse_host(std::string host) {
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not an address to listen on", host),
                "give a numeric address such as 127.0.0.1, or localhost");
  }
  return address;
}

std::string to_text(const tcp::endpoint& endpoint) {
  const auto host = endpoint.address().to_string();
  return fmt::format(fmt::runtime(endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}"), host, endpoint.port());
}

Error to_error(const error_code& error, const tcp::endpoint& endpoint) {
  const std::string place = to_text(endpoint);
  if (error == asio::error::address_in_use) {
    return {ErrorCode::already_exists, place + " is in use",
            fmt::format("choose another port (0 takes any free one), or stop the program that listens there "
                        "(ss -ltnp 'sport = :{}' names it)",
                        endpoint.port())};
  }
  if (error == boost::system::errc::address_not_available) {
    return {ErrorCode::invalid_argument, place + " is not an address of this machine",
            "ip address lists those there are; 127.0.0.1 always is"};
  }
  if (error == asio::error::access_denied) {
    return {ErrorCode::permission_denied, "not allowed to listen on " + place, "choose a port above 1023"};
  }
  return {ErrorCode::internal, fmt::format("cannot listen on {}: {}", place, error.message()), ""};
}

// Asio opens sockets without it, and a child that keeps one would keep the port in use after us.
void close_on_exec(int descriptor) {
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

class Listener final : public HttpServer {
 public:
  Listener(const HttpServerOptions& options, Handler handler)
      : core_(std::make_shared<ServerCore>(options, std::move(handler))),
        acceptor_(make_loops(*core_).io),
        retry_(acceptor_.get_executor()) {
    for (const auto& loop : core_->loops) work_.emplace_back(loop->io.get_executor());
  }

  ~Listener() override {
    {
      const std::lock_guard lock(core_->mutex);
      core_->stopping = true;
      // A session whose last owner is letting go of it at this moment is past saving and ends by itself.
      for (Session* session : core_->sessions) {
        if (const auto alive = session->weak_from_this().lock()) {
          alive->close();
          closing_.push_back(alive);  // not released here: its destructor takes the lock we hold
        }
      }
      asio::post(acceptor_.get_executor(), [this] {
        error_code ignored;
        acceptor_.close(ignored);
        retry_.cancel();
      });
      for (const auto& loop : core_->loops)
        asio::post(loop->io, [&loop = *loop] {
          loop.looks.cancel();
          loop.later.cancel();
        });
    }
    closing_.clear();
    work_.clear();
    for (auto& thread : threads_) thread.join();
  }

  std::uint16_t port() const override { return port_; }

  Result<void> listen() {
    const auto address = parse_host(core_->options.host);
    if (!address) return tl::unexpected(address.error());
    const tcp::endpoint endpoint(*address, core_->options.port);
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) close_on_exec(acceptor_.native_handle());
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return tl::unexpected(to_error(error, endpoint));
    port_ = acceptor_.local_endpoint().port();
    return {};
  }

  void run() {
    asio::post(acceptor_.get_executor(), [this] { accept(); });
    for (const auto& loop : core_->loops) {
      threads_.emplace_back([&loop = *loop] {
        this_thread_runs = &loop;
        loop.io.run();
      });
    }
  }

 private:
  /// Returns the first.
  static Loop& make_loops(ServerCore& core) {
    const std::size_t count = std::max<std::size_t>(1, core.options.threads);
    for (std::size_t i = 0; i < count; ++i) core.loops.push_back(std::make_unique<Loop>());
    return *core.loops.front();
  }

  /// That with the fewest connections; of equals the last, as the first also accepts them.
  Loop& pick_loop() const {
    const std::lock_guard lock(core_->mutex);
    return **std::ranges::min_element(core_->loops | std::views::reverse, {},
                                      [](const auto& loop) { return loop->sessions; });
  }

  void accept() {
    Loop& loop = pick_loop();
    acceptor_.async_accept(loop.io, [this, &loop](const error_code& error, tcp::socket socket) {
      if (!acceptor_.is_open()) return;
      if (!error) {
        serve(loop, std::move(socket));
        return accept();
      }
      // Out of descriptors, most likely: the connection stays in the backlog until some are free again.
      retry_.expires_after(kAcceptRetry);
      retry_.async_wait([this](const error_code&) {
        if (acceptor_.is_open()) accept();
      });
    });
  }

  void serve(Loop& loop, tcp::socket socket) {
    close_on_exec(socket.native_handle());
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    // Not released under the lock, which their destructors take.
    std::shared_ptr<Session> session, leaver;
    const std::lock_guard lock(core_->mutex);
    if (core_->stopping) return;
    session = std::make_shared<Session>(core_, loop, std::move(socket));
    const auto staying = core_->sessions.size() - core_->refused - core_->leaving.size();
    if (staying >= core_->options.max_connections) leaver = find_leaver();
    const bool refuse = staying >= core_->options.max_connections && !leaver;
    if (refuse && core_->refused >= kMaxRefused) return;
    if (refuse) ++core_->refused;
    core_->sessions.insert(session.get());
    if (leaver) {
      core_->leaving.insert(leaver.get());
      leaver->make_way();
    }
    refuse ? session->start_refusing() : session->start();
  }

  /// The connection that has owed a request for longest. Null: none does, or too many leave already. The lock
  /// is held.
  std::shared_ptr<Session> find_leaver() const {
    if (core_->leaving.size() >= kMaxLeaving) return nullptr;
    Session* longest = nullptr;
    auto since = Session::Moment::max();
    for (Session* session : core_->sessions) {
      const auto waits_since = session->waits_since();
      if (waits_since == Session::kOwesNothing || waits_since >= since || core_->leaving.contains(session))
        continue;
      longest = session;
      since = waits_since;
    }
    return longest == nullptr ? nullptr : longest->weak_from_this().lock();
  }

  std::shared_ptr<ServerCore> core_;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> work_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::uint16_t port_ = 0;
  std::vector<std::thread> threads_;
  std::vector<std::shared_ptr<Session>> closing_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::start(const HttpServerOptions& options, Handler handler) {
  auto listener = std::make_unique<Listener>(options, std::move(handler));
  if (auto listening = listener->listen(); !listening) return tl::unexpected(listening.error());
  listener->run();
  return listener;
}

}  // namespace ds::gateway
