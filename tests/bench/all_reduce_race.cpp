#include "tests/bench/all_reduce_race.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace ds::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kMaxRepeats = 50;  ///< in place the sums grow by the number of ranks each time
constexpr double kBlockSeconds = 0.02;
constexpr std::size_t kMinBlocks = 3;

/// Small whole numbers, whose sums are exact in any order.
float value(std::uint32_t rank, std::size_t i) {
  return static_cast<float>((i * 7 + i / 1000 + std::size_t{rank} * 3) % 17);
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check(const Race& race, std::span<const float> output, float scale) {
  for (std::size_t i = 0; i < output.size(); ++i) {
    float expected = 0;
    for (std::uint32_t rank = 0; rank < race.ranks; ++rank) expected += value(rank, i);
    if (output[i] == expected * scale) continue;
    fail("rank " + std::to_string(race.rank) + ": element " + std::to_string(i) + " is " +
         std::to_string(output[i]) + " instead of " + std::to_string(expected * scale));
  }
}

}  // namespace

void fail(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::_Exit(1);
}

Race parse_race(int argc, char** argv) {
  if (argc != 6) fail("usage: RANK RANKS ELEMENTS SECONDS FOLDER");
  Race race;
  race.rank = static_cast<std::uint32_t>(std::atoi(argv[1]));
  race.ranks = static_cast<std::uint32_t>(std::atoi(argv[2]));
  race.elements = std::strtoull(argv[3], nullptr, 10);
  race.seconds = std::atof(argv[4]);
  race.folder = argv[5];
  return race;
}

Barrier Barrier::open(const Race& race) {
  const std::string path = race.folder + "/barrier";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof(Page)) != 0) fail("cannot make " + path);
  void* memory = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) fail("cannot map " + path);
  return Barrier(static_cast<Page*>(memory), race.ranks);
}

void Barrier::wait() {
  const std::uint32_t turn = page_->turn.load();
  if (page_->arrived.fetch_add(1) + 1 == ranks_) {
    page_->arrived.store(0);
    page_->turn.fetch_add(1);
    return;
  }
  const auto start = Clock::now();
  for (unsigned round = 1; page_->turn.load(std::memory_order_acquire) == turn; ++round) {
    if (round % 64 == 0) sched_yield();
    if (round % 65536 == 0 && seconds_since(start) > 60) fail("another rank did not come in 60 s");
  }
}

void run_race(const Race& race, Contender& contender) {
  Barrier barrier = Barrier::open(race);
  const std::span<float> input = contender.input();
  const std::span<float> output = contender.output();
  const bool in_place = input.data() == output.data();
  for (std::size_t i = 0; i < race.elements; ++i) input[i] = value(race.rank, i);

  std::vector<double> times;
  if (race.rank == 0) barrier.page().repeats.store(1);
  Clock::time_point measured_since;
  for (std::size_t block = 0;; ++block) {
    if (in_place) {
      for (std::size_t i = 0; i < race.elements; ++i) input[i] = value(race.rank, i);
    } else {
      std::fill(output.begin(), output.end(), -1.0f);
    }
    barrier.wait();
    const std::uint32_t repeats = barrier.page().repeats.load();
    if (repeats == 0) break;
    const auto start = Clock::now();
    for (std::uint32_t i = 0; i < repeats; ++i) contender.all_reduce();
    const double taken = seconds_since(start) / repeats;
    check(race, output,
          in_place ? std::pow(static_cast<float>(race.ranks), static_cast<float>(repeats - 1))
                   : contender.scale());

    // The first block connects, the second tells how many operations make a block, the third warms up.
    if (block == 2) measured_since = Clock::now();
    if (block > 2) times.push_back(taken * 1e6);
    barrier.wait();  // all have read `repeats`
    if (race.rank != 0) continue;
    if (block == 1) {
      barrier.page().repeats.store(static_cast<std::uint32_t>(
          std::clamp(kBlockSeconds / std::max(taken, 1e-9), 1.0, static_cast<double>(kMaxRepeats))));
    }
    if (times.size() >= kMinBlocks && seconds_since(measured_since) >= race.seconds)
      barrier.page().repeats.store(0);
  }

  const std::string path = race.folder + "/times." + std::to_string(race.rank);
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) fail("cannot write " + path);
  for (const double us : times) std::fprintf(file, "%.3f\n", us);
  if (std::fclose(file) != 0) fail("cannot write " + path);
}

}  // namespace ds::bench
