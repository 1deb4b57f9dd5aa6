#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "actors/fabric/crash_signals.hpp"
#include "actors/fabric/fabric.hpp"
#include "actors/gateway/host_port.hpp"
#include "actors/head/locator.hpp"
#include "actors/messages/registration.hpp"
#include "actors/node/agent.hpp"
#include "actors/node/machine.hpp"
#include "actors/node/pretend_programs.hpp"
#include "actors/node/spawner.hpp"
#include "actors/programs/program.hpp"
#include "scheduler/spec/gpu_kind_name.hpp"
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
  std::string gpus;
  std::string host = "127.0.0.1";
  std::string insecure_host;
  std::uint32_t pretended = 0;
  double pretend_speed = 1;
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

Result<void> check_name(const Arguments& arguments) {
  auto longest = arguments.name;
  if (arguments.pretended > 0) longest += fmt::format("-{}", arguments.pretended - 1);
  if (scheduler::is_identifier(longest)) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("--name: \"{}\" is not an identifier", longest),
              "up to 63 of a-z 0-9 . _ -, beginning with a letter or digit");
}

/// Nodes that pretend start no programs, which could see something.
Result<node::Machine> offered_machine(const Arguments& arguments) {
  const char* visible = arguments.pretended > 0 ? nullptr : std::getenv("CUDA_VISIBLE_DEVICES");
  auto machine = node::inspect_machine(visible);
  if (!arguments.gpus.empty()) {
    auto names = node::parse_gpus(arguments.gpus);
    if (!names) return tl::unexpected(names.error());
    if (!names->empty() && !scheduler::is_gpu_kind_name(names->front()))
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("--gpus: \"{}\" is no kind of GPU that a job file can ask for", names->front()),
          "up to 63 letters, digits, spaces and - _ . that begin with a letter, such as --gpus H200:4");
    if (auto stated = node::offer_stated(machine, std::move(*names), visible); !stated)
      return tl::unexpected(stated.error());
  }
  if (const auto checked = node::check_devices(machine); !checked) return tl::unexpected(checked.error());
  return machine;
}

std::string actor_program() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "ds-actor").string();
}

node::AgentOptions agent_options(const Arguments& arguments, const std::string& host, node::Machine machine) {
  node::AgentOptions options;
  options.head = arguments.head;
  options.name = arguments.name;
  options.secret_file = std::filesystem::absolute(arguments.secret_file).string();
  options.actor_program = actor_program();
  options.host = host;
  options.machine = std::move(machine);
  const auto& gpus = options.machine.gpus;
  const auto other = std::ranges::find_if(gpus, [&](const auto& name) { return name != gpus.front(); });
  if (other != gpus.end())
    spdlog::warn("GPUs from {} on are left idle: {} is another kind than {}, and a node offers one kind",
                 other - gpus.begin(), *other, gpus.front());
  options.slots = arguments.slots != 0 ? arguments.slots : options.machine.cores;
  options.pretends = arguments.pretended > 0;
  return options;
}

/// What all agents of the process share.
struct Surroundings {
  caf::actor_system& system;
  fabric::Fabric& fabric;
  std::shared_ptr<head::HeadSearch> search;
  std::shared_ptr<std::atomic<bool>> stop;
};

void wait_for_end() {
  wait_for_signal();
  spdlog::info("ds-node ends, and its workers with it");
}

void run_machine(const Surroundings& around, node::AgentOptions options, node::Spawner& spawner) {
  options.fence = &spawner.fence();
  options.sign_of_life = spawner.sign_of_life();
  const auto agent = node::spawn_agent(around.system, around.fabric, spawner, std::move(options),
                                       around.search, around.stop);
  std::thread events([&] { node::forward_events(spawner, agent); });
  wait_for_end();
  node::end_commands(agent, kCommandsGrace);
  around.stop->store(true);
  spawner.close();
  events.join();
  caf::anon_send_exit(agent, caf::exit_reason::user_shutdown);
}

void run_pretended(const Surroundings& around, const node::AgentOptions& options,
                   const Arguments& arguments) {
  node::PretendPrograms programs(arguments.pretend_speed);
  std::vector<std::unique_ptr<node::Launcher>> launchers;
  std::vector<caf::actor> agents;
  for (std::uint32_t i = 0; i < arguments.pretended; ++i) {
    auto one = options;
    one.name += fmt::format("-{}", i);
    launchers.push_back(programs.launcher_of(i));
    agents.push_back(node::spawn_agent(around.system, around.fabric, *launchers.back(), std::move(one),
                                       around.search, around.stop));
  }
  std::thread events([&] {
    while (auto happened = programs.wait_event())
      node::tell_event(agents[happened->node], std::move(happened->event));
  });
  wait_for_end();
  around.stop->store(true);
  programs.close();
  events.join();
  for (const auto& agent : agents) caf::anon_send_exit(agent, caf::exit_reason::user_shutdown);
  agents.clear();
  around.system.await_all_actors_done();  // they use the launchers
}

/// `spawner`: null for nodes that only pretend.
Result<int> run(Arguments arguments, node::Spawner* spawner) {
  const auto host = arguments.insecure_host.empty() ? arguments.host : arguments.insecure_host;
  if (const auto head = gateway::parse_host_port(arguments.head); !head) return tl::unexpected(head.error());
  if (arguments.name.empty()) arguments.name = default_name();
  if (const auto checked = check_name(arguments); !checked) return tl::unexpected(checked.error());
  auto machine = offered_machine(arguments);
  if (!machine) return tl::unexpected(machine.error());
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
  const auto search = std::make_shared<head::HeadSearch>(system, arguments.head, stop);

  auto options = agent_options(arguments, host, std::move(*machine));
  options.leave = [&code](int with) {
    code = with;
    request_end();
  };
  const Surroundings around{system, fabric, search, stop};
  spawner != nullptr ? run_machine(around, std::move(options), *spawner)
                     : run_pretended(around, options, arguments);
  system.await_all_actors_done();
  return code.load();
}

}  // namespace

int main(int argc, char** argv) {
  fabric::let_crashes_end_the_process();
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
  app.add_option(
      "--gpus", arguments.gpus,
      "GPUs to offer, KIND:COUNT such as H200:4, or 0; those that the driver finds when not given");
  app.add_option("--listen", arguments.host, "Address for messages of the cluster, on loopback")
      ->capture_default_str();
  app.add_option("--insecure-listen", arguments.insecure_host,
                 "Address that other machines can reach, although messages are not encrypted yet");
  app.add_option(
         "--pretend", arguments.pretended,
         "Start no programs: be so many nodes, NAME-0, NAME-1, ..., where each program of a command job "
         "runs for the DS_PRETEND_SECONDS of its env and ends with exit code 0")
      ->check(CLI::Range(1, 20'000));
  app.add_option("--pretend-speed", arguments.pretend_speed, "How many of these seconds pass in one")
      ->check(CLI::Range(1e-3, 1e9))
      ->needs("--pretend")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  block_end_signals();
  set_up_logging("ds-node");
  const bool insecure = !arguments.insecure_host.empty();
  const auto& host = insecure ? arguments.insecure_host : arguments.host;
  if (const auto allowed = check_listen_address(host, insecure); !allowed)
    return report_failure("ds-node", allowed.error());
  // First of all: nothing that dislikes `fork` may have started.
  std::unique_ptr<node::Spawner> spawner;
  if (arguments.pretended == 0) {
    auto started = node::Spawner::start(host, actor_program());
    if (!started) return report_failure("ds-node", started.error());
    spawner = std::move(*started);
  }
  const auto code = run(std::move(arguments), spawner.get());
  return code ? *code : report_failure("ds-node", code.error());
}
