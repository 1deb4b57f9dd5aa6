#include "actors/gateway/port_watch.hpp"

#include <array>
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>
#include <utility>

#include "actors/gateway/host_port.hpp"

namespace ds::gateway {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// Before a port is asked again that has ended a connection.
constexpr std::chrono::milliseconds kPause{200};

class Watch : public std::enable_shared_from_this<Watch> {
 public:
  /// `count`: of those that watch.
  Watch(asio::io_context& io, std::atomic<int>& count, HostPort target, std::function<void()> on_closed)
      : count_(count),
        target_(std::move(target)),
        on_closed_(std::move(on_closed)),
        resolver_(io),
        socket_(io),
        pause_(io),
        end_(io) {}

  void start(std::chrono::milliseconds for_at_most) {
    end_.expires_after(for_at_most);
    end_.async_wait([self = shared_from_this()](const error_code&) { self->finish(); });
    ask();
  }

 private:
  void ask() {
    resolver_.async_resolve(
        target_.host, std::to_string(target_.port),
        [self = shared_from_this()](const error_code& error, const tcp::resolver::results_type& found) {
          if (self->finished_) return;
          if (error) return self->ask_again();
          asio::async_connect(self->socket_, found, [self](const error_code& failure, const tcp::endpoint&) {
            self->on_connected(failure);
          });
        });
  }

  void on_connected(const error_code& error) {
    if (finished_) return;
    if (error == asio::error::connection_refused) {
      finish();
      return on_closed_();
    }
    error ? ask_again() : wait_for_end();
  }

  void wait_for_end() {
    socket_.async_read_some(asio::buffer(ignored_),
                            [self = shared_from_this()](const error_code& error, std::size_t) {
                              if (self->finished_) return;
                              error ? self->ask_again() : self->wait_for_end();
                            });
  }

  void ask_again() {
    error_code ignored;
    socket_.close(ignored);
    pause_.expires_after(kPause);
    pause_.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error && !self->finished_) self->ask();
    });
  }

  void finish() {
    if (std::exchange(finished_, true)) return;
    --count_;
    error_code ignored;
    socket_.close(ignored);
    resolver_.cancel();
    pause_.cancel();
    end_.cancel();
  }

  std::atomic<int>& count_;
  const HostPort target_;
  const std::function<void()> on_closed_;
  tcp::resolver resolver_;
  tcp::socket socket_;
  asio::steady_timer pause_, end_;
  std::array<char, 256> ignored_{};
  bool finished_ = false;
};

}  // namespace

bool is_port_closed(const std::string& host_port, std::chrono::milliseconds timeout) {
  auto target = parse_host_port(host_port);
  if (!target) return false;
  asio::io_context io;
  tcp::resolver resolver(io);
  tcp::socket socket(io);
  bool is_closed = false;
  resolver.async_resolve(target->host, std::to_string(target->port),
                         [&](const error_code& error, const tcp::resolver::results_type& found) {
                           if (error) return;
                           asio::async_connect(socket, found,
                                               [&](const error_code& failure, const tcp::endpoint&) {
                                                 is_closed = failure == asio::error::connection_refused;
                                               });
                         });
  io.run_for(timeout);
  return is_closed;
}

struct PortWatch::Parts {
  std::atomic<int> count{0};
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  std::thread thread{[this] { io.run(); }};
};

PortWatch::PortWatch() : parts_(std::make_unique<Parts>()) {}

PortWatch::~PortWatch() {
  parts_->io.stop();
  parts_->thread.join();
}

void PortWatch::watch(const std::string& host_port, std::chrono::milliseconds for_at_most,
                      std::function<void()> on_closed) {
  auto target = parse_host_port(host_port);
  if (!target) return;
  if (++parts_->count > kMost) {
    --parts_->count;
    return;
  }
  const auto one =
      std::make_shared<Watch>(parts_->io, parts_->count, std::move(*target), std::move(on_closed));
  asio::post(parts_->io, [one, for_at_most] { one->start(for_at_most); });
}

}  // namespace ds::gateway
