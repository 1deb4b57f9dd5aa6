#include "actors/serving/refusal_text.hpp"

#include <gtest/gtest.h>

namespace ds::serving {
namespace {

BatchingOptions bounds() {
  BatchingOptions options;
  options.max_size = 4;
  options.max_depth = 10;
  options.max_bytes = 1'000;
  return options;
}

TEST(RefusalText, NamesTheBoundItsSizeAndItsSetting) {
  const RefusedTicket ticket{2, 300, 7, 800};
  EXPECT_EQ(refusal_text(Refusal::queue_full, {2, 300, 10, 800}, bounds()),
            "too many requests wait: 10, where queue.max_depth is 10");
  EXPECT_EQ(
      refusal_text(Refusal::too_many_bytes, ticket, bounds()),
      "too many bytes of requests wait: 800, and this one has 300, where queue.max_bytes is 1000 for all "
      "together");
  EXPECT_EQ(refusal_text(Refusal::too_many_bytes, ticket, bounds(), {"size", "depth", "max_bytes"}),
            "too many bytes of requests wait: 800, and this one has 300, where max_bytes is 1000 for all "
            "together");
}

TEST(RefusalText, TellsTooManyRowsFromTooManyBytes) {
  EXPECT_EQ(refusal_text(Refusal::too_large, {5, 300}, bounds()),
            "the request has 5 rows, and a batch may have 4 (batching.max_size)");
  EXPECT_EQ(refusal_text(Refusal::too_large, {4, 1'001}, bounds()),
            "the request has 1001 bytes, and 1000 may wait at a time (queue.max_bytes): send fewer rows");
}

}  // namespace
}  // namespace ds::serving
