#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <chrono>
#include <filesystem>
#include <thread>

#include "actors/fabric/fabric.hpp"
#include "actors/gateway/host_port.hpp"
#include "actors/messages/registration.hpp"
#include "actors/node/agent.hpp"
#include "actors/node/machine.hpp"
#include "actors/node/spawner.hpp"
#include "actors/programs/program.hpp"
#include "scheduler/spec/identifier.hpp"

namespace {

using namespace ds;
using namespace ds::programs;

/// For users' programs, between SIGTERM and SIGKILL, when this node is told to end; as long as a cancelled
/// job's.
constexpr std::chrono::seconds kCommandsGrace{10};

struct Arguments {
  std::string head = "127.0.0.1:8080";
  std::string secret_file;
  std::string name;
  std::uint32_t slots = 0;
  std::string host = "127.0.0.1";
  std::string insecure_host;
};

std::string default_name() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  std::string name;
  for (const char c : std::string(host.data())) {
    const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    name += std::isalnum(static_cast<unsigned char>(lower)) != 0 ? lower : '-';
  }
  return scheduler::is_identifier(name) ? name : "node";
}

Result<int> run(Arguments arguments, node::Spawner& spawner) {
  const bool insecure = !arguments.insecure_host.empty();
  const auto host = insecure ? arguments.insecure_host : arguments.host;
  if (auto allowed = check_listen_address(host, insecure); !allowed) return tl::unexpected(allowed.error());
  if (const auto head = gateway::parse_host_port(arguments.head); !head) return tl::unexpected(head.error());
  if (arguments.name.empty()) arguments.name = default_name();
  if (!scheduler::is_identifier(arguments.name)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("--name: \"{}\" is not an identifier", arguments.name),
                "up to 63 of a-z 0-9 . _ -, beginning with a letter or digit");
  }
  const auto secret = load_secret(arguments.secret_file, false);
  if (!secret) return tl::unexpected(secret.error());

  fabric::TransportOptions transport_options;
  transport_options.host = host;
  transport_options.secret = *secret;
  auto transport = fabric::Transport::start(transport_options);
  if (!transport) return tl::unexpected(transport.error());
  caf::actor_system_config config;
  fabric::configure(config);
  messages::register_messages(config);
  const auto stop = std::make_shared<std::atomic<bool>>(false);
  std::atomic<int> code = 0;
  caf::actor_system system(config);
  fabric::Fabric fabric(system, std::shared_ptr<fabric::Transport>(std::move(*transport)));

  node::AgentOptions options;
  options.head = arguments.head;
  options.name = arguments.name;
  options.secret_file = std::filesystem::absolute(arguments.secret_file).string();
  options.actor_program =
      (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "ds-actor").string();
  options.host = host;
  options.machine = node::inspect_machine();
  options.slots = arguments.slots != 0 ? arguments.slots : options.machine.cores;
  options.leave = [&code](int with) {
    code = with;
    request_end();
  };
  auto agent = node::spawn_agent(system, fabric, spawner, std::move(options), stop);
  std::thread events([&] { node::forward_events(spawner, agent); });
  wait_for_signal();
  spdlog::info("ds-node ends, and its workers with it");
  node::end_commands(agent, kCommandsGrace);
  stop->store(true);
  spawner.close();
  events.join();
  caf::anon_send_exit(agent, caf::exit_reason::user_shutdown);
  agent = nullptr;
  system.await_all_actors_done();
  return code.load();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"A machine of a ds cluster: reports what it has and runs the workers the head orders."};
  app.set_version_flag("--version", DS_VERSION);
  app.add_option("--head", arguments.head, "HOST:PORT of ds-head")->capture_default_str();
  app.add_option("--secret-file", arguments.secret_file,
                 "The cluster's secret: cluster.secret in ds-head's data directory")
      ->required();
  app.add_option("--name", arguments.name, "Unique in the cluster; the host's name when not given");
  app.add_option("--slots", arguments.slots, "CPU slots to offer; the number of cores when not given")
      ->check(CLI::Range(1, 4096));
  app.add_option("--listen", arguments.host, "Address for messages of the cluster, on loopback")
      ->capture_default_str();
  app.add_option("--insecure-listen", arguments.insecure_host,
                 "Address that other machines can reach, although messages are not encrypted yet");
  CLI11_PARSE(app, argc, argv);
  block_end_signals();
  set_up_logging("ds-node");
  // First of all: nothing that dislikes `fork` may have started.
  const auto spawner = node::Spawner::start();
  if (!spawner) return report_failure("ds-node", spawner.error());
  const auto code = run(std::move(arguments), **spawner);
  return code ? *code : report_failure("ds-node", code.error());
}
