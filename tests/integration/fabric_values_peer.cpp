// A process that answers, or one that asks it whether every pattern of bits comes back as it left.
//
//   fabric_values_peer HOST                  an echo actor; says "ID PORT" and ends with its standard input
//   fabric_values_peer HOST OTHER ID PORT    asks that; says "same" or what is wrong
#include <bit>
#include <cstdio>
#include <limits>
#include <random>

#include "tests/unit/fabric/echo_actor.hpp"
#include "tests/unit/fabric/waiting.hpp"

using namespace ds;
using namespace ds::fabric;

namespace {

/// All half patterns, what is special among floats and doubles, and a million random ones.
std::vector<std::uint64_t> patterns() {
  using Limits = std::numeric_limits<double>;
  std::vector<std::uint64_t> bits;
  for (double special : {0.0, -0.0, Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(),
                         Limits::signaling_NaN(), Limits::denorm_min(), -Limits::denorm_min(), Limits::min(),
                         Limits::max(), Limits::lowest(), Limits::epsilon()}) {
    bits.push_back(std::bit_cast<std::uint64_t>(special));
  }
  for (std::uint64_t payload = 1; payload < std::uint64_t{1} << 52; payload <<= 1) {
    bits.push_back(0x7ff0000000000000 | payload);  // each bit of a NaN's payload
    bits.push_back(0xfff0000000000000 | payload);
    bits.push_back(payload);  // subnormals
  }
  for (std::uint64_t half = 0; half < 0x10000; ++half) {
    bits.push_back(half << 48 | half << 32 | half << 16 | half);
    bits.push_back(half << 48);
  }
  std::mt19937_64 random(20261124);
  for (int i = 0; i < 1'000'000; ++i) bits.push_back(random());
  return bits;
}

int say(const std::string& line, int code) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  return code;
}

int ask(caf::actor_system& system, Fabric& fabric, const ActorAddress& whom) {
  const auto bits = patterns();
  test::Everything sent;
  sent.buffer = Buffer::copy_of(std::as_bytes(std::span(bits)));
  sent.real = Real(-0.0);
  for (std::uint64_t pattern : bits) sent.reals.push_back(Real(std::bit_cast<double>(pattern)));
  sent.metrics = {{"nothing", Real(std::numeric_limits<double>::quiet_NaN())}};
  std::string result;
  caf::scoped_actor self(system);
  self->request(fabric.resolve(whom), kPatience, sent)
      .receive(
          [&](const test::Everything& back) {
            result = back == sent ? "same" : "something is different";
            for (std::size_t i = 0; i < bits.size() && i < back.reals.size(); ++i) {
              if (back.reals[i].bits() == bits[i]) continue;
              result = "number " + std::to_string(i) + " is different";
              break;
            }
            if (!(back.buffer == sent.buffer)) result = "the buffer is different";
          },
          [&](const caf::error& error) { result = system.render(error); });
  return say(result, result == "same" ? 0 : 1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 5) return 2;
  TransportOptions options;
  options.host = argv[1];
  options.secret = "secret";
  auto transport = Transport::start(options);
  if (!transport) return say(transport.error().message, 1);
  caf::actor_system_config config;
  configure(config);
  test::add_test_messages(config);
  caf::actor_system system(config);
  Fabric fabric(system, std::move(*transport));
  if (argc == 5) {
    const auto port = static_cast<std::uint16_t>(std::stoul(argv[4]));
    return ask(system, fabric, {{std::stoull(argv[3]), argv[2], port}, kHeadActor});
  }
  auto echo = system.spawn(test::echo, &fabric);
  fabric.publish(kHeadActor, echo);
  say(std::to_string(fabric.self().id) + " " + std::to_string(fabric.self().port), 0);
  while (std::getchar() != EOF) {
  }
  caf::anon_send_exit(echo, caf::exit_reason::kill);
  return 0;
}
