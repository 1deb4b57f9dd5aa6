// Clients that mean no good, or know no better, beside one that does: each hears what is wrong, the good one
// is answered all the while, and the head has nothing left of them in the end.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

#include "tests/integration/hostile_client.hpp"
#include "tests/integration/packed.hpp"
#include "tests/integration/served_slowly.hpp"

namespace ds::tests {
namespace {

using fabric::tests::HostileClient;

class ServeHygiene : public ServedSlowly {
 protected:
  HostileClient connect() const {
    const auto colon = cluster_.address().rfind(':');
    return {cluster_.address().substr(0, colon),
            static_cast<std::uint16_t>(std::stoi(cluster_.address().substr(colon + 1)))};
  }
  /// A client that must be answered whatever others do.
  std::function<std::string()> neighbour() const {
    return [this]() -> std::string {
      thread_local auto http = keeping_client();
      const auto heard = ask(http, "calm");
      return heard.status == 200 ? "" : std::to_string(heard.status) + " " + heard.body;
    };
  }
  bool has_descriptors(std::size_t most) {
    return wait_until([&] { return descriptors(cluster_.head().pid()) <= most; });
  }
};

/// Lets this process have as many descriptors as it may.
std::size_t raise_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

TEST_F(ServeHygiene, OfThousandsOfSlowConnectionsNobodyIsKeptOutAndNothingIsLeft) {
  constexpr std::size_t kConnections = 2'000;  // the gateway takes 1,024
  if (raise_descriptors() < kConnections + 200) GTEST_SKIP() << "needs more descriptors: ulimit -Hn";
  ASSERT_NO_FATAL_FAILURE(serve_slowly(1, ""));
  const int head = cluster_.head().pid();
  const auto at_rest = descriptors(head);
  Askers good(1, neighbour());
  long before = 0;
  for (int round = 0; round < 3; ++round) {
    std::vector<HostileClient> slow;
    for (std::size_t i = 0; i < kConnections; ++i) {
      slow.push_back(connect());
      ASSERT_TRUE(slow.back().connected()) << "connection " << i;
      if (i % 3 == 1) slow.back().send("POST /v2/models/answers/infer HTTP/1.1\r\nHo");
      if (i % 3 == 2)
        slow.back().send("POST /v2/models/answers/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
      if (i % 200 != 199) continue;
      auto newcomer = client();
      const auto heard = ask(newcomer, "");
      EXPECT_EQ(heard.status, 200) << "beside " << i << " slow ones: " << heard.body;
    }
    EXPECT_LE(descriptors(head), at_rest + 1'024 + 256 + 64 + 16) << "connections are bounded";
    const auto told = slow.at(2).read(12);  // long ago others took its place
    EXPECT_TRUE(told.starts_with("HTTP/1.1 503")) << told;
    slow.clear();
    EXPECT_TRUE(has_descriptors(at_rest + 16)) << descriptors(head) << " of " << at_rest;
    const long now = resident_kib(head);
    if (round == 0) before = now;
    EXPECT_LT(now, before + (12 << 10)) << "KiB after round " << round;
    std::printf("after %zu connections: %ld KiB\n", kConnections * static_cast<std::size_t>(round + 1), now);
  }
  good.stop();
  EXPECT_EQ(good.wrong(), 0) << good.first_wrong();
  EXPECT_GT(good.answers(), 10);
}

TEST_F(ServeHygiene, OfRequestsThatLieEachHearsWhatIsWrong) {
  ASSERT_NO_FATAL_FAILURE(serve_slowly(1, ""));
  const int head = cluster_.head().pid();
  struct Case {
    const char* what;
    httplib::Headers headers;
    std::string body;
    int status;
    const char* text;
  };
  const auto input = [](const std::string& shape, const std::string& rest) {
    return R"({"inputs":[{"name":"x","datatype":"FP32","shape":)" + shape + "," + rest + "}]}";
  };
  const auto length = [](const std::string& text) {
    return httplib::Headers{{"Inference-Header-Content-Length", text}};
  };
  const auto binary = [&](const std::string& size) {
    return input("[1,1]", R"("parameters":{"binary_data_size":)" + size + "}");
  };
  const auto in_bytes = [&](const std::string& size) { return length(std::to_string(binary(size).size())); };
  const std::string nested = std::string(20'000, '[') + "1" + std::string(20'000, ']');
  const std::string bomb(80 << 20, ' ');
  const std::vector<Case> cases{
      {"deep", {}, input("[1,1]", "\"data\":" + nested), 400, "nested"},
      {"deep elsewhere", {}, "{\"unknown\":" + nested + "}", 400, "nested"},
      {"twice", {}, R"({"inputs":[],"inputs":[]})", 400, "inputs"},
      {"twice, escaped", {}, R"({"id":"a","\u0069d":"b","inputs":[]})", 400, "id"},
      {"huge", {}, input("[1,1]", "\"data\":[1e400]"), 400, "1e400"},
      {"long", {}, input("[1,1]", "\"data\":[" + std::string(100'000, '9') + "]"), 400, ""},
      {"shape too large", {}, input("[99999999999999999999,1]", "\"data\":[1]"), 400, "shape"},
      {"shape overflows", {}, input("[4294967296,4294967296]", "\"data\":[]"), 400, ""},
      {"shape lies", {}, input("[1000000000,1]", "\"data\":[1]"), 400, ""},
      {"shape negative", {}, input("[-1,1]", "\"data\":[1]"), 400, "shape"},
      {"size too large", in_bytes("9223372036854775807"), binary("9223372036854775807") + "abcd", 400, ""},
      {"size wraps", in_bytes("18446744073709551612"), binary("18446744073709551612") + "abcd", 400, ""},
      {"size negative", in_bytes("-4"), binary("-4") + "abcd", 400, "binary_data_size"},
      {"size short", in_bytes("3"), binary("3") + "abcd", 400, ""},
      {"bytes behind", in_bytes("4"), binary("4") + "abcdefgh", 400, ""},
      {"header negative", length("-1"), binary("4") + "abcd", 400, "-1"},
      {"header huge", length("99999999999999999999999"), binary("4") + "abcd", 400, ""},
      {"coding unknown", {{"Content-Encoding", "br"}}, "x", 415, "br"},
      {"not packed", {{"Content-Encoding", "gzip"}}, "x", 400, ""},
      {"gzip bomb", {{"Content-Encoding", "gzip"}}, packed(bomb, kGzip), 413, ""},
      {"deflate bomb", {{"Content-Encoding", "deflate"}}, packed(bomb, kDeflate), 413, ""},
  };
  Askers good(1, neighbour());
  auto http = keeping_client();
  ASSERT_EQ(ask(http, "").status, 200);
  const auto at_rest = descriptors(head);
  long before = 0;
  for (int round = 0; round < 3; ++round) {
    for (const Case& one : cases) {
      const auto answer =
          http.Post("/v2/models/answers/infer", one.headers, one.body, "application/octet-stream");
      ASSERT_TRUE(answer) << one.what;
      EXPECT_EQ(answer->status, one.status) << one.what << ": " << answer->body;
      const auto document = Json::parse(answer->body, nullptr, false);
      ASSERT_TRUE(document.is_object() && document.contains("error")) << one.what << ": " << answer->body;
      const auto text = document.at("error").get<std::string>();
      EXPECT_NE(text.find(one.text), std::string::npos) << one.what << ": " << text;
      EXPECT_LT(text.size(), 1'000U) << one.what << ": an error is for a person";
    }
    if (round == 0) before = resident_kib(head);
  }
  EXPECT_LT(resident_kib(head), before + (16 << 10)) << "KiB";
  EXPECT_LE(descriptors(head), at_rest + 4);
  good.stop();
  EXPECT_EQ(good.wrong(), 0) << good.first_wrong();
  EXPECT_GT(good.answers(), 10);
}

}  // namespace
}  // namespace ds::tests
