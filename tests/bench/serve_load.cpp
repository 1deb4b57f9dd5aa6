// Asks an HTTP server the same thing again and again over connections that stay open, and prints what came of
// it as one JSON object.
//
// With `--rate` the loop is open: requests are due at random moments (exponential gaps), whatever became of
// those before, and a latency counts from the moment at which its request was due, so that a server that
// stands still is charged for all that it kept waiting. Without it each connection asks as soon as it has its
// answer.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Options {
  std::string address, path, body_file;
  std::vector<std::string> headers;
  std::size_t connections = 1;
  double rate = 0;  ///< requests a second; 0: as fast as answers come
  double seconds = 1;
  double warm = 0;     ///< before them, and not counted
  double step_at = 0;  ///< after so many of the seconds the rate is `step_times` as high
  double step_times = 1;
  double window = 0;  ///< seconds; 0: no windows are printed
  std::uint64_t seed = 1;
};

/// Answers that are not there so long after the last request was due never come.
constexpr std::chrono::seconds kPatience{30};

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "bench_serve_load: {}\n", why);
  std::exit(1);
}

struct Sample {
  double due_s = 0;  ///< after the warm-up's end
  double ms = 0;
  bool ok = false;
};

class Load {
 public:
  Load(const Options& options, tcp::endpoint server, std::string request)
      : options_(options),
        server_(std::move(server)),
        request_(std::move(request)),
        random_(options.seed),
        arrival_(io_),
        end_(io_) {}

  void run() {
    begin_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(options_.warm));
    stop_ = begin_ + std::chrono::duration_cast<Clock::duration>(Seconds(options_.seconds));
    next_ = Clock::now();
    for (std::size_t i = 0; i < options_.connections; ++i)
      connections_.push_back(std::make_unique<Connection>(io_));
    for (auto& connection : connections_) open(*connection);
    if (options_.rate > 0) wait_for_next();
    end_.expires_at(stop_ + kPatience);
    end_.async_wait([this](const error_code& error) {
      if (!error) io_.stop();
    });
    io_.run();
    const auto now = Clock::now();
    for (const auto due : waiting_) note(due, now, false);
    for (const auto& connection : connections_) {
      if (connection->due) note(*connection->due, now, false);
    }
  }

  void print() const {
    std::vector<double> all;
    std::uint64_t ok = 0;
    for (const Sample& sample : samples_) {
      all.push_back(sample.ms);
      ok += sample.ok ? 1 : 0;
    }
    std::string statuses;
    for (const auto& [status, count] : statuses_)
      statuses += fmt::format("{}\"{}\": {}", statuses.empty() ? "" : ", ", status, count);
    const double seconds = Seconds(last_answer_ - begin_).count();
    fmt::print(
        "{{\"requests\": {}, \"ok\": {}, \"per_s\": {:.3f}, \"p50_ms\": {:.4f}, \"p99_ms\": {:.4f}, "
        "\"max_ms\": {:.4f}, \"statuses\": {{{}}}, \"windows\": [{}]}}\n",
        samples_.size(), ok, seconds > 0 ? static_cast<double>(ok) / seconds : 0, percentile(all, 0.5),
        percentile(all, 0.99), percentile(all, 1), statuses, fmt::join(windows(), ", "));
  }

 private:
  struct Connection {
    explicit Connection(asio::io_context& io) : socket(io) {}
    tcp::socket socket;
    boost::beast::flat_buffer buffer;
    std::optional<http::response_parser<http::string_body>> parser;
    std::optional<Clock::time_point> due;  ///< of the request under way
    bool is_open = false;
  };

  static double percentile(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    const auto place = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(place), values.end());
    return values[place];
  }

  /// `[from_s, requests, failed, p99_ms]` of each window, by when requests were due.
  std::vector<std::string> windows() const {
    std::map<std::int64_t, std::pair<std::vector<double>, std::uint64_t>> by_window;
    if (options_.window > 0) {
      for (const Sample& sample : samples_) {
        auto& [times, failed] = by_window[static_cast<std::int64_t>(sample.due_s / options_.window)];
        times.push_back(sample.ms);
        failed += sample.ok ? 0 : 1;
      }
    }
    std::vector<std::string> printed;
    for (const auto& [number, window] : by_window) {
      printed.push_back(fmt::format("[{:.3f}, {}, {}, {:.3f}]", static_cast<double>(number) * options_.window,
                                    window.first.size(), window.second, percentile(window.first, 0.99)));
    }
    return printed;
  }

  // ---- what is due ----------------------------------------------------------------------------

  void wait_for_next() {
    arrival_.expires_at(next_);
    arrival_.async_wait([this](const error_code& error) {
      if (error) return;
      const auto now = Clock::now();
      while (next_ <= now && next_ < stop_) {
        waiting_.push_back(next_);
        const bool has_stepped = Seconds(next_ - begin_).count() >= options_.step_at;
        const double rate = options_.rate * (has_stepped ? options_.step_times : 1);
        next_ += std::chrono::duration_cast<Clock::duration>(
            Seconds(std::exponential_distribution<double>(rate)(random_)));
      }
      give_out();
      if (next_ < stop_) return wait_for_next();
      is_over_ = true;
      end_if_done();
    });
  }

  void give_out() {
    while (!waiting_.empty() && !free_.empty()) {
      Connection& connection = *free_.back();
      free_.pop_back();
      const auto due = waiting_.front();
      waiting_.pop_front();
      ask(connection, due);
    }
  }

  void on_free(Connection& connection) {
    if (options_.rate > 0) {
      free_.push_back(&connection);
      give_out();
    } else if (const auto now = Clock::now(); now < stop_) {
      return ask(connection, now);
    } else {
      is_over_ = true;
    }
    end_if_done();
  }

  void end_if_done() {
    const bool is_busy =
        std::ranges::any_of(connections_, [](const auto& one) { return one->due.has_value(); });
    if (is_over_ && waiting_.empty() && !is_busy) io_.stop();
  }

  void note(Clock::time_point due, Clock::time_point now, bool ok) {
    if (due < begin_) return;
    samples_.push_back({Seconds(due - begin_).count(), 1000 * Seconds(now - due).count(), ok});
    last_answer_ = std::max(last_answer_, now);
  }

  // ---- one connection -------------------------------------------------------------------------

  void open(Connection& connection) {
    connection.socket.async_connect(server_, [this, &connection](const error_code& error) {
      if (error) give_up("cannot connect: " + error.message());
      connection.socket.set_option(tcp::no_delay(true));
      connection.is_open = true;
      on_free(connection);
    });
  }

  void ask(Connection& connection, Clock::time_point due) {
    connection.due = due;
    connection.parser.emplace();
    connection.parser->body_limit(std::uint64_t{1} << 30);
    asio::async_write(connection.socket, asio::buffer(request_),
                      [this, &connection](const error_code& error, std::size_t) {
                        if (error) return on_broken(connection);
                        read(connection);
                      });
  }

  void read(Connection& connection) {
    http::async_read(connection.socket, connection.buffer, *connection.parser,
                     [this, &connection](const error_code& error, std::size_t) {
                       if (error) return on_broken(connection);
                       on_answer(connection);
                     });
  }

  void on_answer(Connection& connection) {
    const unsigned status = connection.parser->get().result_int();
    ++statuses_[status];
    note(*connection.due, Clock::now(), status == 200);
    connection.due.reset();
    if (connection.parser->get().keep_alive()) return on_free(connection);
    reopen(connection);
  }

  void on_broken(Connection& connection) {
    ++statuses_[0];
    note(*connection.due, Clock::now(), false);
    connection.due.reset();
    reopen(connection);
  }

  void reopen(Connection& connection) {
    error_code ignored;
    connection.socket.close(ignored);
    connection.buffer.clear();
    open(connection);
  }

  const Options options_;
  const tcp::endpoint server_;
  const std::string request_;
  asio::io_context io_{1};
  std::mt19937_64 random_;
  asio::steady_timer arrival_, end_;
  Clock::time_point begin_, stop_, next_, last_answer_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> free_;
  std::deque<Clock::time_point> waiting_;  ///< due, and no connection is free
  bool is_over_ = false;
  std::vector<Sample> samples_;
  std::map<unsigned, std::uint64_t> statuses_;  ///< 0: the connection broke
};

std::string request_of(const Options& options) {
  std::ifstream file(options.body_file, std::ios::binary);
  if (!file) give_up("cannot read " + options.body_file);
  const std::string body{std::istreambuf_iterator<char>(file), {}};
  std::string head = fmt::format("POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", options.path,
                                 options.address, body.size());
  for (const std::string& header : options.headers) head += header + "\r\n";
  return head + "\r\n" + body;
}

tcp::endpoint endpoint_of(const std::string& address) {
  const auto colon = address.rfind(':');
  error_code error;
  const auto host = asio::ip::make_address(address.substr(0, colon), error);
  if (colon == std::string::npos || error) give_up(address + " is not ADDRESS:PORT");
  return {host, static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1))};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Loads an HTTP server and prints rates and latencies."};
  app.add_option("address", options.address, "ADDRESS:PORT")->required();
  app.add_option("path", options.path, "what is posted to")->required();
  app.add_option("body", options.body_file, "file of what is posted")->required();
  app.add_option("--header", options.headers, "of each request, whole: 'Content-Type: application/json'");
  app.add_option("--connections", options.connections)->check(CLI::Range(1, 1000));
  app.add_option("--rate", options.rate, "requests a second; 0: as fast as answers come");
  app.add_option("--seconds", options.seconds);
  app.add_option("--warm", options.warm, "seconds before them that don't count");
  app.add_option("--step-at", options.step_at, "seconds after which the rate is --step-times as high");
  app.add_option("--step-times", options.step_times);
  app.add_option("--window", options.window, "seconds of the windows that are printed");
  app.add_option("--seed", options.seed);
  CLI11_PARSE(app, argc, argv);
  Load load(options, endpoint_of(options.address), request_of(options));
  load.run();
  load.print();
  return 0;
}
