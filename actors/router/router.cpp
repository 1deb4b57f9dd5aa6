#include "actors/router/router.hpp"

#include <utility>

#include "actors/router/router_actor.hpp"

namespace ds::router {
namespace {

void post(const caf::actor& actor, std::function<void(RouterActor&)> action) {
  caf::anon_send(actor, RouterRun{std::move(action)});
}

}  // namespace

Router::Router(caf::actor_system& system)
    : board_(std::make_shared<Board>()),
      here_(std::make_shared<fabric::BorrowedThread>(system)),
      actor_(caf::actor_cast<caf::actor>(system.spawn<RouterActor>(board_))) {}

void Router::report_to(OnLoad on_load) {
  post(actor_, [on_load = std::move(on_load)](RouterActor& router) { router.report_to(on_load); });
}

void Router::set_endpoint(Endpoint endpoint) {
  post(actor_, [endpoint = std::move(endpoint)](RouterActor& router) { router.set_endpoint(endpoint); });
}

void Router::set_versions(const std::string& job, std::vector<serving::VersionLine> lines) {
  post(actor_, [job, lines = std::move(lines)](RouterActor& router) { router.set_versions(job, lines); });
}

void Router::set_wanted(const std::string& job, std::uint32_t replicas) {
  post(actor_, [=](RouterActor& router) { router.set_wanted(job, replicas); });
}

void Router::set_held(const std::string& job, std::string why) {
  post(actor_, [job, why = std::move(why)](RouterActor& router) { router.set_held(job, why); });
}

void Router::remove_endpoint(const std::string& job) {
  post(actor_, [job](RouterActor& router) { router.remove_endpoint(job); });
}

void Router::add_replica(const std::string& job, std::uint64_t worker, caf::actor actor,
                         std::uint64_t version, serving::ModelMetadata metadata) {
  post(actor_, [=](RouterActor& router) { router.add_replica(job, worker, actor, version, metadata); });
}

void Router::drain_replica(const std::string& job, std::uint64_t worker) {
  post(actor_, [=](RouterActor& router) { router.drain_replica(job, worker); });
}

void Router::remove_replica(const std::string& job, std::uint64_t worker, bool has_crashed) {
  post(actor_, [=](RouterActor& router) { router.remove_replica(job, worker, has_crashed); });
}

void Router::ask(std::vector<Ask> asks) {
  // A function that CAF copies should not copy a request.
  const auto shared = std::make_shared<std::vector<Ask>>(std::move(asks));
  here_->send(actor_, caf::make_message(RouterRun{[shared](RouterActor& router) {
                for (Ask& ask : *shared) router.ask(std::move(ask));
              }}));
}

void Router::give_up(std::shared_ptr<AskLink> link) {
  link->is_given_up = true;
  post(actor_, [link = std::move(link)](RouterActor& router) { router.give_up(*link); });
}

std::vector<EndpointView> Router::endpoints() const {
  std::vector<EndpointView> all;
  const std::lock_guard lock(board_->mutex);
  for (const auto& [name, view] : board_->endpoints) all.push_back(view);
  return all;
}

std::optional<EndpointView> Router::find(const std::string& name) const {
  const std::lock_guard lock(board_->mutex);
  const auto found = board_->endpoints.find(name);
  return found == board_->endpoints.end() ? std::nullopt : std::optional(found->second);
}

double Router::answer_rate(const std::string& name) const {
  const std::lock_guard lock(board_->mutex);
  const auto found = board_->endpoints.find(name);
  return found == board_->endpoints.end() ? 0 : found->second.answers_per_second;
}

Router::Moment Router::deadline(const std::string& name, Moment arrived, std::uint64_t timeout_us) const {
  const std::lock_guard lock(board_->mutex);
  const auto found = board_->endpoints.find(name);
  if (found == board_->endpoints.end()) return Moment::max();
  return arrived + timeout_of(timeout_us, found->second.timeout);
}

void Router::record(const std::string& name, std::uint64_t version, std::uint32_t rows,
                    const serving::StageTimes& times, std::chrono::nanoseconds whole) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto now_ms =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  const std::lock_guard lock(board_->mutex);
  const auto found = board_->statistics.find(name);
  if (found == board_->statistics.end()) return;
  auto& counted = found->second[version];
  const auto all = counted.stages.record(times, static_cast<std::uint64_t>(whole.count()));
  counted.model.record_success(rows, all, now_ms);
}

void Router::record_failure(const std::string& name, std::optional<std::uint64_t> version,
                            serving::FailureCause cause, std::chrono::nanoseconds whole) {
  const std::lock_guard lock(board_->mutex);
  const auto endpoint = board_->endpoints.find(name);
  const auto found = board_->statistics.find(name);
  if (endpoint == board_->endpoints.end() || found == board_->statistics.end()) return;
  const auto counted = found->second.find(version.value_or(endpoint->second.version));
  if (counted == found->second.end()) return;  // nobody's request makes a version
  counted->second.model.record_failure(static_cast<std::uint64_t>(whole.count()), cause);
}

Router::Statistics Router::statistics() const {
  const std::lock_guard lock(board_->mutex);
  return board_->statistics;
}

}  // namespace ds::router
