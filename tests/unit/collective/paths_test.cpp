#include <gtest/gtest.h>

#include <dirent.h>

#include <fstream>

#include "actors/collective/host_layout.hpp"
#include "tests/unit/collective/gang_of_threads.hpp"

namespace ds::collective {
namespace {

/// Changes what one member says first.
class MeddlingExchange final : public Exchange {
 public:
  MeddlingExchange(std::shared_ptr<Exchange> inner, std::string from, std::string to)
      : inner_(std::move(inner)), from_(std::move(from)), to_(std::move(to)) {}
  std::uint32_t rank() const override { return inner_->rank(); }
  std::uint32_t world_size() const override { return inner_->world_size(); }
  Result<void> send(std::uint32_t to, std::uint64_t tag, Buffer bytes) override {
    std::string text(bytes.text());
    if (const auto at = text.find(from_); at != std::string::npos) text.replace(at, from_.size(), to_);
    return inner_->send(to, tag, Buffer::copy_of(text));
  }
  Result<Buffer> receive(std::uint32_t from, std::uint64_t tag) override {
    return inner_->receive(from, tag);
  }
  void abort(Error why) override { inner_->abort(std::move(why)); }
  void abort_everywhere(Error why) override { inner_->abort_everywhere(std::move(why)); }
  std::optional<Error> aborted() const override { return inner_->aborted(); }

 private:
  std::shared_ptr<Exchange> inner_;
  std::string from_, to_;
};

/// The paths that the members of a gang choose, each with these options; rank 1 speaks through `meddle`.
template <class Meddle>
std::vector<Path> chosen_paths(const std::vector<CommunicatorOptions>& options, Meddle&& meddle) {
  const auto world = static_cast<std::uint32_t>(options.size());
  auto exchanges = make_local_exchanges(world);
  std::vector<Path> paths(world, Path::alone);
  std::vector<std::thread> threads;
  for (std::uint32_t rank = 0; rank < world; ++rank) {
    threads.emplace_back([&, rank, mine = std::move(exchanges[rank])]() mutable {
      if (rank == 1) mine = meddle(std::move(mine));
      Communicator communicator(std::move(mine), options[rank]);
      const Result<Path> path = communicator.connect();
      ASSERT_TRUE(path) << path.error().message;
      paths[rank] = *path;
      std::vector<float> sum(100'000, 1.0F);
      ASSERT_TRUE(communicator.all_reduce(sum));
      EXPECT_EQ(sum, std::vector<float>(100'000, static_cast<float>(world)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  return paths;
}

std::vector<Path> chosen_paths(const std::vector<CommunicatorOptions>& options) {
  return chosen_paths(options, [](std::shared_ptr<Exchange> exchange) { return exchange; });
}

TEST(CommunicatorPath, IsSharedMemoryOnOneHost) {
  EXPECT_EQ(chosen_paths({{}, {}, {}}), std::vector<Path>(3, Path::shared_memory));
}

TEST(CommunicatorPath, IsTheExchangeWhereNobodyHasANeighbour) {
  EXPECT_EQ(chosen_paths({{true, "a"}, {true, "b"}}), std::vector<Path>(2, Path::exchange));
}

TEST(CommunicatorPath, IsAHierarchyOnSeveralHosts) {
  EXPECT_EQ(chosen_paths({{true, "a"}, {true, "a"}, {true, "b"}}), std::vector<Path>(3, Path::hierarchy));
}

TEST(CommunicatorPath, IsTheExchangeWhereAHostsRanksAreNotContiguous) {
  EXPECT_EQ(chosen_paths({{true, "a"}, {true, "b"}, {true, "a"}}), std::vector<Path>(3, Path::exchange));
}

TEST(CommunicatorPath, GoesAroundAMemberThatDoesNotShareMemory) {
  EXPECT_EQ(chosen_paths({{}, {}, {false, {}}}), std::vector<Path>(3, Path::hierarchy));
}

TEST(CommunicatorPath, FallsBackToTheExchangeTogetherWhenOneCannotConnect) {
  const auto meddle = [](std::shared_ptr<Exchange> exchange) {
    return std::make_shared<MeddlingExchange>(std::move(exchange), "ds-collective-", "xx-nowhere-xx-");
  };
  EXPECT_EQ(chosen_paths({{}, {}, {}}, meddle), std::vector<Path>(3, Path::exchange));
}

TEST(GroupHosts, PutsNeighboursWithOneIdentityTogether) {
  const std::vector<std::string> identities{"a", "a", "b", "", "", "c"};
  EXPECT_EQ(group_hosts(identities), (std::vector<RankRange>{{0, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}}));
  EXPECT_EQ(group_hosts(std::vector<std::string>{"a", "b", "a"}), std::nullopt);
  EXPECT_EQ(group_hosts(std::vector<std::string>{"", ""}), (std::vector<RankRange>{{0, 1}, {1, 2}}));
}

TEST(LocalHostIdentity, IsTheSameTwice) {
  EXPECT_EQ(local_host_identity(), local_host_identity());
  EXPECT_FALSE(local_host_identity().empty());
}

std::size_t count_open_files() {
  std::size_t count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

std::size_t count_shared_mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);)
    count += line.find("ds-collective") != std::string::npos ? 1 : 0;
  return count;
}

std::size_t resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
  }
  return 0;
}

void use_a_gang() {
  run_gang(assign_logical_ranks(3, 3), [](Communicator& communicator) {
    const SharedMemory memory = communicator.allocate(400'000).value();
    ASSERT_TRUE(communicator.all_reduce(memory.as<float>()));
    std::vector<float> own(50'000);
    ASSERT_TRUE(communicator.start_all_reduce(own, own).wait());
  });
}

TEST(CommunicatorResources, AreGoneWithTheLastCommunicator) {
  use_a_gang();  // what a process keeps for good
  const std::size_t files = count_open_files();
  for (int i = 0; i < 20; ++i) use_a_gang();
  EXPECT_EQ(count_open_files(), files);
  EXPECT_EQ(count_shared_mappings(), 0U);
}

TEST(CommunicatorResources, DoNotGrowWithTheNumberOfOperations) {
  run_gang(assign_logical_ranks(4, 2), [](Communicator& communicator) {
    const auto work = [&](int rounds) {
      for (int i = 0; i < rounds; ++i) {
        std::vector<float> sum(10'000 + static_cast<std::size_t>(i) % 7);
        const Communicator::Produce<float> produce = [](std::uint32_t, std::span<float> out) -> Result<void> {
          std::ranges::fill(out, 1.0F);
          return {};
        };
        ASSERT_TRUE(communicator.all_reduce(std::span(sum), produce));
        std::vector<ConstVector> inputs(2, sum);
        ASSERT_TRUE(
            communicator.start_all_reduce(inputs, sum, {{}, static_cast<std::uint32_t>(i % 5)}).wait());
      }
    };
    work(100);
    [[maybe_unused]] const std::size_t before = resident_kib();
    const std::size_t files = count_open_files();
    work(500);
#if !defined(__SANITIZE_ADDRESS__)  // which keeps what was freed
    EXPECT_LT(resident_kib(), before + 8 * 1024);
#endif
    EXPECT_LE(count_open_files(), files + 2) << "the other member may be ahead or behind";
  });
}

TEST(CommunicatorMemory, OutlivesItsCommunicator) {
  SharedMemory memory;
  {
    Communicator alone(1);
    memory = alone.allocate(100).value();
  }
  std::ranges::fill(memory.bytes(), std::byte{7});
  EXPECT_EQ(memory.bytes()[99], std::byte{7});
}

TEST(CommunicatorMemory, IsGivenOutAgainAndBounded) {
  Communicator alone(1);
  std::byte* first = alone.allocate(5000).value().bytes().data();
  EXPECT_EQ(alone.allocate(4000).value().bytes().data(), first);
  std::vector<SharedMemory> pieces;
  for (int i = 0; i < 64; ++i) pieces.push_back(alone.allocate(1).value());
  EXPECT_EQ(alone.allocate(1).error().code, ErrorCode::resource_exhausted);
  pieces.pop_back();
  EXPECT_TRUE(alone.allocate(1));
}

}  // namespace
}  // namespace ds::collective
