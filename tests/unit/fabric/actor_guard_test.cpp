#include "actors/fabric/actor_guard.hpp"

#include <gtest/gtest.h>

#include "tests/unit/fabric/site.hpp"

namespace ds::fabric {
namespace {

using test::expect;
using test::kNoArgument;
using test::Ping;
using test::Site;
using test::Stop;

TEST(ActorGuard, OutlivesAMessageThatNobodyKnows) {
  Site a;
  Site b;
  const auto stranger = b.system.spawn(
      [](caf::event_based_actor*, int) -> caf::behavior { return {[](Ping ping) { return ping; }}; },
      kNoArgument);
  b.actors.push_back(stranger);
  const auto remote = a.proxy_of(stranger, b);
  const auto guarded = a.system.spawn(
      [remote](caf::event_based_actor* self, int) -> caf::behavior {
        guard_actor(*self, "a test's actor");
        return {[self, remote](Ping ping) {
          self->send(remote, Stop{});  // is answered with an error, before what follows
          auto promise = self->make_response_promise<Ping>();
          self->request(remote, kPatience, ping).then([promise](Ping back) mutable {
            promise.deliver(back);
          });
          return promise;
        }};
      },
      kNoArgument);
  a.actors.push_back(guarded);
  for (const std::uint64_t number : {1U, 2U})
    EXPECT_EQ(expect<Ping>(a, guarded, Ping{number}).number, number);
}

}  // namespace
}  // namespace ds::fabric
