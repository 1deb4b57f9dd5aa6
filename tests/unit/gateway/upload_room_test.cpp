#include "actors/gateway/upload_room.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "tests/unit/gateway/echo_server.hpp"
#include "tests/unit/gateway/raw_client.hpp"

namespace ds::gateway::testing {
namespace {

using std::chrono::milliseconds;
using Moment = std::chrono::steady_clock::time_point;
using Places = std::vector<std::size_t>;

Moment at(int seconds) {
  return Moment(std::chrono::seconds(seconds));
}

TEST(WhoGivesRoom, IsWhoHasStoodForLongest) {
  const std::vector<Upload> uploads{{10, at(5)}, {10, at(3)}, {10, at(4)}, {10, at(9)}};
  EXPECT_EQ(choose_who_gives_room(uploads, 1, at(6)), (Places{1}));
  EXPECT_EQ(choose_who_gives_room(uploads, 10, at(6)), (Places{1}));
  EXPECT_EQ(choose_who_gives_room(uploads, 11, at(6)), (Places{1, 2}));
  EXPECT_EQ(choose_who_gives_room(uploads, 30, at(6)), (Places{1, 2, 0}));
}

TEST(WhoGivesRoom, IsNobodyWhereItWouldNotHelp) {
  const std::vector<Upload> uploads{{10, at(1)}, {0, at(1)}, {100, at(9)}, {100, Moment::max()}};
  EXPECT_EQ(choose_who_gives_room(uploads, 11, at(6)), Places{}) << "the other comes on";
  EXPECT_EQ(choose_who_gives_room(uploads, 5, at(6)), (Places{0}));
  EXPECT_EQ(choose_who_gives_room({}, 1, at(6)), Places{});
}

HttpServerOptions with_room_for_one(milliseconds still_time) {
  HttpServerOptions options;
  options.max_body_bytes = 1000;
  options.large_prefix = "/v2";
  options.max_large_body_bytes = 5000;
  options.max_large_bytes = 6000;
  options.still_time = still_time;
  return options;
}

const std::string kPost = "POST /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n";

/// Waits until another's body has come and has the room, which a probe takes nothing of. Who has stood still
/// meanwhile, on a very busy machine, would give it: then for ten seconds.
void wait_until_taken(const HttpServer& server) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < until) {
    RawClient probe(server.port());
    probe.send("POST /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\nExpect: 100-continue\r\n\r\n");
    if (probe.receive(false).status != 100) return;
  }
}

int status_of_another(const HttpServer& server) {
  RawClient another(server.port());
  another.send(kPost + std::string(4000, 'b'));
  return another.receive().status;
}

TEST(UploadRoom, IsTakenFromABodyThatStandsStill) {
  const auto server = start_server(answer_echo, with_room_for_one(milliseconds(500)));
  RawClient still(server->port());
  still.send(kPost + std::string(3999, 'a'));
  wait_until_taken(*server);
  int status = 503;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (status == 503 && std::chrono::steady_clock::now() < until) status = status_of_another(*server);
  EXPECT_EQ(status, 200);
  EXPECT_EQ(still.receive().status, 408);
  EXPECT_TRUE(still.closed_by_server());
}

TEST(UploadRoom, StaysWithABodyThatComesOnAndWithOneThatIsWhole) {
  const auto server = start_server(answer_echo, with_room_for_one(std::chrono::hours(1)));
  RawClient first(server->port());
  first.send(kPost + std::string(3999, 'a'));
  wait_until_taken(*server);
  EXPECT_EQ(status_of_another(*server), 503);
  first.send("a");
  EXPECT_EQ(first.receive().status, 200);

  std::promise<Respond> held;
  const auto other =
      start_server([&](const HttpRequest&, const Respond& respond) { held.set_value(respond); },
                   with_room_for_one(milliseconds(0)));
  RawClient whole(other->port());
  whole.send(kPost + std::string(4000, 'a'));
  auto taken = held.get_future();
  ASSERT_EQ(taken.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_EQ(status_of_another(*other), 503) << "it waits for its answer, and sends no more";
  taken.get()(HttpResponse{200, "done", "text/plain", {}});
  EXPECT_EQ(whole.receive().status, 200);
}

}  // namespace
}  // namespace ds::gateway::testing
