#include "actors/head/locator.hpp"

#include <fmt/format.h>

#include <caf/all.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "actors/gateway/http_server.hpp"

namespace ds::head {
namespace {

constexpr auto kRetry = std::chrono::milliseconds(100);

}  // namespace

Result<fabric::ActorAddress> locate_head(const std::string& host_port, std::chrono::milliseconds timeout) {
  const auto response = gateway::http_get(host_port, "/api/v1/cluster", timeout);
  if (!response) return tl::unexpected(response.error());
  try {
    const auto fabric = nlohmann::json::parse(response->body).at("fabric");
    const auto id = std::stoull(fabric.at("id").get<std::string>());
    return fabric::ActorAddress{{id, fabric.at("host"), fabric.at("port")}, fabric::kHeadActor};
  } catch (const std::exception&) {
    return fail(ErrorCode::unavailable, fmt::format("what answers at {} is not a ds-head", host_port),
                "give the address that ds-head printed when it started");
  }
}

void search_head(caf::actor_system& system, std::string host_port, caf::actor receiver,
                 std::shared_ptr<std::atomic<bool>> stop) {
  // The arguments are passed, not captured: for a function without any, CAF 0.17 dereferences a null tuple.
  system.spawn<caf::detached>(
      [](caf::blocking_actor*, const std::string& address, const caf::actor& finder,
         const std::shared_ptr<std::atomic<bool>>& end) {
        // A pause first: whoever is here again has just lost a head, or was not let in by it.
        while (!end->load()) {
          std::this_thread::sleep_for(kRetry);
          if (const auto head = locate_head(address, std::chrono::seconds(2))) {
            caf::anon_send(finder, HeadFound{*head});
            return;
          }
        }
      },
      std::move(host_port), std::move(receiver), std::move(stop));
}

}  // namespace ds::head
