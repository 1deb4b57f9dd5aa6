#include <gtest/gtest.h>

#include <memory>
#include <tuple>

#include "tests/unit/collective/member_process.hpp"

namespace ds::collective {
namespace {

using Gang = std::vector<std::unique_ptr<MemberProcess>>;

/// Processes that know each other and have begun.
Gang start_gang(std::uint32_t world, const std::string& path, const std::string& work) {
  Gang gang;
  for (std::uint32_t rank = 0; rank < world; ++rank) {
    gang.push_back(std::make_unique<MemberProcess>(
        std::vector<std::string>{std::to_string(rank), std::to_string(world), path, work}));
  }
  std::string addresses;
  for (const auto& member : gang) addresses += member->hear() + "\n";
  for (const auto& member : gang) member->tell(addresses);
  for (const auto& member : gang) EXPECT_EQ(member->hear(), "ready");
  for (const auto& member : gang) member->tell("go\n");
  return gang;
}

class CommunicatorOfProcesses : public ::testing::TestWithParam<std::tuple<const char*, std::uint32_t>> {
 protected:
  std::string path() const { return std::get<0>(GetParam()); }
  std::uint32_t world() const { return std::get<1>(GetParam()); }
};

TEST_P(CommunicatorOfProcesses, KeepsTheContract) {
  const Gang gang = start_gang(world(), path(), "contract");
  for (const auto& member : gang) EXPECT_EQ(member->hear(), "done");
}

TEST_P(CommunicatorOfProcesses, TellsAllOthersWhenOneIsKilledInTheMiddle) {
  for (const std::uint32_t killed : {0U, world() - 1}) {
    const Gang gang = start_gang(world(), path(), "endless");
    for (const auto& member : gang) ASSERT_EQ(member->hear(), "running");
    gang[killed]->kill();
    for (std::uint32_t rank = 0; rank < world(); ++rank) {
      if (rank == killed) continue;
      const std::string said = gang[rank]->hear();
      EXPECT_NE(said.find("rank " + std::to_string(killed)), std::string::npos) << said;
      EXPECT_TRUE(said.starts_with("failed: ")) << said;
      EXPECT_EQ(gang[rank]->hear(), "done") << "no thread of it may be stuck";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Paths, CommunicatorOfProcesses,
                         ::testing::Combine(::testing::Values("shared_memory", "exchange"),
                                            ::testing::Values(2, 4)),
                         [](const auto& one) {
                           return std::string(std::get<0>(one.param)) + "_" +
                                  std::to_string(std::get<1>(one.param));
                         });

}  // namespace
}  // namespace ds::collective
