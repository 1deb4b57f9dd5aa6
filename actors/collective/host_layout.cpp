#include "actors/collective/host_layout.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>

namespace ds::collective {

std::optional<std::vector<RankRange>> group_hosts(std::span<const std::string> identities) {
  std::vector<RankRange> hosts;
  std::set<std::string> seen;
  for (std::uint32_t rank = 0; rank < identities.size(); ++rank) {
    const std::string& identity = identities[rank];
    if (rank > 0 && !identity.empty() && identity == identities[rank - 1]) {
      hosts.back().last = rank + 1;
      continue;
    }
    if (!identity.empty() && !seen.insert(identity).second) return std::nullopt;
    hosts.push_back({rank, rank + 1});
  }
  return hosts;
}

std::string local_host_identity() {
  std::string boot;
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  struct stat network {};
  if (!std::getline(file, boot) || stat("/proc/self/ns/net", &network) != 0) return {};
  return fmt::format("{} net {} user {}", boot, network.st_ino, geteuid());
}

}  // namespace ds::collective
