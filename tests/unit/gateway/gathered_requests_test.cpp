// Requests that are handled together, and answers that are given or made together.
#include "actors/gateway/http_server.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/gateway/echo_server.hpp"
#include "tests/unit/gateway/raw_client.hpp"

namespace ds::gateway::testing {
namespace {

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(GatheredRequests, GathersWhatOneLookAtTheSocketsHasBrought) {
  constexpr std::size_t kClients = 5;
  std::promise<void> is_held, goes_on;
  std::vector<Respond> gathered;  // on the one thread of the server
  std::vector<std::size_t> sizes;
  HttpServerOptions options;
  options.threads = 1;
  const auto handle = [&](const HttpRequest& request, const Respond& respond) {
    if (request.path == "/hold") {
      is_held.set_value();
      goes_on.get_future().wait();
    }
    if (request.path != "/gather") return respond({});
    gathered.push_back(respond);
    if (gathered.size() > 1) return;
    after_those_at_hand([&] {
      sizes.push_back(gathered.size());
      const AnswersTogether together;
      for (const Respond& one : std::exchange(gathered, {})) one({});
    });
  };
  const auto server = start_server(handle, options);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<RawClient>(server->port()));
    clients.back()->send(kGet);
    ASSERT_EQ(clients.back()->receive().status, 200);
  }
  RawClient holder(server->port());
  holder.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  is_held.get_future().wait();
  for (const auto& client : clients) client->send("GET /gather HTTP/1.1\r\nHost: x\r\n\r\n");
  goes_on.set_value();
  for (const auto& client : clients) EXPECT_EQ(client->receive().status, 200);
  EXPECT_EQ(holder.receive().status, 200);
  EXPECT_EQ(sizes, std::vector<std::size_t>{kClients});
}

TEST(GatheredRequests, GathersNothingOnOtherThreads) {
  bool was_called = false;
  after_those_at_hand([&] { was_called = true; });
  EXPECT_TRUE(was_called);
}

TEST(GatheredRequests, CallsLaterOnTheSameThreadWhatWasAskedForLast) {
  HttpServerOptions options;
  options.threads = 1;
  std::promise<std::thread::id> called;
  std::thread::id asked;
  const auto handle = [&](const HttpRequest&, const Respond& respond) {
    asked = std::this_thread::get_id();
    EXPECT_TRUE(call_later(std::chrono::milliseconds(0), [] { ADD_FAILURE() << "another took its place"; }));
    EXPECT_TRUE(
        call_later(std::chrono::milliseconds(1), [&] { called.set_value(std::this_thread::get_id()); }));
    respond({});
  };
  auto server = start_server(handle, options);
  RawClient client(server->port());
  client.send(kGet);
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(called.get_future().get(), asked);
  EXPECT_FALSE(call_later(std::chrono::milliseconds(0), [] {})) << "this is none of its threads";
}

TEST(GatheredRequests, EndWithoutWaitingForWhatIsToBeCalledLater) {
  auto server = start_server([](const HttpRequest&, const Respond& respond) {
    call_later(std::chrono::hours(1), [] {});
    respond({});
  });
  RawClient client(server->port());
  client.send(kGet);
  EXPECT_EQ(client.receive().status, 200);
  server.reset();
}

TEST(GatheredRequests, HoldsAnswersThatGoTogetherUntilTheirEnd) {
  constexpr std::size_t kClients = 6;
  std::mutex mutex;
  std::condition_variable has_come;
  std::vector<Respond> asked;
  auto server = start_server([&](const HttpRequest&, Respond respond) {
    const std::lock_guard lock(mutex);
    asked.push_back(std::move(respond));
    has_come.notify_one();
  });
  std::vector<std::unique_ptr<RawClient>> clients;
  const auto ask_all = [&] {
    clients.clear();
    for (std::size_t i = 0; i < kClients; ++i) {
      clients.push_back(std::make_unique<RawClient>(server->port()));
      clients.back()->send(kGet);
    }
    std::unique_lock lock(mutex);
    has_come.wait(lock, [&] { return asked.size() == kClients; });
    return std::exchange(asked, {});
  };
  {
    const auto all = ask_all();
    const AnswersTogether together;
    {
      const AnswersTogether within;  // changes nothing
      for (const Respond& one : all) one({});
    }
    for (const Respond& one : all) one(HttpResponse{500, {}, {}, {}});  // the first counts
  }
  for (const auto& client : clients) EXPECT_EQ(client->receive().status, 200);
  {
    const auto all = ask_all();
    const AnswersTogether together;
    for (const Respond& one : all) one({});
    server.reset();
  }
  for (const auto& client : clients)
    EXPECT_EQ(client->receive().status, 0) << "held until the server was gone";
}

TEST(GatheredRequests, MakesAnswersOnTheThreadOfTheirConnection) {
  std::mutex mutex;
  std::condition_variable has_come;
  std::vector<std::pair<std::thread::id, Respond>> asked;
  const auto server = start_server([&](const HttpRequest&, Respond respond) {
    const std::lock_guard lock(mutex);
    asked.emplace_back(std::this_thread::get_id(), std::move(respond));
    has_come.notify_one();
  });
  RawClient one(server->port()), other(server->port());
  one.send(kGet);
  other.send(kGet);
  std::unique_lock lock(mutex);
  ASSERT_TRUE(has_come.wait_for(lock, std::chrono::seconds(60), [&] { return asked.size() == 2; }));
  std::array<std::thread::id, 2> made_on;
  std::atomic<int> made = 0;
  {
    const AnswersTogether together;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      asked[i].second(Reply([&, i] {
        made_on[i] = std::this_thread::get_id();
        ++made;
        return HttpResponse{201, "made", "text/plain", {}};
      }));
    }
    EXPECT_EQ(made, 0);
  }
  EXPECT_EQ(one.receive().body, "made");
  EXPECT_EQ(other.receive().status, 201);
  EXPECT_EQ(made, 2);
  for (std::size_t i = 0; i < asked.size(); ++i) EXPECT_EQ(made_on[i], asked[i].first);
}

TEST(GatheredRequests, MakesAnAnswerThoughItsConnectionIsGone) {
  std::promise<Respond> asked;
  auto server =
      start_server([&](const HttpRequest&, Respond respond) { asked.set_value(std::move(respond)); });
  RawClient client(server->port());
  client.send(kGet);
  const auto respond = asked.get_future().get();
  server.reset();
  int made = 0;
  const auto make = [&made] {
    ++made;
    return HttpResponse{};
  };
  respond(Reply(make));
  EXPECT_EQ(made, 1) << "who makes it may count it";
  respond(Reply(make));
  EXPECT_EQ(made, 1) << "the first counts";
}

}  // namespace
}  // namespace ds::gateway::testing
