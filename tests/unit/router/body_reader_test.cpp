#include "actors/router/body_reader.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>

#include "actors/serving/compression.hpp"
#include "tests/unit/router/comes_true.hpp"

namespace ds::router {
namespace {

constexpr std::size_t kMost = 8 << 20;

/// A body on its way through a reader.
struct Body {
  std::shared_ptr<gateway::HttpRequest> request = std::make_shared<gateway::HttpRequest>();
  std::mutex mutex;
  std::string text;
  std::atomic<int> status{0};  ///< 200: it was read

  explicit Body(std::string bytes, const std::string& coding = "gzip") {
    request->body = std::move(bytes);
    request->client = std::make_shared<gateway::ClientWatch>();
    if (!coding.empty()) request->headers.emplace("content-encoding", coding);
  }
  BodyReader::Order order(Work::Clock::time_point until = Work::Clock::time_point::max()) {
    return {request, "turn", until,
            [this](const Buffer& body, Work& work) {
              if (!work.claim()) return;
              text = body.text();
              status = 200;
            },
            [this](const Error&, int why) { status = why; }};
  }
};

std::string gzip(const std::string& text) {
  return serving::compress(text, serving::ContentCoding::gzip);
}

TEST(BodyReader, ReadsWhatIsPackedAndWhatIsNot) {
  const std::string small = "small", large(3 << 20, 'x');
  Body packed_small(gzip(small)), packed_large(gzip(large)), plain(large, "");
  Body exact(gzip(std::string(BodyReader::kSliceBytes, 'y')));
  {
    BodyReader reader(1, kMost);
    for (Body* body : {&packed_small, &packed_large, &plain, &exact}) {
      reader.read(body->order());
      EXPECT_TRUE(comes_true([&] { return body->status == 200; })) << body->status;
    }
  }
  EXPECT_EQ(packed_small.text, small);
  EXPECT_TRUE(packed_large.text == large);
  EXPECT_TRUE(plain.text == large);
  EXPECT_EQ(exact.text.size(), BodyReader::kSliceBytes);
}

TEST(BodyReader, SaysWhatIsWrongWithABody) {
  Body bomb(gzip(std::string(kMost + 1, 'x'))), damaged("no gzip"),
      cut(gzip(std::string(3 << 20, 'x')).substr(0, 3000)), unknown("x", "br");
  BodyReader reader(1, kMost);
  for (Body* body : {&bomb, &damaged, &cut, &unknown}) {
    reader.read(body->order());
    EXPECT_TRUE(comes_true([&] { return body->status != 0; }));
  }
  EXPECT_EQ(bomb.status, 413);
  EXPECT_EQ(damaged.status, 400);
  EXPECT_EQ(cut.status, 400);
  EXPECT_EQ(unknown.status, 415);
}

TEST(BodyReader, ReadsLittleWhileABombIsKeptFromGoingOn) {
  std::promise<void> entered, open;
  Body large(std::string(2 << 20, 'x'), ""), little(gzip("little")), bomb(gzip(std::string(kMost + 1, 'x')));
  Body leaves(gzip(std::string(kMost + 1, 'x'))), late(gzip(std::string(kMost + 1, 'x')));
  BodyReader reader(1, kMost);
  auto order = large.order();
  order.read = [&](const Buffer&, Work&) {
    entered.set_value();
    open.get_future().wait();
  };
  reader.read(std::move(order));
  entered.get_future().wait();
  reader.read(bomb.order());
  reader.read(leaves.order());
  reader.read(late.order(Work::Clock::now()));
  reader.read(little.order());
  EXPECT_TRUE(comes_true([&] { return little.status == 200; }));
  EXPECT_EQ(bomb.status, 0) << "the thread for what is large is busy";
  leaves.request->client->set_gone();
  EXPECT_TRUE(comes_true([&] { return leaves.status == 499; }));
  EXPECT_TRUE(comes_true([&] { return late.status == 504; }));
  open.set_value();
  EXPECT_TRUE(comes_true([&] { return bomb.status == 413; }));
}

}  // namespace
}  // namespace ds::router
