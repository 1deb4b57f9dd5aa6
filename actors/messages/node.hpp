#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/fabric/fabric.hpp"

namespace ds::messages {

/// A process that a node agent supervises; also a command that has ended, until `ExitTaken`.
struct RunningWorker {
  std::uint64_t worker = 0;
  std::string job;
  std::int32_t pid = 0;
  std::uint64_t generation = 0;  ///< of a command: which start of it this is; else 0
  bool operator==(const RunningWorker&) const = default;
};

/// What a node agent says first to every head it meets; answered with `NodeWelcome` or `NodeRefused`.
struct NodeHello {
  std::string name;     ///< an identifier, unique in the cluster
  std::string address;  ///< of its fabric listener, `host:port`
  std::int32_t pid = 0;
  std::uint32_t slots = 0;
  std::uint32_t cores = 0;  ///< that its workers may run on
  std::uint64_t memory_bytes = 0;
  std::vector<std::string> gpus;
  std::vector<RunningWorker> running;
  fabric::ActorAddress agent;
  bool pretends = false;  ///< it starts no programs and says it does
  /// Accepts connections as long as a user's program may run there; empty when it pretends.
  std::string sign_of_life;
  std::int64_t sent_ns = 0;  ///< by the node's clock
  bool operator==(const NodeHello&) const = default;
};

/// The node is in. It ends every process that is not in `keep`, and reports each exit. Users' programs may
/// run on it for `term_ms` from the moment at which it has sent what this or a `NodeRenewed` answers (their
/// `sent_ns`); 0: for ever.
struct NodeWelcome {
  std::vector<std::uint64_t> keep;
  std::uint32_t term_ms = 0;
  fabric::ActorAddress renewer;  ///< answers `RenewNode`
  std::int64_t sent_ns = 0;
  bool operator==(const NodeWelcome&) const = default;
};

/// A node that the head knows as up asks for another term: answered with `NodeRenewed`, otherwise not at all.
struct RenewNode {
  std::int64_t sent_ns = 0;  ///< by the node's clock
  bool operator==(const RenewNode&) const = default;
};
struct NodeRenewed {
  std::int64_t sent_ns = 0;
  bool operator==(const NodeRenewed&) const = default;
};

struct NodeRefused {
  std::string why;
  bool operator==(const NodeRefused&) const = default;
};

struct StartWorker {
  std::uint64_t worker = 0;
  std::string job;
  std::string role = "worker";              ///< as `scheduler::to_string`
  std::vector<std::uint32_t> devices = {};  ///< the node's GPUs that it may use, and CUDA shows it
  bool operator==(const StartWorker&) const = default;
};

/// A `StartWorker` may come that somebody waits for: a model is served whose replicas sleep, or may have to
/// start elsewhere. No answer; harmless when it is lost or repeated.
struct PrepareToStart {
  bool operator==(const PrepareToStart&) const = default;
};

/// Starts a user's program as the process `worker`; answered with `WorkerStarted`.
///
/// One worker may be started again, each time for a later generation of its job's gang (which is in the
/// journal before this is sent). All that is said of a command names the start that it is about, so that what
/// is late or repeated harms no later one. A repeated order is left out.
struct StartCommand {
  std::uint64_t worker = 0;
  std::uint64_t generation = 0;
  std::string job;
  std::string directory;
  std::vector<std::string> arguments;
  std::vector<std::string> variables;  ///< `NAME=value`
  bool whole_lines = false;            ///< its output mixes with that of others
  bool chooses_port = false;  ///< rank 0: the node chooses a free port, sets MASTER_PORT, and tells it
  bool operator==(const StartCommand&) const = default;
};

/// Sends SIGTERM to a command, and SIGKILL to all that it has started after `grace_ms`. Harmless when it is
/// gone already, and to a later start.
struct StopCommand {
  std::uint64_t worker = 0;
  std::uint64_t generation = 0;
  std::uint32_t grace_ms = 0;
  std::string why;
  bool operator==(const StopCommand&) const = default;
};

/// The end of the command is durable: the node may forget it.
struct ExitTaken {
  std::uint64_t worker = 0;
  std::uint64_t generation = 0;
  bool operator==(const ExitTaken&) const = default;
};

/// Ends the process now. Harmless when it is gone already.
struct KillWorker {
  std::uint64_t worker = 0;
  std::string why;
  bool operator==(const KillWorker&) const = default;
};

struct WorkerStarted {
  std::uint64_t worker = 0;
  std::int32_t pid = 0;
  std::uint16_t port = 0;        ///< that the node has chosen for it; 0: none
  std::uint64_t generation = 0;  ///< of a command
  bool operator==(const WorkerStarted&) const = default;
};

/// The process is gone and was waited for.
struct WorkerExited {
  std::uint64_t worker = 0;
  std::string text;              ///< `exit code 0`, `killed by signal 9 (Killed)`
  bool clean = false;            ///< exit code 0
  bool outside = false;          ///< SIGKILL or SIGTERM, not for lack of memory: something outside the job
  std::uint64_t generation = 0;  ///< of a command
  bool lost = false;             ///< it had to end because its node was cut off from the head
  bool operator==(const WorkerExited&) const = default;
};

/// The node is about to end: it stops users' programs, and all that they are of has to go on elsewhere.
struct NodeLeaving {
  std::string name;
  bool operator==(const NodeLeaving&) const = default;
};

/// Output of a worker, whole lines where possible. The node sends the next only after `LogTaken`.
struct LogLines {
  std::string job;
  std::uint64_t worker = 0;
  std::string text;
  bool operator==(const LogLines&) const = default;
};

struct LogTaken {
  std::uint64_t worker = 0;
  bool operator==(const LogTaken&) const = default;
};

template <class I>
auto inspect(I& f, RunningWorker& x) {
  return f(x.worker, x.job, x.pid, x.generation);
}
template <class I>
auto inspect(I& f, NodeHello& x) {
  return f(x.name, x.address, x.pid, x.slots, x.cores, x.memory_bytes, x.gpus, x.running, x.agent, x.pretends,
           x.sign_of_life, x.sent_ns);
}
template <class I>
auto inspect(I& f, NodeWelcome& x) {
  return f(x.keep, x.term_ms, x.renewer, x.sent_ns);
}
template <class I>
auto inspect(I& f, RenewNode& x) {
  return f(x.sent_ns);
}
template <class I>
auto inspect(I& f, NodeRenewed& x) {
  return f(x.sent_ns);
}
template <class I>
auto inspect(I& f, NodeRefused& x) {
  return f(x.why);
}
template <class I>
auto inspect(I& f, StartWorker& x) {
  return f(x.worker, x.job, x.role, x.devices);
}
template <class I>
auto inspect(I& f, PrepareToStart&) {
  return f();
}
template <class I>
auto inspect(I& f, StartCommand& x) {
  return f(x.worker, x.generation, x.job, x.directory, x.arguments, x.variables, x.whole_lines,
           x.chooses_port);
}
template <class I>
auto inspect(I& f, StopCommand& x) {
  return f(x.worker, x.generation, x.grace_ms, x.why);
}
template <class I>
auto inspect(I& f, ExitTaken& x) {
  return f(x.worker, x.generation);
}
template <class I>
auto inspect(I& f, KillWorker& x) {
  return f(x.worker, x.why);
}
template <class I>
auto inspect(I& f, WorkerStarted& x) {
  return f(x.worker, x.pid, x.port, x.generation);
}
template <class I>
auto inspect(I& f, WorkerExited& x) {
  return f(x.worker, x.text, x.clean, x.outside, x.generation, x.lost);
}
template <class I>
auto inspect(I& f, NodeLeaving& x) {
  return f(x.name);
}
template <class I>
auto inspect(I& f, LogLines& x) {
  return f(x.job, x.worker, x.text);
}
template <class I>
auto inspect(I& f, LogTaken& x) {
  return f(x.worker);
}

}  // namespace ds::messages
