// A head that takes connections and says nothing.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <vector>

#include "clients/api_client.hpp"
#include "clients/failure.hpp"
#include "clients/follow.hpp"

namespace ds::clients {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Its connections stay in the kernel's queue.
class SilentHead {
 public:
  SilentHead() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(socket_, any, size), 0);
    EXPECT_EQ(::listen(socket_, 8), 0);
    EXPECT_EQ(::getsockname(socket_, any, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentHead() { ::close(socket_); }
  SilentHead(const SilentHead&) = delete;
  SilentHead& operator=(const SilentHead&) = delete;

  HeadAddress address() const { return parse_head_address("127.0.0.1:" + std::to_string(port_), "test"); }

 private:
  int socket_;
  int port_ = 0;
};

TEST(SilentHead, IsGivenUpAfterTheTimeThatACallHas) {
  const SilentHead head;
  ApiClient api(head.address());
  const auto begin = steady_clock::now();
  try {
    api.get("/api/v1/jobs", milliseconds(200));
    FAIL() << "who answered?";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.exit_code, ExitCode::no_server);
    EXPECT_NE(failure.message.find("does not answer"), std::string::npos) << failure.message;
    EXPECT_FALSE(failure.hint.empty());
    EXPECT_TRUE(may_pass(failure));
  }
  EXPECT_GE(steady_clock::now() - begin, milliseconds(200));
  EXPECT_LT(steady_clock::now() - begin, kAnswerTime);
}

TEST(SilentHead, IsAskedAgainForWhatIsLeftOfTheUsersPatience) {
  std::vector<milliseconds> limits;
  const auto ask = [&](milliseconds limit) -> nlohmann::json {
    limits.push_back(limit);
    throw Failure(ExitCode::no_server, "no_server", "the head does not answer");
  };
  const HeadAddress head = parse_head_address("127.0.0.1:1", "test");
  EXPECT_THROW(ask_with_patience(head, milliseconds(0), ask), Failure);
  EXPECT_EQ(limits, (std::vector<milliseconds>{kAnswerTime}));
  limits.clear();
  EXPECT_THROW(ask_with_patience(head, milliseconds(700), ask), Failure);
  ASSERT_GE(limits.size(), 2U);
  EXPECT_EQ(limits[0], kAnswerTime);
  EXPECT_EQ(limits[1], milliseconds(1000)) << "a head that is well has a second";
}

TEST(SilentHead, HasNoMoreTimeThanThereIs) {
  const auto now = steady_clock::now();
  EXPECT_EQ(answer_time_until(now - std::chrono::hours(1)), milliseconds(1000));
  EXPECT_EQ(answer_time_until(now + std::chrono::hours(1)), kAnswerTime);
  const auto some = answer_time_until(now + std::chrono::seconds(10));
  EXPECT_LE(some, std::chrono::seconds(10));
}

}  // namespace
}  // namespace ds::clients
