#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace ds::gateway {

/// Whether the machine answers that nobody listens at `HOST:PORT`: it refuses TCP connections. False when it
/// accepts one, when nothing is heard within `timeout`, and for what is no address. Blocks.
bool is_port_closed(const std::string& host_port, std::chrono::milliseconds timeout);

/// Tells when a process on another machine is certainly gone: the port at which it has listened refuses
/// connections. A connection that is accepted is kept until the other side ends it, so that a process that
/// lives is asked once, and one that ends is noticed at once. A firewall that refuses in the machine's place
/// deceives it.
class PortWatch {
 public:
  static constexpr int kMost = 256;

  PortWatch();
  ~PortWatch();  ///< forgets all that is watched; not from `on_closed`
  PortWatch(const PortWatch&) = delete;
  PortWatch& operator=(const PortWatch&) = delete;

  /// Calls `on_closed` once, on a thread of its own, unless `for_at_most` is over first. More than `kMost` at
  /// a time are not watched. Any thread.
  void watch(const std::string& host_port, std::chrono::milliseconds for_at_most,
             std::function<void()> on_closed);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ds::gateway
