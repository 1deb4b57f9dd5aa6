// One of the processes of the chaos test: exchanges traffic with the others and writes down what it sees.
//
//   chaos_peer SLOT HOST PORT JOURNAL
//
// Says "ID PORT" when it is up and reads commands, a line each: "peer SLOT ID HOST PORT", "start", "stop"
// (answered by "stopped"). Ends when its input does.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <caf/actor_system.hpp>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

#include "actors/fabric/fabric.hpp"
#include "tests/chaos/actor_traffic.hpp"
#include "tests/chaos/options.hpp"
#include "tests/chaos/raw_traffic.hpp"

using namespace ds;
using namespace ds::chaos;

namespace {

// The port is the slot's for all its processes; should somebody else have taken it meanwhile, any will do.
std::shared_ptr<fabric::Transport> start_transport(const std::string& host, std::uint16_t port) {
  auto transport = fabric::Transport::start(chaos_options(host, port));
  if (!transport) transport = fabric::Transport::start(chaos_options(host, 0));
  if (!transport) {
    std::fprintf(stderr, "%s\n", transport.error().message.c_str());
    std::exit(1);
  }
  return std::move(*transport);
}

void serve(std::size_t slot, RawTraffic& raw, ActorTraffic& actors, PeerTable& peers) {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "peer") {
      std::size_t other = 0;
      fabric::ProcessAddress address;
      words >> other >> address.id >> address.host >> address.port;
      if (other != slot) peers.put(other, address);
    } else if (command == "start") {
      raw.start();
      actors.start();
    } else if (command == "stop") {
      actors.stop();
      raw.stop();
      std::cout << "stopped" << std::endl;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  // The standard output is for the driver. Losses are what this test is about, they need no log.
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::stderr_sink_mt>()));
  spdlog::set_level(spdlog::level::err);
  const std::size_t slot = std::stoul(argv[1]);
  Journal journal(argv[4]);
  PeerTable peers;
  auto transport = start_transport(argv[2], static_cast<std::uint16_t>(std::stoul(argv[3])));
  caf::actor_system_config config;
  fabric::configure(config);
  add_chaos_messages(config);
  caf::actor_system system(config);
  RawTraffic raw(slot, transport, peers, journal);
  fabric::Fabric fabric(system, transport);
  ActorTraffic actors(slot, system, fabric, peers, journal);
  std::cout << fabric.self().id << " " << fabric.self().port << std::endl;
  serve(slot, raw, actors, peers);
  return 0;
}
