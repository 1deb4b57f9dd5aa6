// The real head dies again and again, with any of its records durable, while jobs come, run, train, serve,
// crash and are changed by their owners and nodes come, go and are drained: none is lost, none is started
// twice, no slot is given twice, no tenant has more than it may. DS_SEED=N repeats one seed, DS_SEEDS=N tries
// so many, from 1 or DS_SEED on. Every kind of record is written, but `kRare`; how often is in the test's
// properties.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/unit/head/simulated_cluster.hpp"

namespace ds::head::test {
namespace {

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

constexpr int kEvents = 600;

/// So many seeds have every kind of record.
constexpr std::uint64_t kAllKinds = 1'500;

template <std::size_t... I>
std::vector<std::string> kind_names(std::index_sequence<I...>) {
  const auto name_of = [](const scheduler::Event::Body& body) {
    return nlohmann::json::parse(scheduler::to_text({0, "", "", body})).at("type").get<std::string>();
  };
  return {name_of(std::variant_alternative_t<I, scheduler::Event::Body>{})...};
}

TEST(HeadSimulation, LosesNoJobAndStartsNoneTwiceWhereverTheHeadDies) {
  const auto only = number_of("DS_SEED", 0);
  const std::uint64_t first = only == 0 ? 1 : only, count = number_of("DS_SEEDS", only == 0 ? kAllKinds : 1);
  if (count > 1) spdlog::set_level(spdlog::level::off);
  StillSystem still;
  std::uint64_t heads = 0, starts = 0, plans = 0, with_gpus = 0, with_parts = 0, promises = 0;
  std::uint64_t trainers = 0, answers = 0, snapshots = 0, unfinished = 0;
  HeadWatch::Kinds kinds{};
  for (auto seed = first; seed < first + count && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    SimulatedCluster cluster(still, seed);
    cluster.run(kEvents);
    heads += cluster.heads();
    starts += cluster.starts();
    plans += cluster.plans();
    with_gpus += cluster.starts_with_gpus();
    with_parts += cluster.starts_with_parts();
    promises += cluster.promises();
    trainers += cluster.trainers();
    answers += cluster.answers();
    snapshots += cluster.snapshots();
    unfinished += cluster.unfinished_snapshots();
    for (std::size_t kind = 0; kind < kinds.size(); ++kind) kinds[kind] += cluster.kinds()[kind];
  }
  if (only != 0 || HasFailure()) return;
  const auto names = kind_names(std::make_index_sequence<std::variant_size_v<scheduler::Event::Body>>());
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    RecordProperty(names[kind], std::to_string(kinds[kind]));
    if (count < kAllKinds) continue;
    EXPECT_GT(kinds[kind], 0U) << "no " << names[kind] << " was ever written";
  }
  EXPECT_GT(answers, count / 20) << "no model answered";
  EXPECT_GT(trainers, count / 2) << "nothing was trained";
  EXPECT_GT(snapshots, count / 4) << "the journal was hardly ever compacted";
  EXPECT_GT(unfinished, count / 50) << "no head died in the middle of that";
  EXPECT_GT(heads, 5 * count) << "heads that died too seldom show nothing";
  EXPECT_GT(starts, 3 * count) << "nor do clusters that do nothing";
  EXPECT_GT(plans, count / 2) << "nobody asked what would become of a job";
  EXPECT_GT(promises, count / 20) << "nor was any deadline promised";
  EXPECT_GT(with_gpus, count) << "nor jobs without GPUs of GPUs";
  EXPECT_GT(with_parts, count) << "nor jobs of whole slots of parts";
}

/// One scripted run, as often as it has records, and for each once more before it: whatever the head had in
/// hand, it is the same jobs that end.
TEST(HeadSimulation, TheSameHoldsWhereverInOneRunTheHeadDies) {
  if (number_of("DS_SEED", 0) != 0) GTEST_SKIP() << "it has no seed";
  spdlog::set_level(spdlog::level::off);
  constexpr std::uint64_t kSeed = 1;
  StillSystem still;
  std::uint64_t records = 0;
  {
    SimulatedCluster undisturbed(still, kSeed);
    undisturbed.run_script({});
    records = undisturbed.records();
    ASSERT_EQ(undisturbed.heads(), 1U);
  }
  EXPECT_GT(records, 40U) << "a run in which little happens shows little";
  for (std::uint64_t record = 1; record <= records; ++record) {
    for (const unsigned way : {0U, 1U, 2U, 3U}) {
      const Death death{record, (way & 1U) != 0, (way & 2U) != 0};
      SCOPED_TRACE("record " + std::to_string(record) + (death.before ? ", before it" : ", after it") +
                   (death.orders_arrive ? "; its orders arrive" : ""));
      SimulatedCluster cluster(still, kSeed);
      cluster.run_script(death);
      ASSERT_EQ(cluster.heads(), 2U) << "it did not die there";
      if (HasFailure()) return;
    }
  }
  RecordProperty("records", std::to_string(records));
}

}  // namespace
}  // namespace ds::head::test
