#include <fmt/format.h>
#include <malloc.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>

#include "actors/fabric/crash_signals.hpp"
#include "actors/fabric/fabric.hpp"
#include "actors/gateway/host_port.hpp"
#include "actors/gateway/http_server.hpp"
#include "actors/gateway/port_watch.hpp"
#include "actors/head/head.hpp"
#include "actors/messages/registration.hpp"
#include "actors/programs/fault_point.hpp"
#include "actors/programs/program.hpp"
#include "actors/router/inference_api.hpp"
#include "scheduler/spec/tenant_file.hpp"
#include "storage/files/descriptor_limit.hpp"
#include "storage/files/whole_file.hpp"
#include "storage/state/data_directory.hpp"

namespace {

using namespace ds;
using namespace ds::programs;

struct Arguments {
  std::string data_dir;
  std::string listen = "127.0.0.1:8080";
  std::string insecure_listen;
  std::string tenants;
  std::string growth = "gain";
  std::uint32_t node_timeout_s = 20;
};

const std::map<std::string, scheduler::GrowthRule> kGrowthRules{
    {"gain", scheduler::GrowthRule::gain},
    {"least_attained", scheduler::GrowthRule::least_attained},
    {"fair", scheduler::GrowthRule::fair}};

constexpr std::size_t kMaxDiskTasks = 10'000;
constexpr std::size_t kMaxChecks = 256;  // each holds a request's body
constexpr std::size_t kMaxFiles = 4;

constexpr std::size_t kMaxTenantsBytes = 64 << 10;

/// Beside a state's tensors, in its message.
constexpr std::uint64_t kStateMargin = std::uint64_t{1} << 30;

std::uint64_t physical_memory() {
  return static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::int64_t unix_time_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

/// The file's text, which is right; empty: there is none.
Result<std::string> read_tenants(const std::string& file) {
  if (file.empty()) return std::string();
  auto text = storage::read_file(file, kMaxTenantsBytes);
  if (!text) return text;
  const auto parsed = scheduler::parse_tenant_file(*text);
  if (std::holds_alternative<scheduler::TenantTree>(parsed)) return text;
  std::string faults;
  for (const auto& error : std::get<std::vector<scheduler::SpecError>>(parsed))
    faults += "\n" + scheduler::format_spec_error(error, file);
  return fail(ErrorCode::invalid_argument, "the tenants' file is wrong:" + faults);
}

/// The cluster's, then the models'.
void answer_metrics(const caf::actor& head, router::InferenceApi& inference, gateway::HttpRequest request,
                    const gateway::Respond& respond) {
  inference.handle(std::move(request), [head, respond](gateway::HttpResponse models) {
    if (models.status != 200) return respond(std::move(models));
    head::with_cluster_metrics(head, [models = std::move(models), respond](const std::string& cluster) {
      auto both = models;
      both.body.insert(0, cluster);
      respond(std::move(both));
    });
  });
}

Result<void> run(const Arguments& arguments) {
  const bool insecure = !arguments.insecure_listen.empty();
  const auto listen = gateway::parse_host_port(insecure ? arguments.insecure_listen : arguments.listen);
  if (!listen) return tl::unexpected(listen.error());
  if (auto allowed = check_listen_address(listen->host, insecure); !allowed) return allowed;
  const auto tenants = read_tenants(arguments.tenants);
  if (!tenants) return tl::unexpected(tenants.error());
  auto directory = storage::DataDirectory::acquire(arguments.data_dir);
  if (!directory) return tl::unexpected(directory.error());
  const auto secret = load_secret(directory->path() / "cluster.secret", true);
  if (!secret) return tl::unexpected(secret.error());
  const auto cluster_id = load_cluster_id(directory->path() / "cluster.id");
  if (!cluster_id) return tl::unexpected(cluster_id.error());
  auto journal = storage::StateJournal::open(directory->path() / "journal");
  if (!journal) return tl::unexpected(journal.error());
  const char* die_at = std::getenv("DS_HEAD_DIE_AT");
  if (die_at != nullptr) {
    const auto point = parse_fault_point(die_at);
    if (!point) return tl::unexpected(point.error());
    spdlog::warn("a test wants this head to kill itself: DS_HEAD_DIE_AT={}", die_at);
    *journal = add_fault_point(std::move(*journal), *point);
  }
  auto checkpoints = storage::CheckpointStore::open(directory->path() / "checkpoints");
  if (!checkpoints) return tl::unexpected(checkpoints.error());
  storage::LogStore logs(directory->path() / "logs");

  const std::uint64_t max_state_bytes = physical_memory() / 2;
  fabric::TransportOptions transport_options;
  transport_options.max_frame_bytes =
      std::min<std::uint64_t>(fabric::kMaxFrameBytes, max_state_bytes + kStateMargin);
  transport_options.host = listen->host;
  transport_options.secret = *secret;
  auto transport = fabric::Transport::start(transport_options);
  if (!transport) return tl::unexpected(transport.error());

  caf::actor_system_config config;
  fabric::configure(config);
  messages::register_messages(config);
  head::SerialThread checkpoint_thread(kMaxDiskTasks);
  head::SerialThread log_thread(kMaxDiskTasks);
  head::SerialThread check_thread(kMaxChecks);
  head::SerialThread file_thread(kMaxFiles);
  caf::actor_system system(config);
  fabric::Fabric fabric(system, std::shared_ptr<fabric::Transport>(std::move(*transport)));

  gateway::PortWatch ports;
  router::Router router(system);
  gateway::HttpServerOptions http;
  // Half of the connections: no tenant can have them all.
  caf::actor the_head;  // there before anybody asks
  router::InferenceApi inference(router, DS_VERSION, {{}, http.max_connections / 2},
                                 [&the_head](const std::string& model, serving::ModelControl what,
                                             std::function<void(Result<void>)> then) {
                                   head::control_model(the_head, model, what, std::move(then));
                                 });

  head::HeadParts parts{
      &fabric,
      journal->get(),
      checkpoints->get(),
      &logs,
      &checkpoint_thread,
      &log_thread,
      &check_thread,
      &file_thread,
      DS_VERSION,
      *cluster_id,
      *tenants,
      &router,
      unix_time_ms,
      [source = std::make_shared<std::mt19937_64>(std::random_device{}())] {
        return static_cast<std::uint32_t>((*source)());
      },
      kGrowthRules.at(arguments.growth),
      std::chrono::seconds(arguments.node_timeout_s),
      [&ports](const std::string& host_port, std::chrono::milliseconds for_at_most,
               std::function<void()> on_closed) {
        ports.watch(host_port, for_at_most, std::move(on_closed));
      },
      max_state_bytes,
      [&inference](std::vector<std::string> names) { inference.set_tenants(std::move(names)); },
      [](const Error& error) {
        spdlog::critical("nothing can be promised any more: {}. {}", error.message, error.hint);
        std::_Exit(1);
      },
      directory->path().string()};
  if (die_at != nullptr) {
    parts.compact_bytes = FaultPoint::kCompactBytes;
    parts.snapshot_piece_bytes = FaultPoint::kPieceBytes;
  }
  const auto actor = head::spawn_head(system, parts);
  if (!actor) return tl::unexpected(actor.error());
  the_head = *actor;
  head::wait_until_begun(*actor);  // a request for a model that is served finds it

  http.host = listen->host;
  http.port = listen->port;
  http.large_prefix = "/v2";
  http.large_refusal = router::InferenceApi::refusal;
  http.max_large_body_bytes = router::InferenceApi::kMaxBodyBytes;
  auto server = gateway::HttpServer::start(
      http, [head = *actor, &inference](gateway::HttpRequest request, gateway::Respond respond) {
        if (request.path == "/metrics") return answer_metrics(head, inference, std::move(request), respond);
        if (router::InferenceApi::is_for(request.path))
          return inference.handle(std::move(request), std::move(respond));
        head::handle_request(head, std::move(request), std::move(respond));
      });
  // The actors that run already are not waited for: none has told anybody anything.
  if (!server) std::_Exit(report_failure("ds-head", server.error()));
  const auto address = fmt::format("{}:{}", listen->host, (*server)->port());
  if (auto written = storage::replace_file(directory->path() / "address", address + "\n"); !written)
    std::_Exit(report_failure("ds-head", written.error()));
  fmt::print("ds-head: listening on http://{}\n", address);
  std::fflush(stdout);
  wait_for_signal();
  spdlog::info("ds-head ends; jobs go on and are taken back by the next one");
  // Nothing needs saving: every acknowledged change is durable already, and a clean end is the same as any
  // other.
  spdlog::shutdown();
  std::fflush(stdout);
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  fabric::let_crashes_end_the_process();
  // Large bodies go back to the system when they are done with; by itself the allocator would begin to keep
  // the room of some.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  Arguments arguments;
  CLI::App app{"The head of a ds cluster: HTTP API, scheduler, job masters, checkpoints and state."};
  app.set_version_flag("--version", DS_VERSION);
  app.add_option("--data-dir", arguments.data_dir, "Where state, checkpoints and logs are kept")->required();
  app.add_option("--listen", arguments.listen,
                 "HOST:PORT of the HTTP API, on loopback; port 0 takes any free one")
      ->capture_default_str();
  app.add_option("--insecure-listen", arguments.insecure_listen,
                 "HOST:PORT that other machines can reach, although there are no tokens and no TLS yet");
  app.add_option(
      "--tenants", arguments.tenants,
      "File that says what each tenant may use (YAML), if it is another than at the last start; else "
      "what was applied since (ds-submit tenants --apply) stays. Without any all share one queue");
  app.add_option(
         "--growth", arguments.growth,
         "How slots are shared that no minimum needs: `gain`, by the speed that jobs have measured with "
         "how many workers; `least_attained`, the same where those count for most that have had least yet; "
         "or `fair`, by their number alone")
      ->check(CLI::IsMember({"gain", "least_attained", "fair"}))
      ->capture_default_str();
  app.add_option(
         "--node-timeout", arguments.node_timeout_s,
         "Seconds without news after which a node ends its users' programs by itself; 10 s later they "
         "start elsewhere")
      ->check(CLI::Range(5, 3600))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  block_end_signals();
  storage::raise_descriptor_limit();
  set_up_logging("ds-head");
  const auto result = run(arguments);
  return result ? 0 : report_failure("ds-head", result.error());
}
