#pragma once

// Private to actors/head: what the head keeps in memory of nodes and jobs, and a new one learns anew.

#include <atomic>
#include <caf/all.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/gateway/http_server.hpp"
#include "actors/head/short_gang.hpp"
#include "actors/head/views.hpp"
#include "actors/job/command_gang.hpp"
#include "actors/job/replica_watch.hpp"
#include "actors/messages/worker.hpp"
#include "actors/serving/version_picker.hpp"
#include "scheduler/policy/autoscale.hpp"
#include "scheduler/policy/elastic/step_times.hpp"
#include "scheduler/policy/known_replicas.hpp"
#include "scheduler/policy/rollout_room.hpp"
#include "scheduler/policy/size_rest.hpp"
#include "scheduler/policy/spare_starts.hpp"
#include "scheduler/policy/version_trial.hpp"

namespace ds::head {

/// A node that has said hello, and is heard of.
struct KnownNode {
  NodeEntry entry;
  std::uint64_t process = 0;  ///< fabric id of its process
  std::string sign_of_life;   ///< as in its hello
  caf::actor agent;
  std::set<std::uint64_t> strangers;  ///< processes it must end before it gets work
  bool leaves = false;                ///< it has said that it is about to end
  bool is_prepared = false;           ///< was told that replicas may start there
};

/// A node's process that is not heard of: what may still run there.
struct CutOffNode {
  std::string node;
  std::uint64_t process = 0;  ///< fabric id; 0: not known
  std::int64_t until_ms = 0;  ///< then all of it has ended
  std::set<std::uint64_t> workers;
  bool pretends = false;  ///< it ran nothing: what it said it ran has ended with it
};

/// A model that is served.
struct LiveServing {
  std::map<std::uint64_t, caf::actor> replicas{};  ///< that have said hello
  scheduler::KnownReplicas known{};
  std::set<std::uint64_t> leaving{};  ///< that were told to
  job::ReplicaWatch watch;
  scheduler::LoadHistory load{};
  std::string held{};       ///< what the router was told of why no replica comes; empty: one may
  std::string lost_file{};  ///< why none of its version can start: the file is another one; empty: one may
  std::int64_t queued_since_ms = 0;  ///< and no replica has ever been placed; 0: it is otherwise
  /// What replicas have accepted, JSON, by version.
  std::map<std::uint64_t, std::string> quantization{};
  // Of a model of the registry:
  std::vector<serving::VersionLine> told{};  ///< the router
  scheduler::VersionTrial trial{};
  scheduler::RolloutRoom room{};
};

/// A job that has not ended.
struct KnownJob {
  caf::actor master;
  std::uint64_t master_number = 0;
  LiveJob live;
  ShortGang short_gang;  ///< of a training job
  std::set<std::uint64_t> ready_shards;
  scheduler::SpareStarts shard_starts;
  // Workers that come to a gang that trains without them.
  scheduler::SpareStarts spare_starts;
  std::uint64_t spare_bound = 0;    ///< workers below it were there when one last failed: one cause for all
  std::string spare_trouble;        ///< why the last of them could not join; empty: it could
  std::set<std::uint64_t> trained;  ///< members of the generation that trained last
  scheduler::StepTimes step_times;
  std::optional<std::chrono::steady_clock::time_point> standing_since;  ///< its size changes
  double resize_s = 0;    ///< for so long it stood still last; 0: that was told, or isn't known
  std::string size_note;  ///< why it has `size_noted` workers; empty: no gain was compared
  std::uint32_t size_noted = 0;
  scheduler::SizeRest size_rest;            ///< forgotten when the head starts anew
  std::optional<job::CommandGang> command;  ///< of a `command` job, in the master's place
  std::optional<LiveServing> serving;       ///< of a `serve` job, likewise
};

/// A worker that is killed because it was lost or late or failed: its exit is a crash.
struct Suspect {
  std::string why;
  bool at_fault = false, dispensable = false;  ///< see `job::KillWorker`
  bool only_here = false;                      ///< it may well do elsewhere
  bool is_other_file = false;                  ///< nor is it its version's fault: the file has changed
};

/// An export under way in a process of its own.
struct Errand {
  std::string job, format, node;
  messages::StateReply state;
  gateway::Respond respond;
};

/// What the journal's thread tells the head.
struct JournalMark {
  std::atomic<std::uint64_t> durable = 0;  ///< the newest commit that is
  std::atomic<bool> is_told = false;       ///< the head has been told to look
  bool has_failed = false;                 ///< of the journal's thread alone
};

}  // namespace ds::head
