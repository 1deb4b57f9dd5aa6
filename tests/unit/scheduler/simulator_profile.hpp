#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace ds::simulator {

/// A profile folder with one application, small enough to follow with a pencil: bert, two epochs of 100 units
/// of progress; a step of 10 samples takes 1 s on one slot, 1.25 s on two or more; gradients without noise at
/// all batch sizes, so that a step is a unit of progress whatever its batch.
inline void write_small_profiles(const std::filesystem::path& folder) {
  const auto bert = folder / "bert";
  std::filesystem::create_directories(bert);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(bert / name) << text;
  };
  write("placements.csv",
        "placement,local_bsz,step_time,sync_time\n"
        "1,5,0.5,0\n1,10,1,0\n2,5,0.75,0.25\n2,10,1.25,0.25\n11,5,1,0.5\n11,10,1.5,0.5\n");
  write("scalability.csv",
        "num_nodes,num_replicas,local_bsz,step_time,sync_time\n1,3,5,0.75,0.25\n1,3,10,1.25,0.25\n");
  const std::string epochs =
      "progress,iteration,metric,grad_sqr,grad_var\n100,100,1,1,1e-9\n200,200,2,1,1e-9\n";
  write("validation-10.csv", epochs);
  write("validation-40.csv", epochs);
}

}  // namespace ds::simulator
