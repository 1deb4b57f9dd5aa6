#include "actors/collective/local_exchange.hpp"

#include "tests/unit/collective/exchange_contract.hpp"

namespace ds::collective {
namespace {

INSTANTIATE_TEST_SUITE_P(Local, ExchangeContract,
                         ::testing::Values(std::make_pair(std::string("local"),
                                                          MakeExchanges(make_local_exchanges))),
                         [](const auto& parameter) { return parameter.param.first; });

TEST(LocalExchange, AbortOnOneRankWakesAllRanks) {
  const auto gang = make_local_exchanges(4);
  std::vector<std::future<Result<Buffer>>> waiting;
  for (std::uint32_t rank = 0; rank < 4; ++rank) {
    waiting.push_back(
        std::async(std::launch::async, [&gang, rank] { return gang[rank]->receive((rank + 1) % 4, 9); }));
  }
  gang[2]->abort({ErrorCode::cancelled, "the job was cancelled", ""});
  for (auto& future : waiting) EXPECT_EQ(text_of(future.get()), "failed: the job was cancelled");
}

TEST(LocalExchange, StillDeliversWhatAMemberSentBeforeItLeft) {
  auto gang = make_local_exchanges(2);
  ASSERT_TRUE(gang[0]->send(1, 1, Buffer::copy_of("last words")));
  gang[0].reset();
  EXPECT_EQ(text_of(gang[1]->receive(0, 1)), "last words");
  EXPECT_EQ(text_of(gang[1]->receive(0, 1)), "failed: rank 0 left the gang");
}

}  // namespace
}  // namespace ds::collective
