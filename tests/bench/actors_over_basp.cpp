// The actors of the fabric suite in processes that CAF's own BASP connects. The first two arguments set the
// scheduler's policy and how many helpers the middleman has for deserialising.
#include <caf/io/all.hpp>

#include "tests/bench/actor_roles.hpp"

using namespace ds;

int main(int argc, char** argv) {
  if (argc < 4) bench::fail("usage: stealing|sharing HELPERS serve|drive …");
  caf::actor_system_config config;
  config.load<caf::io::middleman>();
  config.set("scheduler.policy", caf::atom_from_string(std::string(argv[1])));
  config.set("middleman.workers", static_cast<std::size_t>(std::atoi(argv[2])));
  config.set("logger.verbosity", caf::atom("quiet"));
  bench::add_messages(config);
  config.add_message_type<std::vector<char>>("std::vector<char>");
  caf::actor_system system(config);
  if (bench::wants_to_serve(argc, argv, 3)) {
    auto server = system.spawn(bench::serve<std::vector<char>>);
    auto port = system.middleman().publish(server, 0, "127.0.0.1");
    if (!port) bench::fail("cannot publish: " + system.render(port.error()));
    bench::serve_until_input_ends(std::to_string(*port));
    caf::anon_send_exit(server, caf::exit_reason::kill);
    return 0;
  }
  const bench::Work work = bench::parse_work(argc, argv, 3);
  auto server = system.middleman().remote_actor("127.0.0.1", static_cast<std::uint16_t>(std::atoi(argv[7])));
  if (!server) bench::fail("cannot connect: " + system.render(server.error()));
  bench::drive(system, *server, work, [](const std::vector<char>& content) { return content; });
  return 0;
}
