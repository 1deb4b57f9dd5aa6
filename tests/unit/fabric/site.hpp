#pragma once

#include <gtest/gtest.h>

#include <caf/all.hpp>
#include <memory>
#include <variant>
#include <vector>

#include "actors/fabric/fabric.hpp"
#include "tests/unit/fabric/echo_actor.hpp"
#include "tests/unit/fabric/waiting.hpp"

namespace ds::fabric::test {

// With none at all, CAF 0.17 dereferences a null tuple of arguments, which the standard library's assertions
// catch.
inline constexpr int kNoArgument = 0;

struct Configuration : caf::actor_system_config {
  Configuration() {
    configure(*this);
    add_test_messages(*this);
  }
};

inline TransportOptions options() {
  TransportOptions result;
  result.secret = "secret";
  return result;
}

/// What would be a process: transport, actor system and fabric.
struct Site {
  Site() : transport(std::move(*Transport::start(options()))), system(config) {
    fabric = std::make_unique<Fabric>(system, transport);
  }
  ~Site() {
    for (auto& actor : actors) caf::anon_send_exit(actor, caf::exit_reason::kill);
    fabric.reset();
  }
  caf::actor echo() {
    actors.push_back(system.spawn(test::echo, fabric.get()));
    return actors.back();
  }
  caf::actor proxy_of(const caf::actor& actor, Site& site) {
    return fabric->resolve(site.fabric->address_of(actor));
  }

  std::shared_ptr<Transport> transport;
  Configuration config;
  caf::actor_system system;
  std::unique_ptr<Fabric> fabric;
  std::vector<caf::actor> actors;
};

template <class Answer, class... Question>
std::variant<std::monostate, Answer, caf::error> ask(Site& site, const caf::actor& whom,
                                                     Question... question) {
  std::variant<std::monostate, Answer, caf::error> result;
  caf::scoped_actor self(site.system);
  self->request(whom, kPatience, question...)
      .receive([&](const Answer& answer) { result = answer; },
               [&](const caf::error& error) { result = error; });
  return result;
}

template <class Answer, class... Question>
Answer expect(Site& site, const caf::actor& whom, Question... question) {
  auto result = ask<Answer>(site, whom, question...);
  if (auto* error = std::get_if<caf::error>(&result)) ADD_FAILURE() << site.system.render(*error);
  return std::holds_alternative<Answer>(result) ? std::get<Answer>(result) : Answer{};
}

}  // namespace ds::fabric::test
