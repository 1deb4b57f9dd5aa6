#include "actors/fabric/fabric.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <random>

#include "actors/fabric/progress_round.hpp"
#include "actors/fabric/prompt_actor.hpp"
#include "tests/unit/fabric/echo_actor.hpp"
#include "tests/unit/fabric/peer_process.hpp"
#include "tests/unit/fabric/site.hpp"
#include "tests/unit/fabric/waiting.hpp"

namespace ds::fabric {
namespace {

using namespace std::chrono_literals;
using test::Ask;
using test::ask;
using test::Configuration;
using test::Everything;
using test::expect;
using test::kNoArgument;
using test::options;
using test::Ping;
using test::Site;
using test::Stop;

template <class... Question>
caf::error expect_error(Site& site, const caf::actor& whom, Question... question) {
  auto result = ask<Ping>(site, whom, question...);
  EXPECT_TRUE(std::holds_alternative<caf::error>(result));
  return std::holds_alternative<caf::error>(result) ? std::get<caf::error>(result) : caf::error{};
}

Buffer pattern(std::size_t size, unsigned seed) {
  return Buffer::make(size, [&](std::span<std::byte> out) {
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i * 131 + seed + (i >> 8));
  });
}

/// An actor that reports the down and exit messages it gets.
struct Watcher {
  struct Notice {
    std::string kind;
    caf::error reason;
  };
  Watcher(Site& site, const caf::actor& whom, bool monitor, bool link) {
    actor = site.system.spawn(
        [this, whom, monitor, link](caf::event_based_actor* self, int) -> caf::behavior {
          self->set_down_handler([this](caf::down_msg& down) { notices.put({"down", down.reason}); });
          self->set_exit_handler([this, self](caf::exit_msg& exit) {
            if (exit.reason == caf::exit_reason::kill) return self->quit();
            notices.put({"exit", exit.reason});
          });
          if (monitor) self->monitor(whom);
          if (link) self->link_to(whom);
          return {[](Ping ping) { return ping; }};
        },
        kNoArgument);
    site.actors.push_back(actor);
    expect<Ping>(site, actor, Ping{});  // it has monitored by now
  }
  Inbox<Notice> notices;
  caf::actor actor;
};

TEST(Fabric, AsksAnActorOfAnotherProcess) {
  Site a;
  Site b;
  auto remote = a.proxy_of(b.echo(), b);
  EXPECT_EQ(expect<Ping>(a, remote, Ping{41}).number, 42u);
  for (std::uint64_t i = 0; i < 1000; ++i) ASSERT_EQ(expect<Ping>(a, remote, Ping{i}).number, i + 1);
}

/// Tells whether a progress thread runs it.
class Prompt : public caf::event_based_actor, public PromptActor {
 public:
  Prompt(caf::actor_config& config, Inbox<bool>& ran_on_progress_thread)
      : event_based_actor(config), ran_(ran_on_progress_thread) {}
  caf::behavior make_behavior() override {
    return {[this](Ping ping) {
      ran_.put(is_progress_thread());
      return ping;
    }};
  }

 private:
  Inbox<bool>& ran_;
};

TEST(Fabric, RunsAPromptActorOnTheThreadThatReceivesItsMessage) {
  Inbox<bool> ran;
  Site a, b;
  b.actors.push_back(caf::actor_cast<caf::actor>(b.system.spawn<Prompt>(std::ref(ran))));
  const auto remote = a.proxy_of(b.actors.back(), b);
  // A thread of CAF's that looks for messages itself, or has just run the actor, may be the first.
  bool was_there = false;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!was_there && std::chrono::steady_clock::now() < deadline) {
    caf::anon_send(remote, Ping{1});
    const auto ran_there = ran.take();
    ASSERT_TRUE(ran_there);
    was_there = *ran_there;
  }
  EXPECT_TRUE(was_there);
  for (std::uint64_t i = 0; i < 100; ++i) caf::anon_send(remote, Ping{i});
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(ran.take()) << "none is lost";
  EXPECT_EQ(expect<Ping>(a, remote, Ping{7}).number, 7U);
}

TEST(Fabric, EveryKindOfFieldArrivesAsItLeft) {
  Site a;
  Site b;
  auto remote = a.proxy_of(b.echo(), b);
  Everything all;
  EXPECT_EQ(expect<Everything>(a, remote, all), all);
  all.yes = true;
  all.u8 = 0xff;
  all.i8 = -128;
  all.u16 = 0xffff;
  all.i16 = -32768;
  all.u32 = ~0u;
  all.i32 = std::numeric_limits<std::int32_t>::min();
  all.u64 = ~std::uint64_t{0};
  all.i64 = std::numeric_limits<std::int64_t>::min();
  all.colour = test::Colour::green;
  all.text = std::string("with\0zero and ü", 16);
  all.real = -0.0;
  all.reals = {1.5, std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()};
  all.raw = {0, 1, 255};
  all.texts = {"", "x", std::string(100'000, 'y')};
  all.pings = {{1}, {2}};
  all.metrics = {{"loss", 0.25}, {"", std::numeric_limits<double>::denorm_min()}};
  all.buffer = Buffer::copy_of("here");
  all.buffers = {Buffer(), pattern(1, 1), pattern(8 << 20, 2), Buffer::copy_of("tail")};
  EXPECT_EQ(expect<Everything>(a, remote, all), all);
}

TEST(Fabric, EveryDoubleArrivesAsItLeft) {
  Site a;
  Site b;
  auto remote = a.proxy_of(b.echo(), b);
  std::vector<std::uint64_t> bits = {0,
                                     1,
                                     0x8000000000000000,
                                     0x7ff0000000000000,
                                     0xfff0000000000000,
                                     0x7ff0000000000001,
                                     0x7ff8000000000000,
                                     0xfff8dead0000beef,
                                     0x000fffffffffffff,
                                     0x0010000000000000};
  for (std::uint64_t half = 0; half < 0x10000; ++half) bits.push_back(half << 48 | 0x5555);
  std::mt19937_64 random(1);
  while (bits.size() < 1'100'000) bits.push_back(random());
  Everything all;
  for (std::uint64_t pattern : bits) all.reals.push_back(std::bit_cast<double>(pattern));
  const Everything back = expect<Everything>(a, remote, all);
  ASSERT_EQ(back.reals.size(), bits.size());
  for (std::size_t i = 0; i < bits.size(); ++i) ASSERT_EQ(back.reals[i].bits(), bits[i]);
}

TEST(Fabric, ABufferCanBeTheMessage) {
  Site a;
  Site b;
  auto remote = a.proxy_of(b.echo(), b);
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{8} << 20}) {
    const Buffer buffer = pattern(size, 9);
    EXPECT_TRUE(expect<Buffer>(a, remote, buffer) == buffer);
  }
}

TEST(Fabric, FindsAPublishedActorByAddressAlone) {
  Site a;
  Site b;
  b.fabric->publish(kHeadActor, b.echo());
  ProcessAddress nameless = b.fabric->self();
  nameless.id = 0;
  EXPECT_EQ(expect<Ping>(a, a.fabric->resolve({nameless, kHeadActor}), Ping{1}).number, 2u);
  EXPECT_EQ(expect<Ping>(a, a.fabric->resolve({b.fabric->self(), kHeadActor}), Ping{1}).number, 2u);
}

TEST(Fabric, ResolvesItsOwnActorsToThemselves) {
  Site a;
  auto local = a.echo();
  EXPECT_EQ(a.fabric->resolve(a.fabric->address_of(local)), local);
  a.fabric->publish(7, local);
  EXPECT_EQ(a.fabric->resolve({a.fabric->self(), 7}), local);
  EXPECT_FALSE(a.fabric->resolve({}));
  EXPECT_TRUE(expect_error(a, a.fabric->resolve({a.fabric->self(), 8}), Ping{}) ==
              caf::sec::request_receiver_down);
}

TEST(Fabric, GivesTheSameProxyForTheSameAddress) {
  Site a;
  Site b;
  auto actor = b.echo();
  auto proxy = a.proxy_of(actor, b);
  EXPECT_EQ(proxy, a.proxy_of(actor, b));
  EXPECT_EQ(a.fabric->address_of(proxy), b.fabric->address_of(actor));
}

TEST(Fabric, CarriesErrorReplies) {
  Site a;
  Site b;
  auto error = expect_error(a, a.proxy_of(b.echo(), b), Ask{"fail", {}});
  EXPECT_TRUE(error == caf::sec::runtime_error);
  EXPECT_NE(a.system.render(error).find("as asked"), std::string::npos);
}

TEST(Fabric, CarriesEmptyReplies) {
  Site a;
  Site b;
  auto remote = a.proxy_of(b.echo(), b);
  caf::scoped_actor self(a.system);
  bool answered = false;
  self->request(remote, kPatience, Ping{1}, Ping{2})
      .receive([&] { answered = true; }, [](const caf::error&) {});
  EXPECT_TRUE(answered);
}

TEST(Fabric, AnActorThatOnlyWaitsForAnAnswerStaysAlive) {
  Site a;
  Site b;
  auto remote = a.proxy_of(b.echo(), b);
  Inbox<std::uint64_t> answers;
  // Nobody holds a handle to it.
  a.system.spawn(
      [&](caf::event_based_actor* self, int) {
        self->request(remote, caf::infinite, Ping{1}).then([&, self](Ping first) {
          answers.put(first.number);
          self->request(remote, caf::infinite, Ping{first}).then([&](Ping second) {
            answers.put(second.number);
          });
        });
      },
      kNoArgument);
  EXPECT_EQ(answers.take(), 2u);
  EXPECT_EQ(answers.take(), 3u);
}

TEST(Fabric, ARequestTimesOutByItself) {
  Site a;
  Site b;
  auto remote = a.proxy_of(b.echo(), b);
  caf::scoped_actor self(a.system);
  caf::error error;
  self->request(remote, 50ms, Ask{"never", {}})
      .receive([](Ping) { FAIL(); }, [&](const caf::error& e) { error = e; });
  EXPECT_TRUE(error == caf::sec::request_timeout) << a.system.render(error);
}

TEST(Fabric, AnUnexpectedMessageIsAnErrorAsItIsLocally) {
  Site a;
  Site b;
  auto error = expect_error(a, a.proxy_of(b.echo(), b), std::string("nobody understands me"));
  EXPECT_TRUE(error == caf::sec::unexpected_message) << a.system.render(error);
}

TEST(Fabric, ARequestToAnActorThatIsNotThereFailsAtOnce) {
  Site a;
  Site b;
  EXPECT_TRUE(expect_error(a, a.fabric->resolve({b.fabric->self(), 999'999}), Ping{}) ==
              caf::sec::request_receiver_down);
  auto actor = b.echo();
  auto remote = a.proxy_of(actor, b);
  Watcher watcher(a, remote, true, false);
  caf::anon_send(remote, Stop{});
  ASSERT_TRUE(watcher.notices.take());
  EXPECT_TRUE(expect_error(a, remote, Ping{}) == caf::sec::request_receiver_down);
}

TEST(Fabric, DelegatesBetweenProcesses) {
  Site a;
  Site b;
  Site c;
  auto last = c.echo();
  auto remote = a.proxy_of(b.echo(), b);
  EXPECT_EQ(expect<Ping>(a, remote, Ask{"delegate", c.fabric->address_of(last)}).number, 101u);
  EXPECT_EQ(expect<Ping>(a, remote, Ask{"delegate", a.fabric->address_of(a.echo())}).number, 101u);
}

TEST(Fabric, TellsMonitorsThatARemoteActorEnded) {
  Site a;
  Site b;
  auto remote = a.proxy_of(b.echo(), b);
  Watcher first(a, remote, true, false);
  Watcher second(a, remote, true, false);
  caf::anon_send(remote, Stop{});
  for (Watcher* watcher : {&first, &second}) {
    auto notice = watcher->notices.take();
    ASSERT_TRUE(notice);
    EXPECT_EQ(notice->kind, "down");
    EXPECT_TRUE(notice->reason == caf::exit_reason::user_shutdown);
    EXPECT_FALSE(watcher->notices.take(50ms));
  }
}

TEST(Fabric, MonitoringAnActorThatHasEndedTellsAtOnce) {
  Site a;
  Site b;
  Watcher watcher(a, a.fabric->resolve({b.fabric->self(), 123'456}), true, false);
  ASSERT_TRUE(watcher.notices.take());
}

TEST(Fabric, LinksWorkInBothDirectionsOnce) {
  Site a;
  Site b;
  {  // the remote one ends
    auto remote = a.proxy_of(b.echo(), b);
    Watcher watcher(a, remote, false, true);
    caf::anon_send(remote, Stop{});
    auto notice = watcher.notices.take();
    ASSERT_TRUE(notice);
    EXPECT_EQ(notice->kind, "exit");
    EXPECT_TRUE(notice->reason == caf::exit_reason::user_shutdown);
    EXPECT_FALSE(watcher.notices.take(50ms));
  }
  {  // the local one ends
    Watcher there(b, b.echo(), false, false);
    auto remote = a.proxy_of(there.actor, b);
    auto here = a.system.spawn(
        [remote](caf::event_based_actor* self, int) -> caf::behavior {
          self->link_to(remote);
          return {[self](const Stop&) { self->quit(caf::exit_reason::out_of_workers); }};
        },
        kNoArgument);
    caf::anon_send(here, Stop{});
    auto notice = there.notices.take();
    ASSERT_TRUE(notice);
    EXPECT_EQ(notice->kind, "exit");
    EXPECT_TRUE(notice->reason == caf::exit_reason::out_of_workers);
    EXPECT_FALSE(there.notices.take(50ms));
  }
}

TEST(Fabric, SendsExitMessagesToRemoteActors) {
  Site a;
  Site b;
  auto remote = a.proxy_of(b.echo(), b);
  Watcher watcher(a, remote, true, false);
  caf::anon_send_exit(remote, caf::exit_reason::user_shutdown);
  auto notice = watcher.notices.take();
  ASSERT_TRUE(notice);
  EXPECT_TRUE(notice->reason == caf::exit_reason::user_shutdown);
}

TEST(Fabric, AKilledProcessFailsEveryPendingRequestOnceAndTellsMonitorsAndLinks) {
  PeerProcess peer("actor");
  Site a;
  const ActorAddress address{peer.address(), kHeadActor};
  auto remote = a.fabric->resolve(address);
  EXPECT_EQ(expect<Ping>(a, remote, Ping{1}).number, 2u);
  Watcher watcher(a, remote, true, true);
  constexpr int kRequests = 100;
  Inbox<caf::error> failures;
  Inbox<Ping> ready;
  auto asker = a.system.spawn(
      [&](caf::event_based_actor* self, int) -> caf::behavior {
        for (int i = 0; i < kRequests; ++i) {
          self->request(remote, caf::infinite, Ask{"never", {}})
              .then([](Ping) {}, [&](const caf::error& error) { failures.put(error); });
        }
        self->request(remote, caf::infinite, Ping{1}).then([&](Ping ping) { ready.put(ping); });
        return {[](Ping ping) { return ping; }};
      },
      kNoArgument);
  a.actors.push_back(asker);
  ASSERT_TRUE(ready.take());
  peer.kill();
  for (int i = 0; i < kRequests; ++i) {
    auto failure = failures.take();
    ASSERT_TRUE(failure);
    EXPECT_TRUE(*failure == caf::sec::request_receiver_down) << a.system.render(*failure);
  }
  std::set<std::string> kinds;
  for (int i = 0; i < 2; ++i) {
    auto notice = watcher.notices.take();
    ASSERT_TRUE(notice);
    EXPECT_TRUE(notice->reason == caf::exit_reason::remote_link_unreachable);
    kinds.insert(notice->kind);
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"down", "exit"}));
  EXPECT_FALSE(watcher.notices.take(50ms));
  EXPECT_EQ(failures.size(), 0u);
  // The old handle stays dead; a new one tries to connect, in vain.
  EXPECT_TRUE(expect_error(a, remote, Ping{}) == caf::sec::request_receiver_down);
  auto again = a.fabric->resolve(address);
  EXPECT_TRUE(expect_error(a, again, Ping{}) == caf::sec::request_receiver_down);
}

TEST(Fabric, AnUnreachableProcessIsReportedToItsMonitors) {
  Site a;
  Watcher watcher(a, a.fabric->resolve({{77, "127.0.0.1", 1}, kHeadActor}), true, false);
  auto notice = watcher.notices.take();
  ASSERT_TRUE(notice);
  EXPECT_TRUE(notice->reason == caf::exit_reason::remote_link_unreachable);
}

TEST(Fabric, DropsAPeerThatSendsAMalformedActorFrame) {
  Site b;
  auto raw = std::move(*Transport::start(options()));
  Inbox<ProcessAddress> lost;
  raw->add_on_lost([&](const ProcessAddress& peer, const Error&) { lost.put(peer); });
  std::mt19937_64 random(3);
  for (int round = 0; round < 50; ++round) {
    std::string garbage(random() % 200, '\0');
    for (char& c : garbage) c = static_cast<char>(random());
    ASSERT_TRUE(raw->send(b.fabric->self(), Channel::actors, {Buffer::copy_of(garbage)}));
    auto peer = lost.take();
    ASSERT_TRUE(peer);
    EXPECT_EQ(*peer, b.fabric->self());
  }
  Site a;
  EXPECT_EQ(expect<Ping>(a, a.proxy_of(b.echo(), b), Ping{1}).number, 2u);
}

TEST(Fabric, KeepsTheOrderOfMessages) {
  Site a;
  Site b;
  Inbox<std::uint64_t> got;
  auto counter = b.system.spawn(
      [&](caf::event_based_actor*, int) -> caf::behavior {
        return {[&](const Ping& ping) { got.put(ping.number); }, [](const Buffer&) {}};
      },
      kNoArgument);
  b.actors.push_back(counter);
  auto remote = a.proxy_of(counter, b);
  caf::scoped_actor self(a.system);
  const Buffer big = pattern(300'000, 1);
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    self->send(remote, Ping{i});
    if (i % 500 == 0) self->send(remote, big);
  }
  for (std::uint64_t i = 0; i < 20'000; ++i) ASSERT_EQ(got.take(), i);
}

TEST(Fabric, EndsWhileRequestsAreUnderWay) {
  Site b;
  auto actor = b.echo();
  caf::error error;
  {
    Site a;
    auto remote = a.proxy_of(actor, b);
    caf::scoped_actor self(a.system);
    auto handle = self->request(remote, caf::infinite, Ask{"never", {}});
    a.fabric.reset();
    handle.receive([](Ping) { FAIL(); }, [&](const caf::error& e) { error = e; });
  }
  EXPECT_TRUE(error == caf::sec::request_receiver_down);
}

struct WithFloat {
  int a = 0;
  std::vector<std::map<std::string, float>> deep;
};
template <class Inspector>
auto inspect(Inspector& f, WithFloat& x) {
  return f(x.a, x.deep);
}
struct Nesting {
  std::optional<WithFloat> inner;
};
template <class Inspector>
auto inspect(Inspector& f, Nesting& x) {
  return f(x.inner);
}

TEST(MessageTypes, RawFloatsAreFoundAtCompileTime) {
  static_assert(contains_raw_float<double>());
  static_assert(contains_raw_float<WithFloat>());
  static_assert(contains_raw_float<Nesting>());
  static_assert(contains_raw_float<std::pair<int, std::tuple<std::string, long double>>>());
  static_assert(!contains_raw_float<Everything>());
  static_assert(!contains_raw_float<std::map<std::string, std::vector<Real>>>());
}

TEST(Buffer, DoesNotTravelThroughOtherSerializers) {
  Configuration config;
  caf::actor_system system(config);
  std::vector<char> block;
  caf::binary_serializer sink(system, block);
  Buffer buffer = Buffer::copy_of("x");
  EXPECT_TRUE(sink(buffer));
}

}  // namespace
}  // namespace ds::fabric
