#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "actors/fabric/owned_fd.hpp"
#include "actors/node/fork_server_watch.hpp"

namespace ds::node {

/// A program of ours that is to be started.
struct StartOrder {
  std::uint64_t worker = 0;
  std::string arguments;   ///< the program first; each ends with a zero byte
  fabric::OwnedFd output;  ///< our end of its output pipe
  fabric::OwnedFd writer;  ///< the program's end
};

/// The spawner's side of a fork server: a process of one program that has loaded and initialised its
/// libraries, and from which others of that program are forked in milliseconds (`fork_server.hpp`).
///
/// Each becomes a child of this process, which must adopt orphans (`PR_SET_CHILD_SUBREAPER`), and waits for a
/// word of it: one whose order was given up ends by itself. The fork server is a child too and starts with
/// the first order; whenever it does not do its part in time, or ends, the orders it has go back to the
/// caller, who starts them without. Plain system calls: for processes without threads.
class ForkOrders {
 public:
  /// What has become of an order: a child of this process, or (-1) nothing.
  struct Outcome {
    StartOrder order;
    pid_t pid = -1;
  };

  /// `program`: an absolute path; empty: nothing is forked.
  explicit ForkOrders(std::string program) : program_(std::move(program)) {}

  void prepare();                     ///< starts a fork server, should there be none
  bool take(StartOrder& order);       ///< false: not of that program, or there is no fork server
  bool cancel(std::uint64_t worker);  ///< false: it has no order here

  void add_polled(std::vector<pollfd>& polled) const;
  int patience_ms() const;  ///< after which `serve` is due anyway; -1: never

  /// Never waits. The orders of which something is known now; an outcome that is a child runs on.
  std::vector<Outcome> serve();

  /// Whether this process may have adopted a child, or may at any moment, that `serve` has yet to tell of.
  bool has_forks_on_their_way() const;

  void on_reaped(pid_t pid);
  pid_t server() const { return pid_; }  ///< 0: none

 private:
  struct Waiting {
    StartOrder order;
    fabric::OwnedFd channel;  ///< invalid: it was not sent
    ForkServerWatch::Moment sent = {};
  };
  bool send(Waiting& one);
  bool hear_server();
  void end_server();
  ForkServerWatch::Moment late_at() const;

  const std::string program_;
  ForkServerWatch watch_;
  fabric::OwnedFd socket_;
  pid_t pid_ = 0;
  std::list<Waiting> waiting_;  ///< oldest first
};

}  // namespace ds::node
