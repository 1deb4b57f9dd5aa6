#include "actors/collective/member_status.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace ds::collective {
namespace {

TEST(MemberStatus, SurvivesTheWire) {
  for (const MemberStatus& status :
       {MemberStatus{7, 1ULL << 40U, 4, std::nullopt},
        MemberStatus{0, 0, 8, Error{ErrorCode::data_loss, "why", "what to do"}}}) {
    const Result<MemberStatus> back = to_member_status(to_buffer(status));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, status);
  }
}

TEST(MemberStatus, CutsAnErrorOfUnreasonableLength) {
  const MemberStatus status{0, 0, 4, Error{ErrorCode::internal, std::string(1 << 20, 'x'), ""}};
  const Buffer bytes = to_buffer(status);
  EXPECT_LT(bytes.size(), 64U << 10U);
  EXPECT_TRUE(to_member_status(bytes));
}

TEST(MemberStatus, RefusesEveryTruncationAndRandomBytes) {
  const Buffer whole = to_buffer({1, 2, 4, Error{ErrorCode::internal, "message", "hint"}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(to_member_status(whole.slice(0, size))) << size;
  }
  std::mt19937 generator(1);
  for (int i = 0; i < 1000; ++i) {
    std::string bytes(48, '\0');
    for (char& byte : bytes) byte = static_cast<char>(generator());
    EXPECT_FALSE(to_member_status(Buffer::copy_of(bytes)));
  }
}

TEST(CheckAgreement, AcceptsEqualCallsAndNamesTheOneThatDiffers) {
  EXPECT_TRUE(check_agreement({{3, 10, 4, {}}, {3, 10, 4, {}}}));
  const Result<void> result = check_agreement({{3, 10, 4, {}}, {3, 10, 4, {}}, {3, 11, 4, {}}});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("rank 2 operation 3 with 11 elements"), std::string::npos)
      << result.error().message;
  EXPECT_FALSE(check_agreement({{3, 10, 4, {}}, {3, 10, 8, {}}}));
  EXPECT_FALSE(check_agreement({{3, 10, 4, {}}, {4, 10, 4, {}}}));
}

TEST(CheckAgreement, ReportsTheFailureOfTheLowestRank) {
  const Error first{ErrorCode::data_loss, "first", ""}, second{ErrorCode::internal, "second", ""};
  EXPECT_EQ(check_agreement({{0, 1, 4, {}}, {0, 9, 4, first}, {0, 1, 4, second}}).error(), first);
}

}  // namespace
}  // namespace ds::collective
