// A second process for the tests: an echo actor under number 1, until its standard input ends. Mode "ask N"
// measures instead.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tests/unit/fabric/echo_actor.hpp"

using namespace ds;
using namespace ds::fabric;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  TransportOptions options;
  options.secret = argv[2];
  auto transport = Transport::start(options);
  if (!transport) {
    std::fprintf(stderr, "%s\n", transport.error().message.c_str());
    return 1;
  }
  caf::actor_system_config config;
  configure(config);
  test::add_test_messages(config);
  caf::actor_system system(config);
  Fabric fabric(system, std::move(*transport));
  auto echo = system.spawn(test::echo, &fabric);
  fabric.publish(kHeadActor, echo);
  std::printf("%llu %u\n", static_cast<unsigned long long>(fabric.self().id), fabric.self().port);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  caf::anon_send_exit(echo, caf::exit_reason::kill);
  return 0;
}
