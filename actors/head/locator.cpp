#include "actors/head/locator.hpp"

#include <fmt/format.h>

#include <caf/all.hpp>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "actors/fabric/boot_clock.hpp"
#include "actors/gateway/http_server.hpp"
#include "actors/gateway/port_watch.hpp"

namespace ds::head {
namespace {

constexpr auto kRetry = std::chrono::milliseconds(100);
constexpr auto kPatience = std::chrono::seconds(2);

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

HeadSearch::HeadSearch(caf::actor_system& system, std::string host_port,
                       std::shared_ptr<std::atomic<bool>> stop)
    : system_(system), host_port_(std::move(host_port)), stop_(std::move(stop)) {}

void HeadSearch::tell_when_found(caf::actor receiver) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(receiver));
  if (waiting_.size() > 1) return;
  // The argument is passed, not captured: for a function without any, CAF 0.17 dereferences a null tuple.
  system_.spawn<caf::detached>(
      [](caf::blocking_actor*, const std::shared_ptr<HeadSearch>& self) { self->search(); },
      shared_from_this());
}

void HeadSearch::search() {
  // Whoever is here again has just lost a head, or was not let in by it.
  bool pauses = has_searched_.exchange(true);
  Result<fabric::ActorAddress> head;
  do {
    if (pauses) std::this_thread::sleep_for(kRetry);
    pauses = true;
    const auto began_ns = fabric::boot_time_ns();
    if (!stop_->load()) head = locate_head(host_port_, kPatience);
    if (!head && !stop_->load() && gateway::is_port_closed(host_port_, kPatience)) refused_ns_ = began_ns;
  } while (!stop_->load() && (!head || !*head));
  std::vector<caf::actor> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(waiting_);
  }
  if (stop_->load()) return;
  for (const auto& receiver : waiting) caf::anon_send(receiver, HeadFound{*head});
}

}  // namespace ds::head
