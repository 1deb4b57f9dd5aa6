#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

#include "actors/gateway/http_server.hpp"
#include "tests/unit/gateway/echo_server.hpp"
#include "tests/unit/gateway/raw_client.hpp"

namespace ds::gateway::testing {
namespace {

using std::chrono::milliseconds;

/// Sends `bytes` and expects `status` with the JSON body of an error, then the end of the connection.
void expect_refused(std::uint16_t port, std::string_view bytes, int status) {
  SCOPED_TRACE(bytes.substr(0, 200));
  RawClient client(port);
  client.send(bytes);
  const auto response = client.receive();
  EXPECT_EQ(response.status, status);
  const auto body = nlohmann::json::parse(response.body, nullptr, false);
  ASSERT_FALSE(body.is_discarded()) << response.body;
  EXPECT_TRUE(body.at("error").at("code").is_string());
  EXPECT_FALSE(body.at("error").at("message").get<std::string>().empty());
  EXPECT_TRUE(body.at("error").at("hint").is_string());
  EXPECT_EQ(response.headers.at("connection"), "close");
  EXPECT_TRUE(client.closed_by_server());
}

TEST(HttpLimits, RefusesWhatIsNotHttp) {
  const auto server = start_server();
  for (const std::string_view garbage : {
           std::string_view("hello\r\n\r\n"),
           std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \r\n\r\n", 16),
           std::string_view("GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
           std::string_view("GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
           std::string_view("GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
           std::string_view("GET / HTTP/1.1\r\nHo\0st: x\r\n\r\n", 28),
           std::string_view("GET / HTTP/1.1\r\n\r\n"),
           std::string_view("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
           std::string_view("GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n"),
           std::string_view("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"),
           std::string_view("GET /?a=1&a=2 HTTP/1.1\r\nHost: x\r\n\r\n"),
           std::string_view("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
           std::string_view("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
           std::string_view("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
       }) {
    expect_refused(server->port(), garbage, 400);
  }
}

TEST(HttpLimits, RefusesABodyWhoseLengthIsToldTwice) {
  const auto server = start_server();
  const std::string start = "POST / HTTP/1.1\r\nHost: x\r\n";
  const std::string body = "\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  expect_refused(server->port(), start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" + body, 400);
  expect_refused(server->port(), start + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" + body, 400);
  expect_refused(server->port(), start + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400);
  expect_refused(server->port(), start + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", 400);
  expect_refused(server->port(), start + "Transfer-Encoding: gzip, chunked\r\n" + body, 400);
  expect_refused(server->port(), start + "Transfer-Encoding: identity\r\n" + body, 400);
  expect_refused(server->port(), "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + body, 400);
}

TEST(HttpLimits, RefusesHugeHeaders) {
  const auto server = start_server();
  const std::string start = "GET / HTTP/1.1\r\nHost: x\r\n";
  expect_refused(server->port(), start + "X: " + std::string(9000, 'a') + "\r\n\r\n", 431);
  expect_refused(server->port(), "GET /" + std::string(1'000'000, 'a'), 431);
  std::string many = start;
  for (int i = 0; i < 2000; ++i) many += fmt::format("X-{}: y\r\n", i);
  expect_refused(server->port(), many + "\r\n", 431);
}

TEST(HttpLimits, TakesHeadersJustUnderTheLimit) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(8000, 'a') + "\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
}

TEST(HttpLimits, RefusesABodyOverTheLimitBeforeItIsSent) {
  HttpServerOptions options;
  options.max_body_bytes = 1000;
  const auto server = start_server(answer_echo, options);
  const std::string start = "POST / HTTP/1.1\r\nHost: x\r\n";
  RawClient fits(server->port());
  fits.send(start + "Content-Length: 1000\r\n\r\n" + std::string(1000, 'a'));
  EXPECT_EQ(fits.receive().status, 200);
  expect_refused(server->port(), start + "Content-Length: 1001\r\n\r\n", 413);
  expect_refused(server->port(), start + "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n", 413);
  expect_refused(server->port(), start + "Content-Length: 900000\r\n\r\n" + std::string(900'000, 'a'), 413);
  expect_refused(server->port(), start + "Transfer-Encoding: chunked\r\n\r\n3E9\r\n" + std::string(1001, 'a'),
                 413);
  std::string small_chunks = start + "Transfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 30; ++i) small_chunks += "32\r\n" + std::string(50, 'a') + "\r\n";
  expect_refused(server->port(), small_chunks, 413);
  expect_refused(server->port(), start + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(100'000, 'x'),
                 431);
  expect_refused(server->port(), start + "Expect: tea\r\n\r\n", 417);
}

TEST(HttpLimits, GivesUpWhoReadsAnAnswerTooSlowly) {
  HttpServerOptions options;
  options.idle_timeout = milliseconds(1'000);
  options.least_read_rate = 64 << 20;
  const auto held = std::make_shared<int>(0);
  const auto server = start_server(
      [&held](const HttpRequest& request, const Respond& respond) {
        HttpResponse response;
        response.body.assign(request.path == "/small" ? 100'000 : 64 << 20, 'x');
        response.held = held;
        respond(std::move(response));
      },
      options);
  const auto wait_until_let_go = [&held] {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (held.use_count() > 1 && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(milliseconds(5));
    return held.use_count() == 1;
  };
  RawClient quick(server->port());
  quick.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(quick.receive().body.size(), 100'000U);
  EXPECT_TRUE(wait_until_let_go()) << "it is written, though the connection stays";

  RawClient slow(server->port());
  slow.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto taken = slow.read_slowly(512 << 10, milliseconds(100));  // 5 MiB/s, without a long pause
  EXPECT_GT(taken, 0U);
  EXPECT_LT(taken, std::size_t{64} << 20U);
  EXPECT_TRUE(wait_until_let_go());
}

TEST(HttpLimits, TakesLargeBodiesBelowOnePrefixWhileThereIsRoomForThem) {
  HttpServerOptions options;
  options.max_body_bytes = 1000;
  options.large_prefix = "/v2";
  options.max_large_body_bytes = 5000;
  options.max_large_bytes = 6000;
  std::promise<Respond> held;
  const auto server = start_server(
      [&](const HttpRequest& request, const Respond& respond) {
        if (request.body != std::string(4000, 'a')) return answer_echo(request, respond);
        held.set_value(respond);
      },
      options);
  const auto post = [](const std::string& path, std::size_t bytes, char fill) {
    return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n" +
           std::string(bytes, fill);
  };
  expect_refused(server->port(), post("/v1", 1001, 'b'), 413);
  expect_refused(server->port(), post("/v2b", 1001, 'b'), 413);
  expect_refused(server->port(), post("/v2", 5001, 'b'), 413);
  RawClient first(server->port());
  first.send(post("/v2/a", 4000, 'a'));
  auto taken = held.get_future();
  ASSERT_EQ(taken.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  expect_refused(server->port(), post("/v2/b", 4000, 'b'), 503);
  RawClient small(server->port());
  small.send(post("/v2/b", 1000, 'b'));
  EXPECT_EQ(small.receive().status, 200) << "small requests need no room";
  taken.get()(HttpResponse{200, "done", "text/plain", {}});
  EXPECT_EQ(first.receive().status, 200);
  RawClient next(server->port());
  next.send(post("/v2/b", 4000, 'b'));
  EXPECT_EQ(next.receive().status, 200) << "the room was not given back";
}

/// Options under which refusals below `/v2` are `{"error": TEXT}`.
HttpServerOptions with_protocol() {
  HttpServerOptions options;
  options.large_prefix = "/v2";
  options.max_large_body_bytes = 5000;
  options.large_refusal = [](int status, std::string_view message) {
    return HttpResponse{status, nlohmann::json{{"error", message}}.dump(), "application/json", {}};
  };
  return options;
}

TEST(HttpLimits, RefusesInTheFormOfTheProtocolThatIsSpokenBelowThePrefix) {
  const auto server = start_server(
      [](const HttpRequest& request, const Respond& respond) {
        if (request.path.ends_with("/throws")) throw std::runtime_error("it broke");
        if (request.path.ends_with("/late"))
          return respond(Reply([]() -> HttpResponse { throw std::runtime_error("it broke late"); }));
        answer_echo(request, respond);
      },
      with_protocol());
  struct Case {
    const char* what;
    std::string bytes;
    int status;
    const char* text;
  };
  const std::string host = " HTTP/1.1\r\nHost: x\r\n";
  const std::string post = "POST /v2/a" + host;
  std::string many = "GET /v2/a" + host;
  for (int i = 0; i < 2000; ++i) many += fmt::format("X-{}: y\r\n", i);
  const std::vector<Case> cases{
      {"large header", "GET /v2/a" + host + "X: " + std::string(9000, 'a') + "\r\n\r\n", 431, "8192"},
      {"many headers", many + "\r\n", 431, "8192"},
      {"long target", "GET /v2/" + std::string(1'000'000, 'a'), 431, "8192"},
      {"other version", "GET /v2/a HTTP/2.0\r\nHost: x\r\n\r\n", 400, "HTTP/1.1"},
      {"bad target", "GET /v2/\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "HTTP/1.1"},
      {"bad header", "GET /v2/a HTTP/1.1\r\nHost : x\r\n\r\n", 400, "HTTP/1.1"},
      {"no host", "GET /v2/a HTTP/1.1\r\n\r\n", 400, "Host"},
      {"two hosts", "GET /v2/a" + host + "Host: y\r\n\r\n", 400, "Host"},
      {"no length", post + "Content-Length: ten\r\n\r\n", 400, "HTTP/1.1"},
      {"length below 0", post + "Content-Length: -1\r\n\r\n", 400, "HTTP/1.1"},
      {"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, ""},
      {"length and coding", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
       "Transfer-Encoding"},
      {"unknown coding", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "chunked"},
      {"bad chunk", post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "HTTP/1.1"},
      {"large body", post + "Content-Length: 999999\r\n\r\n", 413, "5000"},
      {"expectation", post + "Content-Length: 1\r\nExpect: tea\r\n\r\n", 417, "100-continue"},
      {"from a page", post + "Origin: http://x\r\nContent-Length: 1\r\n\r\na", 403, "browser"},
      {"broken escape", "GET /v2/%zz" + host + "\r\n", 400, "%25"},
      {"a query twice", "GET /v2/a?x=1&x=2" + host + "\r\n", 400, "twice"},
      {"by a proxy", "POST http://x/v2/a" + host + "Content-Length: 999999\r\n\r\n", 413, "5000"},
      {"thrown", "GET /v2/throws" + host + "\r\n", 500, "it broke"},
      {"thrown late", "GET /v2/late" + host + "\r\n", 500, "it broke late"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.what);
    RawClient client(server->port());
    client.send(one.bytes);
    const auto response = client.receive();
    EXPECT_EQ(response.status, one.status) << response.body;
    const auto type = response.headers.find("content-type");
    ASSERT_NE(type, response.headers.end());
    EXPECT_EQ(type->second, "application/json");
    const auto body = nlohmann::json::parse(response.body, nullptr, false);
    ASSERT_TRUE(body.is_object() && body.size() == 1 && body.contains("error")) << response.body;
    ASSERT_TRUE(body.at("error").is_string()) << response.body;
    EXPECT_NE(body.at("error").get<std::string>().find(one.text), std::string::npos) << response.body;
  }
}

TEST(HttpLimits, RefusesElsewhereInItsOwnForm) {
  const auto server = start_server(answer_echo, with_protocol());
  const std::string host = " HTTP/1.1\r\nHost: x\r\n";
  expect_refused(server->port(), "POST /jobs" + host + "Content-Length: 999999\r\n\r\n", 413);
  expect_refused(server->port(), "GET /v2models" + host + "X: " + std::string(9000, 'a') + "\r\n\r\n", 431);
  expect_refused(server->port(), "GET /" + std::string(9000, 'a') + " /v2", 431);
  expect_refused(server->port(), "/v2 HTTP/1.1\r\n\r\n", 400);
}

TEST(HttpLimits, KeepsNoRoomForLargeBodiesThatHaveNotCome) {
  HttpServerOptions options;
  options.max_body_bytes = 1000;
  options.large_prefix = "/v2";
  options.max_large_body_bytes = 5000;
  options.max_large_bytes = 9500;
  const auto server = start_server(answer_echo, options);
  const std::string start = "POST /v2 HTTP/1.1\r\nHost: x\r\n";
  // Who is told to go on has been looked at.
  RawClient chunks(server->port()), announced(server->port());
  chunks.send(start + "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_EQ(chunks.receive(false).status, 100);
  announced.send(start + "Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_EQ(announced.receive(false).status, 100);
  RawClient other(server->port());
  other.send(start + "Content-Length: 4000\r\n\r\n" + std::string(4000, 'b'));
  EXPECT_EQ(other.receive().status, 200);
  announced.send(std::string(5000, 'c'));
  EXPECT_EQ(announced.receive().status, 200);
}

TEST(HttpLimits, RefusesChunksForWhichThereIsNoRoom) {
  HttpServerOptions options;
  options.max_body_bytes = 1000;
  options.large_prefix = "/v2";
  options.max_large_body_bytes = 5000;
  options.max_large_bytes = 6000;
  std::promise<Respond> held;
  const auto server = start_server(
      [&](const HttpRequest& request, const Respond& respond) {
        if (request.body != std::string(4000, 'a')) return answer_echo(request, respond);
        held.set_value(respond);
      },
      options);
  RawClient first(server->port());
  first.send("POST /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n" + std::string(4000, 'a'));
  auto taken = held.get_future();
  ASSERT_EQ(taken.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  const std::string chunked = "POST /v2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect_refused(server->port(), chunked + "BB8\r\n" + std::string(3000, 'b') + "\r\n0\r\n\r\n", 503);
  taken.get()(HttpResponse{200, "done", "text/plain", {}});
  EXPECT_EQ(first.receive().status, 200);
  RawClient next(server->port());
  next.send(chunked + "BB8\r\n" + std::string(3000, 'b') + "\r\n0\r\n\r\n");
  EXPECT_EQ(next.receive().status, 200);
}

TEST(HttpLimits, GivesUpOnHeadersThatComeTooSlowly) {
  HttpServerOptions options;
  options.header_timeout = milliseconds(200);
  const auto server = start_server(answer_echo, options);
  RawClient slow(server->port());
  std::atomic<bool> refused{false};
  std::thread dripping([&] {  // a byte now and then must not put the deadline off
    slow.send("GET / HTTP/1.1\r\nX: ");
    while (!refused && slow.send("a")) std::this_thread::sleep_for(milliseconds(20));
  });
  EXPECT_EQ(slow.receive().status, 408);
  refused = true;
  dripping.join();
  RawClient silent(server->port());
  EXPECT_TRUE(silent.closed_by_server());
}

TEST(HttpLimits, GivesUpOnABodyThatDoesNotCome) {
  HttpServerOptions options;
  options.idle_timeout = milliseconds(200);
  const auto server = start_server(answer_echo, options);
  RawClient client(server->port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(client.receive().status, 408);
  EXPECT_TRUE(client.closed_by_server());
}

TEST(HttpLimits, ClosesAnIdleConnectionWithoutAWord) {
  HttpServerOptions options;
  options.idle_timeout = milliseconds(200);
  const auto server = start_server(answer_echo, options);
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(client.closed_by_server());
}

TEST(HttpLimits, ClosesOnAReaderThatHasStopped) {
  HttpServerOptions options;
  options.idle_timeout = milliseconds(200);
  const auto server = start_server(
      [](const HttpRequest&, const Respond& respond) {
        HttpResponse response;
        response.body.assign(64 << 20, 'a');
        respond(std::move(response));
      },
      options);
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  // Nothing is read until the server has given up, which shows as a write that fails.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  bool open = true;
  while (open && std::chrono::steady_clock::now() < deadline) {
    open = client.send("x");
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_FALSE(open);
}

TEST(HttpLimits, Answers504WhenTheHandlerNeverDoes) {
  HttpServerOptions options;
  options.answer_timeout = milliseconds(200);
  Respond kept;
  const auto server =
      start_server([&](const HttpRequest&, Respond respond) { kept = std::move(respond); }, options);
  expect_refused(server->port(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 504);
  kept({});  // too late, and harmless
  expect_refused(server->port(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 504);
}

/// Keeps all requests for `/held` unanswered until it is told to answer.
class HoldingHandler {
 public:
  void operator()(const HttpRequest& request, const Respond& respond) {
    if (request.path != "/held") return answer_echo(request, respond);
    const std::lock_guard lock(mutex_);
    held_.push_back(respond);
  }
  std::size_t held() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  void answer() {
    const std::lock_guard lock(mutex_);
    for (const auto& respond : held_) respond(HttpResponse{200, "at last", "text/plain", {}});
    held_.clear();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Respond> held_;
};

template <class Condition>
bool comes_true(const Condition& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

int status_of_a_get(RawClient& client) {
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  return client.receive().status;
}

TEST(HttpLimits, TellsConnectionsBeyondTheBound) {
  HttpServerOptions options;
  options.max_connections = 3;
  HoldingHandler holding;
  const auto server = start_server(std::ref(holding), options);
  std::vector<std::unique_ptr<RawClient>> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(std::make_unique<RawClient>(server->port()));
    held.back()->send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  ASSERT_TRUE(comes_true([&] { return holding.held() == 3; }));
  expect_refused(server->port(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 503);
  holding.answer();
  for (const auto& client : held) EXPECT_EQ(client->receive().status, 200) << "nobody took its place";
  EXPECT_TRUE(comes_true([&] {
    RawClient next(server->port());
    return status_of_a_get(next) == 200;
  }));
}

TEST(HttpLimits, GivesThePlaceOfWhoOwesARequestForLongestToANewConnection) {
  HttpServerOptions options;
  options.max_connections = 3;
  const auto server = start_server(answer_echo, options);
  RawClient slow(server->port());
  slow.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Le");
  RawClient idle(server->port()), busy(server->port());
  ASSERT_EQ(status_of_a_get(idle), 200);
  ASSERT_EQ(status_of_a_get(busy), 200);
  RawClient first(server->port());
  EXPECT_EQ(status_of_a_get(first), 200);
  EXPECT_EQ(slow.receive().status, 503) << "and it is told so";
  ASSERT_EQ(status_of_a_get(busy), 200);
  RawClient second(server->port());
  EXPECT_EQ(status_of_a_get(second), 200);
  EXPECT_TRUE(idle.closed_by_server()) << "without a word, as after its time";
  EXPECT_EQ(status_of_a_get(busy), 200) << "who has asked since then stays";
}

TEST(HttpLimits, KeepsNobodyOutForClientsThatOweTheirBodies) {
  HttpServerOptions options;
  options.max_connections = 20;
  const auto server = start_server(answer_echo, options);
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 100; ++i) {
    slow.push_back(std::make_unique<RawClient>(server->port()));
    slow.back()->send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
  }
  for (int i = 0; i < 30; ++i) {
    RawClient next(server->port());
    EXPECT_EQ(status_of_a_get(next), 200);
  }
  EXPECT_EQ(slow.front()->receive().status, 503);
}

TEST(HttpLimits, KeepsServingAfterManyBrokenConnections) {
  const auto server = start_server();
  for (int i = 0; i < 300; ++i) {
    RawClient client(server->port());
    client.send(i % 2 == 0 ? "GET / HT" : "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  }
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
}

}  // namespace
}  // namespace ds::gateway::testing
