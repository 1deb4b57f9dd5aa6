#pragma once

#include <string>
#include <vector>

namespace ds::fabric::tests {

/// Two hosts with a cable between them: network namespaces and a veth pair, gone at the end of this object.
/// Needs root.
class NetworkHosts {
 public:
  NetworkHosts();
  ~NetworkHosts();
  NetworkHosts(const NetworkHosts&) = delete;
  NetworkHosts& operator=(const NetworkHosts&) = delete;

  /// Why there are no hosts; empty when there are.
  const std::string& missing() const { return missing_; }

  /// What stands before a command that runs on a host (0 or 1); itself arguments of env.
  std::vector<std::string> on(int host) const;
  std::string ipv4(int host) const { return host == 0 ? "10.77.0.1" : "10.77.0.2"; }
  std::string ipv6(int host) const { return host == 0 ? "fd77::1" : "fd77::2"; }

  void unplug();
  void plug();
  /// Both hosts drop so many of 100 packets that arrive. 0 ends it.
  void drop(int percent);
  /// Bytes that arrived at a host over the cable.
  unsigned long long received(int host) const;

 private:
  std::string name(int host) const;
  bool run(const std::string& command) const;

  std::string missing_;
};

}  // namespace ds::fabric::tests
