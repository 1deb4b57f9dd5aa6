#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace ds::job {

/// A worker's slots, as the ledger has them.
struct CommandLease {
  std::uint64_t worker = 0;
  std::string node;
  bool releasing = false;
};

/// A process's place in its gang, as its environment tells it.
struct CommandPlace {
  std::uint32_t rank = 0, world_size = 1;
  std::uint32_t local_rank = 0, local_world_size = 1;  ///< among those on its node
  std::uint32_t node_rank = 0;
  bool operator==(const CommandPlace&) const = default;
};

// What the gang wants done, in order.
/// Make the generation durable, then call `on_recorded`.
struct RecordCommand {
  std::uint64_t generation = 0;
  std::vector<std::uint64_t> members;  ///< in rank order
};
struct StartProcess {
  std::uint64_t worker = 0, generation = 0;
  CommandPlace place;
  std::string master;      ///< the node of rank 0
  std::uint16_t port = 0;  ///< where rank 0 listens; 0: this is rank 0, and its node chooses
};
struct StopProcess {
  std::uint64_t worker = 0, generation = 0;
  std::string why;
};
/// Nothing runs in it: its slots may be had by others.
struct FreeLease {
  std::uint64_t worker = 0;
};
/// All ranks run.
struct ShowRunning {
  std::size_t workers = 0;
};
/// The gang ends its processes and will start again.
struct ShowRestart {
  std::string why;
};
/// A rank is through, others are not: make that durable.
struct RecordFinished {
  std::uint64_t worker = 0;
};
/// A rank ended with an error, and the others are being stopped. Take the leases back, or end the job.
struct CommandCrashed {
  std::uint64_t worker = 0;
  std::uint32_t rank = 0;
};
/// All ranks ended with exit code 0.
struct CommandDone {
  std::size_t workers = 0;
};

using CommandAction = std::variant<RecordCommand, StartProcess, StopProcess, FreeLease, ShowRunning,
                                   ShowRestart, RecordFinished, CommandCrashed, CommandDone>;
using CommandActions = std::vector<CommandAction>;

/// The gang of a `command` job: the same program once in each of the job's leases, started together and again
/// together whenever a member is lost, must leave, or comes.
///
/// A generation begins when its members are durable: rank 0 is started first, for its node chooses the port
/// where the others find it, then all others. A lease outlives its process: when the gang changes all
/// processes are stopped, and the leases that stay get new ones. A rank that has ended with exit code 0 is
/// not started again unless the gang is. Ranks on one node follow each other. Pure: the same calls give the
/// same actions.
class CommandGang {
 public:
  struct Options {
    std::uint64_t generation = 0;         ///< newest recorded; 0: none
    std::vector<std::uint64_t> members;   ///< of it; their processes may run: a new head takes the job back
    std::vector<std::uint64_t> finished;  ///< members that ended with exit code 0
    std::vector<std::uint64_t> leaving;   ///< further workers whose processes may be ending still
  };

  explicit CommandGang(Options options);

  /// The ledger's leases of this job, as a whole, whenever they change, and how many it needs at least. The
  /// process of a member that is not in it is gone.
  CommandActions set_leases(const std::vector<CommandLease>& leases, std::uint32_t min_workers);
  CommandActions on_recorded(std::uint64_t generation);
  /// The process runs: just started, or known to a node that a new head meets. `port`: chosen for rank 0.
  /// What is said of another generation's start is late and changes nothing.
  CommandActions on_started(std::uint64_t worker, std::uint64_t generation, std::uint16_t port);
  /// The process that was started for `generation` is gone. `clean`: with exit code 0. The same holds.
  CommandActions on_exited(std::uint64_t worker, std::uint64_t generation, bool clean);

  /// Workers whose process runs, or may.
  std::vector<std::uint64_t> alive() const;
  bool is_alive(std::uint64_t worker) const;
  std::uint64_t generation() const { return generation_; }
  bool is_running() const { return stage_ == Stage::running; }
  /// Another worker would have to begin from the start what others have done.
  bool has_finished_members() const { return !finished_.empty(); }

 private:
  enum class Stage { gathering, recording, running, ending, done };
  struct Member {
    bool alive = false;    ///< ordered to start, as far as is known, and not known to be gone
    bool started = false;  ///< its node has said so
  };

  void reconsider(CommandActions& actions, const std::string& why);
  void gather(CommandActions& actions);
  void end_members(CommandActions& actions, const std::string& why);
  void free_idle(CommandActions& actions) const;
  bool must_change(std::string& why) const;
  bool is_held(std::uint64_t worker) const;
  StartProcess order_for(std::size_t rank) const;

  std::uint32_t min_workers_ = 1;
  Stage stage_ = Stage::gathering;
  std::uint64_t generation_ = 0;
  std::vector<std::uint64_t> order_;  ///< members by rank
  std::map<std::uint64_t, Member> members_;
  std::set<std::uint64_t> finished_;
  std::set<std::uint64_t> leaving_;  ///< whoever ends their leases is told of their exits
  std::map<std::uint64_t, CommandLease> leases_;
  std::map<std::uint64_t, std::string> nodes_;  ///< of members, also of those that are lost
  std::uint16_t port_ = 0;
  bool all_ordered_ = false;
};

}  // namespace ds::job
