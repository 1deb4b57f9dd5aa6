#include "actors/node/machine.hpp"

#include <sched.h>
#include <unistd.h>

#include "kernels/gpu.hpp"

namespace ds::node {

Machine inspect_machine() {
  Machine machine;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    machine.cores = static_cast<std::uint32_t>(CPU_COUNT(&allowed));
  }
  machine.memory_bytes =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (const auto& gpu : kernels::list_gpus()) machine.gpus.push_back(gpu.name);
  return machine;
}

}  // namespace ds::node
