#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/local_home.hpp"
#include "clients/member_process.hpp"

namespace ds::clients {

/// How many nodes a local cluster has, what each offers, and where it is found.
struct ClusterShape {
  int nodes = 2;
  int slots = 2;
  std::string gpus = {};   ///< node-1's, as `ds-node --gpus` takes them; empty: what the driver finds
  std::uint16_t port = 0;  ///< of the head's HTTP API on 127.0.0.1; 0: any free one
  bool operator==(const ClusterShape&) const = default;
};

/// What the user says of it; the rest is as it was, or as in `ClusterShape{}`.
struct ShapeOptions {
  std::optional<int> nodes = {};
  std::optional<int> slots = {};
  std::optional<std::string> gpus = {};  ///< `auto`: what the driver finds
  std::optional<std::uint16_t> port = {};
};

/// The shape that `options` ask for where the cluster last had the shape `before`.
ClusterShape choose_shape(const ShapeOptions& options, const std::optional<ClusterShape>& before);

/// `4 nodes of 2 slots, GPUs of node-1: H200:4`; the port is not of it.
std::string describe_shape(const ClusterShape& shape);

/// The text of `shape`: `nodes N\nslots N\n`, and `port N\n` and `gpus KIND:N\n` if they were stated.
std::string format_cluster_shape(const ClusterShape& shape);
std::optional<ClusterShape> parse_cluster_shape(const std::string& text);

/// What `ds-node --gpus` is given; empty: nothing. The machine's GPUs are node-1's: two nodes that offer the
/// same would both give it to somebody.
std::string gpus_of_node(const ClusterShape& shape, int number);

/// The embedded cluster of this machine: one head and some nodes as processes of their own, remembered in
/// files under a `LocalHome`. One object at a time does something (a lock file); all members throw `Failure`.
class LocalCluster {
 public:
  explicit LocalCluster(LocalHome home);
  ~LocalCluster();
  LocalCluster(const LocalCluster&) = delete;
  LocalCluster& operator=(const LocalCluster&) = delete;

  struct Up {
    std::string address;               ///< HOST:PORT of the head
    ClusterShape shape;                ///< of the whole cluster
    std::vector<std::string> started;  ///< members that were not running before; empty: it was up already
  };
  /// Starts what is not running and returns once the head knows all nodes. A head that died comes back on the
  /// port it had, because nodes look for it there; where none runs, and the user has named no port, on
  /// another if that is taken. A port that was named and is taken is a conflict. The shape is the one that
  /// was asked for last, but for what `options` say; another than that of what is running is a conflict. When
  /// a member dies meanwhile, or a node does not register in 60 s, that is a failure that names it and shows
  /// the last lines of its log. What was started is stopped then, unless something was running before: jobs
  /// may be, and need the head.
  ///
  /// `tenants`: the text of a file for `ds-head --tenants`; it is remembered, and an empty one forgotten.
  /// None: what is remembered. Another text than a running head was started with is a conflict.
  Up up(const ShapeOptions& options, const std::optional<std::string>& tenants = std::nullopt);

  /// Stops nodes, then the head: SIGTERM, and SIGKILL for what is left after 15 s. Keeps jobs and checkpoints
  /// unless `purge`. Returns the members that were running.
  std::vector<std::string> down(bool purge);

  const LocalHome& home() const { return home_; }

 private:
  using Members = std::map<std::string, MemberRecord>;
  using Clock = std::chrono::steady_clock;

  bool lock(bool create);
  void prepare_folders();
  Members living_members() const;
  void start(const std::string& name, const std::string& program, const std::vector<std::string>& arguments);
  std::string start_head(std::uint16_t port, Clock::time_point deadline);
  std::string choose_listen_address(std::uint16_t port) const;
  void check_shape(const ClusterShape& before, const ClusterShape& shape) const;
  void remember_tenants(const std::optional<std::string>& text);
  void wait_for_nodes(const std::string& address, const ClusterShape& shape, Clock::time_point deadline);
  [[noreturn]] void fail_without(const std::vector<std::string>& nodes) const;
  void check_members() const;
  [[noreturn]] void fail_with_log(const std::string& name, const std::string& what) const;
  void stop_members(const Members& members);
  void forget(const Members& members);

  LocalHome home_;
  int lock_ = -1;
  Members started_;
  bool is_fresh_ = true;  ///< nothing was running before `up`
  Members members_;       ///< all that should be alive while `up` waits
};

}  // namespace ds::clients
