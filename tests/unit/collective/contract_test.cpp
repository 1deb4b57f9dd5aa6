#include <gtest/gtest.h>

#include <tuple>

#include "tests/unit/collective/contract_cases.hpp"
#include "tests/unit/collective/gang_of_threads.hpp"

namespace ds::collective {
namespace {

class CommunicatorContract : public ::testing::TestWithParam<std::tuple<GangPath, std::uint32_t>> {
 protected:
  GangPath path() const { return std::get<0>(GetParam()); }
  std::uint32_t world() const { return std::get<1>(GetParam()); }

  void run_all(const std::vector<RankRange>& ranges) const {
    run_gang(
        ranges,
        [](Communicator& communicator) {
          for (const ContractCase& one : contract_cases())
            EXPECT_EQ(one.run(communicator), "") << one.name << " on rank " << communicator.rank();
        },
        path());
  }
};

TEST_P(CommunicatorContract, HoldsWhereEachMemberHostsOneLogicalRank) {
  run_all(assign_logical_ranks(world(), world()));
}

using UnevenCommunicatorContract = CommunicatorContract;

TEST_P(UnevenCommunicatorContract, HoldsWhereMembersHostSeveralLogicalRanks) {
  run_all(assign_logical_ranks(2 * world() + 1, world()));
}

TEST_P(UnevenCommunicatorContract, HoldsWhereSomeMembersHostNone) {
  std::vector<RankRange> ranges;
  for (std::uint32_t rank = 0; rank < world(); ++rank) ranges.push_back({rank / 2, (rank + 1) / 2});
  ranges.back().last += 3;
  run_all(ranges);
}

const auto kPaths = ::testing::Values(GangPath::exchange, GangPath::shared_memory, GangPath::two_hosts);

std::string name_of_case(const ::testing::TestParamInfo<std::tuple<GangPath, std::uint32_t>>& info) {
  return std::string(name_of(std::get<0>(info.param))) + "_" + std::to_string(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Paths, CommunicatorContract,
                         ::testing::Combine(kPaths, ::testing::Values(1, 2, 3, 5, 8)), name_of_case);
INSTANTIATE_TEST_SUITE_P(Paths, UnevenCommunicatorContract,
                         ::testing::Combine(kPaths, ::testing::Values(2, 3)), name_of_case);

}  // namespace
}  // namespace ds::collective
