// Submits many jobs over a few connections that stay open, each with one request under way, and prints how
// long it took.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "bench_submit_load: %s\n", why.c_str());
  std::exit(1);
}

/// What is asked for: every `#` in the body becomes the number of the job.
class Requests {
 public:
  Requests(std::string host, std::string body, std::uint64_t count)
      : host_(std::move(host)), body_(std::move(body)), count_(count) {}

  bool is_empty() const { return made_ == count_; }
  std::string next() {
    std::string body;
    for (const char c : body_) c == '#' ? body += std::to_string(made_) : body += c;
    ++made_;
    return "POST /api/v1/jobs HTTP/1.1\r\nHost: " + host_ +
           "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }

 private:
  const std::string host_, body_;
  const std::uint64_t count_;
  std::uint64_t made_ = 0;
};

class Connection {
 public:
  Connection(const std::string& host, std::uint16_t port)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) give_up(host + " is not an IPv4 address");
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      give_up(std::string("cannot connect: ") + std::strerror(errno));
    const int yes = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  Connection(Connection&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  ~Connection() {
    if (socket_ >= 0) close(socket_);
  }

  int socket() const { return socket_; }
  bool is_waiting() const { return waiting_; }

  void ask(const std::string& request) {
    for (std::size_t sent = 0; sent < request.size();) {
      const auto bytes = send(socket_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (bytes <= 0) give_up(std::string("cannot send: ") + std::strerror(errno));
      sent += static_cast<std::size_t>(bytes);
    }
    waiting_ = true;
    since_ = Clock::now();
  }

  /// Reads what is there; true when the answer is whole, which then took `*ms`.
  bool read(double* ms) {
    char bytes[16 << 10];
    const auto got = recv(socket_, bytes, sizeof bytes, 0);
    if (got <= 0) give_up("the head closed a connection");
    answer_.append(bytes, static_cast<std::size_t>(got));
    const auto head_end = answer_.find("\r\n\r\n");
    if (head_end == std::string::npos) return false;
    const auto length = answer_.find("Content-Length: ");
    if (length == std::string::npos || length > head_end) give_up("an answer without a length: " + answer_);
    const auto body = std::strtoull(answer_.c_str() + length + 16, nullptr, 10);
    if (answer_.size() < head_end + 4 + body) return false;
    if (!answer_.starts_with("HTTP/1.1 201")) give_up("not accepted: " + answer_);
    *ms = std::chrono::duration<double, std::milli>(Clock::now() - since_).count();
    answer_.clear();
    waiting_ = false;
    return true;
  }

 private:
  int socket_;
  std::string answer_;
  bool waiting_ = false;
  Clock::time_point since_;
};

/// How long each request took.
std::vector<double> submit_all(std::vector<Connection>& connections, Requests& requests) {
  std::vector<double> times_ms;
  std::vector<pollfd> watched;
  for (auto& connection : connections) watched.push_back({connection.socket(), POLLIN, 0});
  std::size_t waiting = 0;
  while (waiting > 0 || !requests.is_empty()) {
    for (auto& connection : connections) {
      if (connection.is_waiting() || requests.is_empty()) continue;
      connection.ask(requests.next());
      ++waiting;
    }
    if (poll(watched.data(), watched.size(), 60'000) <= 0) give_up("no answer for a minute");
    for (std::size_t i = 0; i < watched.size(); ++i) {
      double ms = 0;
      if (watched[i].revents == 0 || !connections[i].read(&ms)) continue;
      times_ms.push_back(ms);
      --waiting;
    }
  }
  return times_ms;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) give_up("bench_submit_load HOST:PORT BODY_FILE JOBS CONNECTIONS");
  const std::string address = argv[1];
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) give_up(address + " is not HOST:PORT");
  std::ifstream file(argv[2]);
  if (!file) give_up(std::string("cannot read ") + argv[2]);
  Requests requests(address, {std::istreambuf_iterator<char>(file), {}}, std::strtoull(argv[3], nullptr, 10));
  std::vector<Connection> connections;
  for (int i = 0; i < std::atoi(argv[4]); ++i)
    connections.emplace_back(address.substr(0, colon),
                             static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
  const auto start = Clock::now();
  auto times_ms = submit_all(connections, requests);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::ranges::sort(times_ms);
  const auto at = [&](double share) {
    return times_ms[static_cast<std::size_t>(share * static_cast<double>(times_ms.size() - 1))];
  };
  std::printf("{\"seconds\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n", seconds, at(0.5),
              at(0.99), at(1));
  return 0;
}
