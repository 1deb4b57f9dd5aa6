// Little requests beside large ones of the same model: bodies that unpack to much, and answers that are long.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <thread>

#include "tests/integration/hostile_client.hpp"
#include "tests/integration/packed.hpp"
#include "tests/integration/served_slowly.hpp"

namespace ds::tests {
namespace {

constexpr const char* kInfer = "/v2/models/answers/infer";

/// That read large bodies, or write long answers, at once: as many as the head has (`count_threads` in the
/// router).
int slow_threads() {
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency() / 2, 1U, 8U));
}

class ServeNeighbours : public ServedSlowly {
 protected:
  /// A model that makes 32 KiB of each row, and a half-precision number, which JSON can't say.
  void serve_wide() {
    ASSERT_NO_FATAL_FAILURE(run_torch(R"(
class Model(torch.nn.Module):
    def forward(self, x):
        return x.repeat(1, 8192), x.half()
torch.jit.script(Model()).save(sys.argv[1] + '/wide.pt')
)"));
    job_ = cluster_.submit_job(write_serve(
        "answers",
        "{source: \"file:wide.pt\", inputs: [{name: x, datatype: FP32, shape: [-1, 1]}], outputs: "
        "[{name: y}, {name: h}]}",
        "tenant: calm\nbatching: {mode: off, max_size: 256}\n"));
    ASSERT_TRUE(has_replicas(job_, 1)) << cluster_.logs();
  }

  static std::string wide_request(int rows, const std::string& output = "y", std::size_t blanks = 0) {
    std::string data = "0.123456";
    for (int i = 1; i < rows; ++i) data += ",0.123456";
    return R"({"outputs":[{"name":")" + output + R"("}],"inputs":[{"name":"x","datatype":"FP32","shape":[)" +
           std::to_string(rows) + R"(,1],"data":[)" + data + "]}]" + std::string(blanks, ' ') + "}";
  }

  /// The status; 0: there was no answer.
  int post_wide(const std::string& body, bool is_packed) const {
    auto http = client();
    const auto headers = is_packed ? httplib::Headers{{"Content-Encoding", "gzip"}} : httplib::Headers{};
    const auto answer = http.Post(kInfer, headers, body, "application/json");
    return answer ? answer->status : 0;
  }

  /// What `ds_infer_failures_total` or, without a cause, the successes say.
  long counted(const std::string& cause) const {
    const auto answer = client().Get("/metrics");
    std::istringstream lines(answer ? answer->body : "");
    const auto name = cause.empty() ? std::string("ds_infer_requests_total") : "ds_infer_failures_total";
    const auto label = cause.empty() ? std::string("outcome=\"success\"") : "cause=\"" + cause + "\"";
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(name + "{") && line.find(label) != std::string::npos)
        return std::stol(line.substr(line.rfind(' ') + 1));
    }
    return -1;
  }
};

TEST_F(ServeNeighbours, OfWhatIsLargeKeepNothingSmallWaiting) {
  ASSERT_NO_FATAL_FAILURE(serve_wide());
  const std::string bomb = packed(std::string(65 << 20, ' '), kGzip);
  const std::string small = packed(wide_request(1), kGzip);
  ASSERT_EQ(post_wide(small, true), 200);

  {
    const int bombs = 12 * slow_threads();
    std::atomic<int> answered{0}, wrong{0};
    std::vector<std::thread> bombers;
    for (int i = 0; i < bombs; ++i) {
      bombers.emplace_back([&] {
        wrong += post_wide(bomb, true) == 413 ? 0 : 1;
        ++answered;
      });
    }
    EXPECT_TRUE(wait_until([&] { return answered > 0; }));
    EXPECT_EQ(post_wide(small, true), 200);
    EXPECT_EQ(post_wide(wide_request(1, "y", 300 << 10), false), 200) << "larger than a small body";
    EXPECT_LE(answered, bombs / 2) << "the small ones have waited for bombs";
    std::printf("beside %d bombs: answered after %d\n", bombs, answered.load());
    for (auto& one : bombers) one.join();
    EXPECT_EQ(wrong, 0);
  }

  {
    const int longs = 8 * slow_threads();
    std::atomic<int> answered{0}, wrong{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < longs; ++i) {
      readers.emplace_back([&] {
        wrong += post_wide(wide_request(256), false) == 200 ? 0 : 1;
        ++answered;
      });
    }
    EXPECT_TRUE(wait_until([&] { return answered > 0; }));
    EXPECT_EQ(post_wide(wide_request(1), false), 200);
    EXPECT_LE(answered, longs / 2) << "the short answer has waited for long ones";
    std::printf("beside %d long answers: answered after %d\n", longs, answered.load());
    for (auto& one : readers) one.join();
    EXPECT_EQ(wrong, 0);
  }

  const auto mistakes = counted("invalid"), successes = counted("");
  EXPECT_EQ(mistakes, 12 * slow_threads()) << "the bombs";
  EXPECT_EQ(post_wide(wide_request(1, "h"), false), 400);
  EXPECT_EQ(counted("invalid"), mistakes + 1) << "the model ran, but its answer can't be written";
  EXPECT_EQ(counted(""), successes);

  const int leaving = 8 * slow_threads();
  const auto colon = cluster_.address().rfind(':');
  for (int i = 0; i < leaving; ++i) {
    fabric::tests::HostileClient leaves(
        cluster_.address().substr(0, colon),
        static_cast<std::uint16_t>(std::stoi(cluster_.address().substr(colon + 1))));
    leaves.send(std::string("POST ") + kInfer +
                " HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: " +
                std::to_string(bomb.size()) + "\r\n\r\n" + bomb);
  }
  EXPECT_TRUE(wait_until([&] { return counted("cancelled") >= 1; })) << counted("cancelled");
}

}  // namespace
}  // namespace ds::tests
