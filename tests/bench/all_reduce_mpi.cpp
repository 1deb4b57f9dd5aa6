// One rank of Open MPI; started by mpirun, from which it learns its rank (the argument is ignored).
#include <mpi.h>

#include <vector>

#include "tests/bench/all_reduce_race.hpp"

using namespace ds;

namespace {

class OpenMpi : public bench::Contender {
 public:
  explicit OpenMpi(std::size_t elements) : input_(elements), output_(elements) {}
  std::span<float> input() override { return input_; }
  std::span<float> output() override { return output_; }
  void all_reduce() override {
    MPI_Allreduce(input_.data(), output_.data(), static_cast<int>(input_.size()), MPI_FLOAT, MPI_SUM,
                  MPI_COMM_WORLD);
  }

 private:
  std::vector<float> input_;
  std::vector<float> output_;
};

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  bench::Race race = bench::parse_race(argc, argv);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  race.rank = static_cast<std::uint32_t>(rank);
  OpenMpi contender(race.elements);
  bench::run_race(race, contender);
  MPI_Finalize();
  return 0;
}
