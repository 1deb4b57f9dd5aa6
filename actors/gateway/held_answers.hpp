#pragma once

// Private to actors/gateway: what `AnswersTogether` holds.

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "actors/gateway/session.hpp"

namespace ds::gateway {

struct AnswersTogether::Held {
  struct One {
    std::shared_ptr<Session> session;
    std::uint64_t request;
    Reply reply;
  };
  std::map<Loop*, std::vector<One>> by_loop;

  /// Passes an answer to its session's loop: now, or with the others that this thread holds.
  static void add(std::shared_ptr<Session> session, std::uint64_t request, Reply reply);
  /// Each loop goes on with its own. Who answers on a loop's own thread wakes nobody.
  void pass_on();
};

}  // namespace ds::gateway
