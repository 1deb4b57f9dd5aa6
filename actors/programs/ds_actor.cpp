#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "actors/collective/transport_exchange.hpp"
#include "actors/fabric/crash_signals.hpp"
#include "actors/fabric/fabric.hpp"
#include "actors/messages/registration.hpp"
#include "actors/node/fork_server.hpp"
#include "actors/programs/program.hpp"
#include "actors/replica/replica_actor.hpp"
#include "actors/server/server_actor.hpp"
#include "actors/train/freed_memory.hpp"
#include "actors/worker/shard_actor.hpp"
#include "actors/worker/worker_actor.hpp"
#include "scheduler/spec/role.hpp"
#include "storage/dataset/index_folder.hpp"

namespace {

using namespace ds;
using namespace ds::programs;

struct Arguments {
  std::string head, secret_file, job, role = "worker", host = "127.0.0.1";
  std::uint64_t worker = 0;
  std::string devices;
};

/// Below the folder that a local cluster has, or would have, of its own.
std::filesystem::path index_directory() {
  const auto from = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  if (const auto home = from("DS_HOME"); !home.empty()) return home / "index";
  if (const auto state = from("XDG_STATE_HOME"); state.is_absolute()) return state / "ds" / "index";
  const auto home = from("HOME");
  return home.empty() ? home : home / ".local" / "state" / "ds" / "index";
}

Result<void> run(const Arguments& arguments) {
  // A model on a GPU leaves the host's memory once it is loaded, and its large tensors are never there.
  const bool computes_here = arguments.devices.empty() || arguments.devices == "none";
  if (arguments.role == "worker" || (arguments.role == "replica" && computes_here))
    train::keep_freed_memory();
  storage::IndexFolder indices;
  indices.directory = index_directory();
  indices.on_lost = [](const Error& why) {
    spdlog::warn("the data's offset index is not kept, so every worker reads the file through: {}",
                 why.message);
  };
  storage::use_index_folder(std::move(indices));
  const bool is_replica = arguments.role == "replica";
  const auto role = is_replica ? scheduler::Role::worker : scheduler::role_from(arguments.role);
  if (!role) return fail(ErrorCode::invalid_argument, "--role: there is no role " + arguments.role);
  const auto secret = load_secret(arguments.secret_file, false);
  if (!secret) return tl::unexpected(secret.error());
  fabric::TransportOptions options;
  options.host = arguments.host;
  options.secret = *secret;
  auto started = fabric::Transport::start(options);
  if (!started) return tl::unexpected(started.error());
  const std::shared_ptr<fabric::Transport> transport = std::move(*started);
  caf::actor_system_config config;
  fabric::configure(config);
  messages::register_messages(config);
  caf::actor_system system(config);
  fabric::Fabric fabric(system, transport);
  collective::ExchangeHub exchanges(transport);
  const auto actor = [&]() -> caf::actor {
    switch (*role) {
      case scheduler::Role::server:
        return server::spawn_server(system, fabric,
                                    {arguments.head, arguments.worker, arguments.job, request_end});
      case scheduler::Role::shard:
        return worker::spawn_shard(system, fabric,
                                   {arguments.head, arguments.worker, arguments.job, request_end});
      case scheduler::Role::worker:
        break;
    }
    if (is_replica) {
      return replica::spawn_replica(system, fabric,
                                    {arguments.head, arguments.worker, arguments.job, request_end});
    }
    return worker::spawn_worker(system, fabric, exchanges,
                                {arguments.head, arguments.worker, arguments.job, request_end});
  }();
  wait_for_signal();
  // All that counts is with the head; whatever still runs here may stop in the middle.
  spdlog::shutdown();
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  fabric::let_crashes_end_the_process();
  std::vector<std::string> words(argv, argv + argc);
  if (node::is_fork_server(argc, argv)) {
    auto ordered = node::serve_forks(argc, argv);
    if (!ordered) std::_Exit(0);
    words = *std::move(ordered);
  }
  std::vector<const char*> given;
  for (const auto& word : words) given.push_back(word.c_str());
  Arguments arguments;
  CLI::App app{"One worker process of a job; ds-node starts it."};
  app.set_version_flag("--version", DS_VERSION);
  app.add_option("--head", arguments.head)->required();
  app.add_option("--secret-file", arguments.secret_file)->required();
  app.add_option("--worker", arguments.worker)->required();
  app.add_option("--job", arguments.job)->required();
  app.add_option("--role", arguments.role, "worker, server, shard or replica");
  app.add_option("--listen", arguments.host);
  app.add_option("--devices", arguments.devices,
                 "the GPUs that it may use, as CUDA_VISIBLE_DEVICES names them, or none");
  CLI11_PARSE(app, static_cast<int>(given.size()), given.data());
  // CUDA reads it when it begins, which is later: not before this, in the fork server, nor for libraries.
  if (!arguments.devices.empty())
    setenv("CUDA_VISIBLE_DEVICES", arguments.devices == "none" ? "" : arguments.devices.c_str(), 1);
  block_end_signals();
  set_up_logging("ds-actor");
  if (!arguments.devices.empty() && arguments.devices != "none")
    spdlog::info("may use the GPU {}, and CUDA shows it no other", arguments.devices);
  const auto result = run(arguments);
  return result ? 0 : report_failure("ds-actor", result.error());
}
