#include "tests/integration/network_hosts.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace ds::fabric::tests {
namespace {

// Those of test processes that were killed before they could.
void remove_left_over() {
  std::error_code ignored;
  for (const auto& space : std::filesystem::directory_iterator("/run/netns", ignored)) {
    int pid = 0;
    const std::string name = space.path().filename();
    if (std::sscanf(name.c_str(), "ds-test-%d-", &pid) != 1 ||
        std::filesystem::exists("/proc/" + std::to_string(pid)))
      continue;
    if (std::system(("ip netns del " + name + " >/dev/null 2>&1").c_str()) != 0) continue;
  }
}

}  // namespace

NetworkHosts::NetworkHosts() {
  if (geteuid() == 0) remove_left_over();
  if (geteuid() != 0) {
    missing_ = "network namespaces need root";
  } else if (!run("ip -V") || !run("nft -v")) {
    missing_ = "ip or nft is missing (packages iproute2 and nftables)";
  } else if (!run("ip netns add " + name(0)) || !run("ip netns add " + name(1))) {
    missing_ = "this machine allows no network namespaces";
  } else if (!run("ip link add cable netns " + name(0) + " type veth peer name cable netns " + name(1))) {
    missing_ = "this machine has no veth devices";
  }
  for (int host = 0; host < 2 && missing_.empty(); ++host) {
    const std::string on_it = "ip -n " + name(host);
    if (!run(on_it + " addr add " + ipv4(host) + "/24 dev cable") || !run(on_it + " link set lo up") ||
        !run(on_it + " link set cable up")) {
      missing_ = "the network of a namespace cannot be set up";
    }
    run(on_it + " addr add " + ipv6(host) + "/64 dev cable nodad");  // a kernel without IPv6 says no
  }
}

NetworkHosts::~NetworkHosts() {
  for (int host = 0; host < 2; ++host) run("ip netns del " + name(host));
}

std::string NetworkHosts::name(int host) const {
  return "ds-test-" + std::to_string(getpid()) + (host == 0 ? "-a" : "-b");
}

bool NetworkHosts::run(const std::string& command) const {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

std::vector<std::string> NetworkHosts::on(int host) const {
  return {"ip", "netns", "exec", name(host)};
}

void NetworkHosts::unplug() {
  EXPECT_TRUE(run("ip -n " + name(0) + " link set cable down"));
}

void NetworkHosts::plug() {
  EXPECT_TRUE(run("ip -n " + name(0) + " link set cable up"));
  run("ip -n " + name(0) + " addr add " + ipv6(0) + "/64 dev cable nodad");  // it goes with the link
}

void NetworkHosts::drop(int percent) {
  for (int host = 0; host < 2; ++host) {
    const std::string nft = "ip netns exec " + name(host) + " nft ";
    run(nft + "delete table inet loss");
    if (percent == 0) continue;
    const std::string which = percent >= 100 ? "" : "numgen random mod 100 '<' " + std::to_string(percent);
    EXPECT_TRUE(run(nft + "add table inet loss") &&
                run(nft + "'add chain inet loss in { type filter hook input priority 0; }'") &&
                run(nft + "add rule inet loss in iifname cable " + which + " drop"));
  }
}

unsigned long long NetworkHosts::received(int host) const {
  unsigned long long bytes = 0;
  const std::string command = "ip netns exec " + name(host) + " cat /sys/class/net/cable/statistics/rx_bytes";
  if (std::FILE* out = popen(command.c_str(), "r")) {
    if (std::fscanf(out, "%llu", &bytes) != 1) bytes = 0;
    pclose(out);
  }
  return bytes;
}

}  // namespace ds::fabric::tests
