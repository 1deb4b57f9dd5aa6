#pragma once

#include <caf/all.hpp>
#include <vector>

#include "tests/unit/fabric/test_messages.hpp"

namespace ds::fabric::test {

struct EchoState {
  std::vector<caf::response_promise> unanswered;
};

/// Answers as the message's text says. `fabric` may be null when nobody asks it to delegate.
inline caf::behavior echo(caf::stateful_actor<EchoState>* self, Fabric* fabric) {
  return {
      [](Ping ping) { return Ping{ping.number + 1}; },
      [](const Everything& everything) { return everything; },
      [](const Buffer& buffer) { return buffer; },
      [](Ping, Ping) {},  // answers with nothing
      [self](const Stop&) { self->quit(caf::exit_reason::user_shutdown); },
      [self, fabric](const Ask& ask) -> caf::result<caf::message> {
        if (ask.what == "fail") return caf::make_error(caf::sec::runtime_error, "as asked");
        if (ask.what == "delegate") return self->delegate(fabric->resolve(ask.whom), Ping{100});
        auto promise = self->make_response_promise<Ping>();
        self->state.unanswered.push_back(promise);  // "never"
        return caf::delegated<caf::message>();
      },
  };
}

}  // namespace ds::fabric::test
