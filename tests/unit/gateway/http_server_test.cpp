#include "actors/gateway/http_server.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/gateway/echo_server.hpp"
#include "tests/unit/gateway/raw_client.hpp"

namespace ds::gateway::testing {
namespace {

using std::chrono::steady_clock;

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(HttpServer, AnswersARequest) {
  const auto server = start_server();
  RawClient client(server->port());
  ASSERT_TRUE(client.send("POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"));
  const auto response = client.receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "POST /jobs hello");
  EXPECT_EQ(response.headers.at("content-type"), "text/plain");
  EXPECT_EQ(response.headers.at("connection"), "keep-alive");
}

TEST(HttpServer, LetsNoPageOfABrowserChangeAnything) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send("POST /jobs HTTP/1.1\r\nHost: x\r\nOrigin: http://elsewhere\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(client.receive().status, 403);
  RawClient reader(server->port());
  reader.send("GET /a HTTP/1.1\r\nHost: x\r\nOrigin: http://elsewhere\r\n\r\n");
  EXPECT_EQ(reader.receive().status, 200);
}

TEST(HttpServer, PutsARequestTogetherThatArrivesByteByByte) {
  const auto server = start_server();
  RawClient client(server->port());
  for (const char byte :
       std::string_view("POST /a%20b?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")) {
    ASSERT_TRUE(client.send(std::string_view(&byte, 1)));
  }
  EXPECT_EQ(client.receive().body, "POST /a b abc");
}

TEST(HttpServer, ReadsAChunkedBody) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send(
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(client.receive().body, "POST / abcde");
  client.send(kGet);
  EXPECT_EQ(client.receive().status, 200);
}

TEST(HttpServer, HandsOverQueryAndHeaders) {
  std::optional<HttpRequest> seen;
  const auto server = start_server([&](HttpRequest request, const Respond& respond) {
    seen = std::move(request);
    respond({});
  });
  RawClient client(server->port());
  client.send(
      "GET /p?offset=10&name=a+b%2Bc HTTP/1.1\r\nHost: x\r\nIdempotency-Key: K1\r\nX-A: 1\r\nX-A: 2\r\n\r\n");
  ASSERT_EQ(client.receive().status, 200);
  EXPECT_EQ(seen->query.at("offset"), "10");
  EXPECT_EQ(seen->query.at("name"), "a b+c");
  EXPECT_EQ(seen->headers.at("idempotency-key"), "K1");
  EXPECT_EQ(seen->headers.at("x-a"), "1, 2");
}

TEST(HttpServer, ServesAThousandRequestsOnOneConnection) {
  const auto server = start_server();
  RawClient client(server->port());
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(client.send(fmt::format("POST /{0} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb", i)));
    ASSERT_EQ(client.receive().body, fmt::format("POST /{} b", i));
  }
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  const auto server = start_server();
  RawClient client(server->port());
  std::string requests;
  for (int i = 0; i < 200; ++i)
    requests += fmt::format("POST /{} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb", i);
  ASSERT_TRUE(client.send(requests));
  for (int i = 0; i < 200; ++i) ASSERT_EQ(client.receive().body, fmt::format("POST /{} b", i));
}

TEST(HttpServer, LeavesTheBodyOutOfTheAnswerToHead) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto head = client.receive(false);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), "7");
  client.send(kGet);
  EXPECT_EQ(client.receive().body, "GET /a ");
}

TEST(HttpServer, AsksForTheBodyThatAClientHoldsBack) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.receive().status, 100);
  client.send("abc");
  EXPECT_EQ(client.receive().body, "POST / abc");
}

TEST(HttpServer, ClosesWhenTheClientAsksForIt) {
  const auto server = start_server();
  RawClient modern(server->port());
  modern.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(modern.receive().headers.at("connection"), "close");
  EXPECT_TRUE(modern.closed_by_server());
  RawClient old(server->port());
  old.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.receive().status, 200);
  EXPECT_TRUE(old.closed_by_server());
}

TEST(HttpServer, AnswersAClientThatHasClosedItsSide) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send(kGet);
  client.finish_sending();
  EXPECT_EQ(client.receive().body, "GET /a ");
  EXPECT_TRUE(client.closed_by_server());
}

/// Of the first request below `/long`, which is not answered.
class GoneClient {
 public:
  void take(const HttpRequest& request, const Respond& respond) {
    if (!request.path.starts_with("/long")) {
      EXPECT_EQ(request.client, nullptr);
      return answer_echo(request, respond);
    }
    respond_ = respond;
    request.client->on_gone([this] {
      is_gone_ = true;
      changed_.notify_all();
    });
    has_come_ = true;
    changed_.notify_all();
  }
  bool has_come() { return wait_for(has_come_); }
  bool is_gone() { return wait_for(is_gone_); }
  bool is_gone_now() const { return is_gone_; }
  void answer() { respond_({}); }

 private:
  bool wait_for(const std::atomic<bool>& flag) {
    std::unique_lock lock(mutex_);
    const auto end = steady_clock::now() + std::chrono::seconds(60);
    while (!flag && steady_clock::now() < end) changed_.wait_for(lock, std::chrono::milliseconds(20));
    return flag;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> has_come_{false}, is_gone_{false};
  Respond respond_;
};

std::unique_ptr<HttpServer> start_server_for(GoneClient& gone) {
  HttpServerOptions options;
  options.large_prefix = "/long";
  return start_server(
      [&](const HttpRequest& request, const Respond& respond) { gone.take(request, respond); }, options);
}

constexpr std::string_view kLong = "POST /long HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na";

TEST(HttpServer, SaysWhenTheClientOfALongRequestIsGone) {
  GoneClient gone;
  const auto server = start_server_for(gone);
  {
    RawClient client(server->port());
    client.send(kGet);
    ASSERT_EQ(client.receive().status, 200);
    client.send(kLong);
    ASSERT_TRUE(gone.has_come());
    EXPECT_FALSE(gone.is_gone_now());
  }
  EXPECT_TRUE(gone.is_gone());
  gone.answer();  // to nobody
}

TEST(HttpServer, AClientThatSendsItsNextRequestMeanwhileIsStillThere) {
  GoneClient gone;
  const auto server = start_server_for(gone);
  RawClient client(server->port());
  client.send(kLong);
  ASSERT_TRUE(gone.has_come());
  client.send(kGet);
  gone.answer();
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(client.receive().body, "GET /a ");
  EXPECT_FALSE(gone.is_gone_now());
}

TEST(ClientWatch, TellsThoseWhoAskTooLateAtOnce) {
  ClientWatch watch;
  int told = 0;
  watch.set_gone();
  watch.on_gone([&] { ++told; });
  watch.set_gone();
  EXPECT_EQ(told, 1);
}

TEST(HttpServer, SendsALargeBodyWhole) {
  std::string large(50'000'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 2654435761u >> 13);
  const auto server = start_server([&](const HttpRequest&, const Respond& respond) {
    HttpResponse response;
    response.body = large;
    respond(std::move(response));
  });
  RawClient client(server->port());
  client.send(kGet);
  EXPECT_TRUE(client.receive().body == large);
  client.send(kGet);
  EXPECT_TRUE(client.receive().body == large);
}

TEST(HttpServer, TakesTheAnswerFromAnotherThread) {
  std::vector<std::thread> threads;
  std::mutex mutex;
  {
    const auto server = start_server([&](HttpRequest request, const Respond& respond) {
      const std::lock_guard lock(mutex);
      threads.emplace_back([request = std::move(request), respond] { answer_echo(request, respond); });
    });
    RawClient client(server->port());
    for (int i = 0; i < 50; ++i) {
      client.send(kGet);
      ASSERT_EQ(client.receive().body, "GET /a ");
    }
  }
  for (auto& thread : threads) thread.join();
}

TEST(HttpServer, TakesOnlyTheFirstAnswer) {
  const auto server = start_server([](const HttpRequest& request, const Respond& respond) {
    answer_echo(request, respond);
    HttpResponse second;
    second.status = 500;
    respond(second);
  });
  RawClient client(server->port());
  for (int i = 0; i < 20; ++i) {
    client.send(kGet);
    ASSERT_EQ(client.receive().status, 200);
  }
}

TEST(HttpServer, TurnsAnExceptionOfTheHandlerIntoA500) {
  const auto server =
      start_server([](const HttpRequest&, const Respond&) { throw std::runtime_error("no disk"); });
  RawClient client(server->port());
  client.send(kGet);
  const auto response = client.receive();
  EXPECT_EQ(response.status, 500);
  EXPECT_NE(response.body.find("no disk"), std::string::npos);
}

TEST(HttpServer, TurnsAnExceptionOfWhatMakesAnAnswerIntoA500) {
  const auto server = start_server([](const HttpRequest&, const Respond& respond) {
    respond(Reply([]() -> HttpResponse { throw std::runtime_error("no memory"); }));
  });
  RawClient client(server->port());
  for (int i = 0; i < 2; ++i) {
    client.send(kGet);
    const auto response = client.receive();
    EXPECT_EQ(response.status, 500);
    EXPECT_NE(response.body.find("no memory"), std::string::npos);
  }
}

TEST(HttpServer, ServesManyClientsAtOnce) {
  const auto server = start_server();
  std::atomic<int> right{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 16; ++c) {
    clients.emplace_back([&, c] {
      RawClient client(server->port());
      for (int i = 0; i < 100; ++i) {
        client.send(fmt::format("GET /{}/{} HTTP/1.1\r\nHost: x\r\n\r\n", c, i));
        if (client.receive().body == fmt::format("GET /{}/{} ", c, i)) ++right;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(right, 1600);
}

TEST(HttpServer, StopsAtOnceWithConnectionsOpen) {
  Respond late;
  std::mutex mutex;
  std::condition_variable asked;
  auto server = start_server([&](const HttpRequest& request, Respond respond) {
    if (request.path == "/a") return answer_echo(request, respond);
    const std::lock_guard lock(mutex);
    late = std::move(respond);
    asked.notify_one();
  });
  RawClient idle(server->port());
  idle.send(kGet);
  ASSERT_EQ(idle.receive().status, 200);
  RawClient half(server->port());
  half.send("GET /a HT");
  RawClient waiting(server->port());
  waiting.send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(asked.wait_for(lock, std::chrono::seconds(30), [&] { return static_cast<bool>(late); }));
  }
  const auto begin = steady_clock::now();
  server.reset();
  // The shortest of the server's own deadlines is 10 s; it must not have waited for one.
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(8));
  EXPECT_TRUE(idle.closed_by_server());
  EXPECT_TRUE(half.closed_by_server());
  EXPECT_TRUE(waiting.closed_by_server());
  late({});  // the server is gone; this does nothing
}

TEST(HttpServer, StopsWhileClientsAreBusy) {
  for (int round = 0; round < 10; ++round) {
    auto server = start_server();
    std::atomic<int> served{0};
    std::vector<std::thread> clients;
    for (int c = 0; c < 4; ++c) {
      clients.emplace_back([&, port = server->port()] {
        for (;;) {
          RawClient client(port);
          if (!client.send(kGet) || client.receive().status != 200) return;
          ++served;
        }
      });
    }
    while (served < 20) std::this_thread::yield();
    server.reset();
    for (auto& client : clients) client.join();
  }
}

TEST(HttpServer, TellsThatAClientThatWaitsIsGone) {
  std::promise<void> is_gone;
  std::promise<std::shared_ptr<ClientWatch>> first;
  HttpServerOptions options;
  options.large_prefix = "/v2";
  const auto server = start_server(
      [&](const HttpRequest& request, const Respond& respond) {
        if (request.path != "/v2/wait") return respond({});
        request.client->on_gone([&] { is_gone.set_value(); });
        first.set_value(request.client);
      },
      options);
  auto client = std::make_unique<RawClient>(server->port());
  client->send("GET /v2/wait HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto watch = first.get_future().get();
  client.reset();
  ASSERT_EQ(is_gone.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  bool at_once = false;
  watch->on_gone([&] { at_once = true; });
  EXPECT_TRUE(at_once);
}

TEST(HttpServer, RefusesAPortThatIsInUse) {
  const auto server = start_server();
  HttpServerOptions options;
  options.port = server->port();
  const auto second = HttpServer::start(options, answer_echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::already_exists);
  EXPECT_EQ(second.error().message, fmt::format("127.0.0.1:{} is in use", server->port()));
  EXPECT_FALSE(second.error().hint.empty());
}

TEST(HttpServer, TakesAPortAgainThatItHasJustLeft) {
  auto server = start_server();
  HttpServerOptions options;
  options.port = server->port();
  RawClient client(server->port());
  client.send(kGet);
  ASSERT_EQ(client.receive().status, 200);
  server.reset();
  EXPECT_TRUE(HttpServer::start(options, answer_echo));
}

TEST(HttpServer, ListensOnlyOnNumericAddressesAndLocalhost) {
  HttpServerOptions options;
  options.host = "localhost";
  EXPECT_TRUE(HttpServer::start(options, answer_echo));
  options.host = "example.org";
  const auto named = HttpServer::start(options, answer_echo);
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().code, ErrorCode::invalid_argument);
  options.host = "192.0.2.1";
  const auto foreign = HttpServer::start(options, answer_echo);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace ds::gateway::testing
