// The limit: processes that read and write each other's memory in a plain loop. Starts its ranks itself (the
// argument is ignored).
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "tests/bench/all_reduce_race.hpp"

using namespace ds;

namespace {

/// Pages of a memory file, mapped before the ranks part and shared by them.
struct SharedMemory {
  explicit SharedMemory(std::size_t bytes) {
    const int file = memfd_create("all_reduce_direct", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, static_cast<off_t>(bytes)) != 0) bench::fail("cannot make a memory file");
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
    if (memory == MAP_FAILED) bench::fail("cannot map a memory file");
    close(file);
  }
  void* memory;
};

struct SharedVectors {
  explicit SharedVectors(const bench::Race& race) : barrier(sizeof(bench::Barrier::Page)) {
    for (std::uint32_t rank = 0; rank < race.ranks; ++rank) {
      inputs.push_back(static_cast<float*>(SharedMemory(race.elements * sizeof(float)).memory));
      outputs.push_back(static_cast<float*>(SharedMemory(race.elements * sizeof(float)).memory));
    }
  }
  SharedMemory barrier;
  std::vector<float*> inputs;
  std::vector<float*> outputs;
};

class Direct : public bench::Contender {
 public:
  Direct(const bench::Race& race, const SharedVectors& shared)
      : race_(race),
        shared_(shared),
        barrier_(static_cast<bench::Barrier::Page*>(shared.barrier.memory), race.ranks) {}
  std::span<float> input() override { return {shared_.inputs[race_.rank], race_.elements}; }
  std::span<float> output() override { return {shared_.outputs[race_.rank], race_.elements}; }
  /// Each reduces its half out of both vectors and writes it into both results.
  void all_reduce() override {
    barrier_.wait();
    const float* __restrict a = shared_.inputs[0];
    const float* __restrict b = shared_.inputs[1];
    float* __restrict x = shared_.outputs[0];
    float* __restrict y = shared_.outputs[1];
    const std::size_t last = race_.elements * (race_.rank + 1) / 2;
    for (std::size_t i = race_.elements * race_.rank / 2; i < last; ++i) {
      const float sum = a[i] + b[i];
      x[i] = sum;
      y[i] = sum;
    }
    barrier_.wait();
  }

 private:
  const bench::Race race_;
  const SharedVectors& shared_;
  bench::Barrier barrier_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::Race race = bench::parse_race(argc, argv);
  if (race.ranks != 2) bench::fail("the limit is measured with 2 processes only");
  const SharedVectors shared(race);
  race.rank = 0;
  const pid_t child = fork();
  if (child < 0) bench::fail("cannot fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    race.rank = 1;
  }
  Direct contender(race, shared);
  bench::run_race(race, contender);
  if (child == 0) return 0;
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0 ? 0 : 1;
}
