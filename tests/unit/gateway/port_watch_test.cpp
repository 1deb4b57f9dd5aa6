#include "actors/gateway/port_watch.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>

#include "actors/gateway/http_server.hpp"
#include "tests/unit/gateway/echo_server.hpp"

namespace ds::gateway::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string address_of(const HttpServer& server) {
  return fmt::format("127.0.0.1:{}", server.port());
}

TEST(PortWatch, TellsThatNobodyListens) {
  std::string address;
  { address = address_of(*start_server()); }
  EXPECT_TRUE(is_port_closed(address, seconds(30)));
  std::promise<void> closed;
  PortWatch watch;
  watch.watch(address, seconds(60), [&] { closed.set_value(); });
  EXPECT_EQ(closed.get_future().wait_for(seconds(30)), std::future_status::ready);
}

TEST(PortWatch, NoticesWhenWhoeverListensIsGone) {
  auto server = start_server();
  const auto address = address_of(*server);
  EXPECT_FALSE(is_port_closed(address, seconds(30)));
  std::promise<void> closed;
  auto told = closed.get_future();
  PortWatch watch;
  watch.watch(address, seconds(600), [&] { closed.set_value(); });
  EXPECT_EQ(told.wait_for(milliseconds(300)), std::future_status::timeout);
  server.reset();
  EXPECT_EQ(told.wait_for(seconds(30)), std::future_status::ready);
}

TEST(PortWatch, IsSilentAfterItsTime) {
  auto server = start_server();
  const auto address = address_of(*server);
  std::promise<void> first, second;
  bool is_told = false;
  PortWatch watch;
  watch.watch(address, milliseconds(1), [&] { is_told = true; });
  watch.watch(address, seconds(600), [&] { second.set_value(); });
  // By then the first has had its end.
  std::string free;
  { free = address_of(*start_server()); }
  watch.watch(free, seconds(60), [&] { first.set_value(); });
  ASSERT_EQ(first.get_future().wait_for(seconds(30)), std::future_status::ready);
  server.reset();
  ASSERT_EQ(second.get_future().wait_for(seconds(30)), std::future_status::ready);
  EXPECT_FALSE(is_told);
}

TEST(PortWatch, SaysNothingOfWhatIsNoAddress) {
  EXPECT_FALSE(is_port_closed("nonsense", milliseconds(100)));
  PortWatch watch;
  watch.watch("nonsense", seconds(1), [] { ADD_FAILURE(); });
  watch.watch("127.0.0.1:notaport", seconds(1), [] { ADD_FAILURE(); });
}

}  // namespace
}  // namespace ds::gateway::testing
