// The actors of the fabric suite in processes that ours connects.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "actors/fabric/fabric.hpp"
#include "actors/fabric/message_types.hpp"
#include "tests/bench/actor_roles.hpp"

namespace ds {

static std::span<const std::byte> view(const Buffer& buffer) {
  return buffer.bytes();
}

}  // namespace ds

using namespace ds;

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("bench"));  // results go to standard output
  fabric::TransportOptions options;
  options.secret = "benchmark";
  const int first = argc > 1 && std::string_view(argv[1]) == "network" ? 2 : 1;
  if (first == 2) options.lanes = fabric::Lanes::network;
  auto transport = fabric::Transport::start(options);
  if (!transport) bench::fail(transport.error().message);
  caf::actor_system_config config;
  fabric::configure(config);
  bench::add_messages(config);
  caf::actor_system system(config);
  fabric::Fabric fabric(system, std::move(*transport));
  if (bench::wants_to_serve(argc, argv, first)) {
    auto server = system.spawn(bench::serve<Buffer>);
    fabric.publish(fabric::kHeadActor, server);
    bench::serve_until_input_ends(std::to_string(fabric.self().port));
    caf::anon_send_exit(server, caf::exit_reason::kill);
    return 0;
  }
  const bench::Work work = bench::parse_work(argc, argv, first);
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[first + 4]));
  auto server = fabric.resolve({{0, "127.0.0.1", port}, fabric::kHeadActor});
  bench::drive(system, server, work, [](const std::vector<char>& content) {
    return Buffer::copy_of(std::as_bytes(std::span(content)));
  });
  return 0;
}
