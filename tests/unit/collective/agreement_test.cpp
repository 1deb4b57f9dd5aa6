#include "actors/collective/agreement.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace ds::collective {
namespace {

Signature sum_of(std::uint64_t elements, ElementType type = ElementType::float32) {
  return {Kind::all_reduce, ReduceOperator::sum, type, 0, elements};
}

TEST(MemberStatus, SurvivesTheWire) {
  for (const MemberStatus& status :
       {MemberStatus{7, sum_of(1ULL << 40U), std::nullopt},
        MemberStatus{0,
                     {Kind::broadcast, ReduceOperator::maximum, ElementType::int64, 5, 0},
                     Error{ErrorCode::data_loss, "why", "what to do"}}}) {
    const Result<MemberStatus> back = to_member_status(to_buffer(status));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, status);
  }
}

TEST(MemberStatus, CutsAnErrorOfUnreasonableLength) {
  const MemberStatus status{0, sum_of(0), Error{ErrorCode::internal, std::string(1 << 20, 'x'), ""}};
  const Buffer bytes = to_buffer(status);
  EXPECT_LT(bytes.size(), 64U << 10U);
  EXPECT_TRUE(to_member_status(bytes));
}

TEST(MemberStatus, RefusesEveryTruncationAndRandomBytes) {
  const Buffer whole = to_buffer({1, sum_of(2), Error{ErrorCode::internal, "message", "hint"}});
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

TEST(CheckAgreement, AcceptsEqualCallsAndNamesTwoThatDiffer) {
  EXPECT_TRUE(check_agreement({{0, sum_of(10), {}}, {1, sum_of(10), {}}}));
  const Result<void> result =
      check_agreement({{3, sum_of(10), {}}, {4, sum_of(10), {}}, {5, sum_of(11), {}}});
  ASSERT_FALSE(result);
  EXPECT_EQ(
      result.error().message,
      "the members do not agree: rank 3 called all_reduce of 10 elements of float32 (sum), rank 5 called "
      "all_reduce of 11 elements of float32 (sum)");
}

TEST(CheckAgreement, SeesEveryDifference) {
  const Signature usual{Kind::broadcast, ReduceOperator::sum, ElementType::float32, 1, 10};
  for (const auto change : {+[](Signature& s) { s.kind = Kind::all_gather; },
                            +[](Signature& s) { s.op = ReduceOperator::product; },
                            +[](Signature& s) { s.type = ElementType::int32; },
                            +[](Signature& s) { s.root = 2; }, +[](Signature& s) { s.elements = 9; }}) {
    Signature other = usual;
    change(other);
    EXPECT_FALSE(check_agreement({{0, usual, {}}, {1, other, {}}})) << describe(other);
  }
}

TEST(CheckAgreement, ReportsTheFailureOfTheLowestRank) {
  const Error first{ErrorCode::data_loss, "first", ""}, second{ErrorCode::internal, "second", ""};
  EXPECT_EQ(check_agreement({{0, sum_of(1), {}}, {1, sum_of(9), first}, {2, sum_of(1), second}}).error(),
            first);
}

}  // namespace
}  // namespace ds::collective
