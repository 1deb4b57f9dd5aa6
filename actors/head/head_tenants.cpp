// What tenants may use: the file that the head was started with, or one applied since.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "actors/head/head_actor.hpp"
#include "scheduler/spec/tenant_file.hpp"

namespace ds::head {

using namespace scheduler;

namespace {

constexpr std::size_t kMaxTenantsBytes = 64 << 10;
constexpr std::size_t kMaxNameBytes = 4096;

bool is_plain_name(const std::string& file) {
  return !file.empty() && file.size() <= kMaxNameBytes &&
         std::ranges::none_of(file, [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

}  // namespace

/// The newest change counts, whichever way it was made: so a file that has not changed since takes nothing
/// back when the head is started again, by whoever restarts it; and one that has is not ignored.
void Head::take_tenants_of_start() {
  if (parts_.tenants != ledger_.tenants_at_start()) {
    commit({event("head", "as in the file that the head was started with",
                  TenantsChanged{parts_.tenants, true})});
  } else if (ledger_.tenants_text() != parts_.tenants) {
    spdlog::info(
        "tenants may use what was applied since, and not what the file says that the head was "
        "started with, which is as it was");
  }
  on_tenants_changed();
}

void Head::on_tenants_changed() {
  planner_.set_tenants(ledger_.tenants());
  may_be_over_quota_ = true;
  if (parts_.on_tenants) parts_.on_tenants(ledger_.tenants().tenant_names());
}

Room Head::cluster_room() const {
  Room cluster;
  for (const auto& [name, node] : nodes_)
    cluster = plus(cluster, {node.entry.slots, node.entry.memory_bytes, node.entry.usable_gpus()});
  return cluster;
}

/// Nodes may come, so that is nobody's mistake; but people should know it.
void Head::watch_guarantees() {
  if (!is_settled_ || nodes_.empty()) return;
  const auto guaranteed = ledger_.tenants().guaranteed_together();
  const auto guaranteed_gpus = ledger_.tenants().guaranteed_gpus_together();
  const Room there = cluster_room();
  const bool is_too_much = there.slots < guaranteed || there.gpus < guaranteed_gpus;
  if (std::exchange(is_guaranteed_too_much_, is_too_much) == is_too_much) return;
  const auto warn = [](std::uint64_t wanted, const char* of, const std::string& has) {
    spdlog::warn(
        "tenants are guaranteed {} {} together, and the nodes that are up have {}: not all can have theirs",
        wanted, of, has);
  };
  if (there.slots < guaranteed) warn(guaranteed, "slots", number_text(there.slots));
  if (there.gpus < guaranteed_gpus) warn(guaranteed_gpus, "GPUs", std::to_string(there.gpus));
  if (!is_too_much && guaranteed_gpus == 0)
    spdlog::info("the nodes that are up have all {} slots that tenants are guaranteed", guaranteed);
  if (!is_too_much && guaranteed_gpus > 0)
    spdlog::info("the nodes that are up have all {} slots and {} GPUs that tenants are guaranteed",
                 guaranteed, guaranteed_gpus);
}

void Head::answer_tenants(const gateway::Respond& respond) {
  when_durable([this, respond] {
    respond(json_response(tenants_view(ledger_.tenants(), ledger_, cluster_room(), now_ms())));
  });
}

void Head::answer_usage(const gateway::HttpRequest& request, const gateway::Respond& respond) {
  const auto in_query = [&](const char* name) {
    const auto found = request.query.find(name);
    return found == request.query.end() ? std::string() : found->second;
  };
  std::int64_t since_ms = 0;
  if (const auto since = in_query("since"); !since.empty()) {
    const auto [end, error] = std::from_chars(since.data(), since.data() + since.size(), since_ms);
    if (error != std::errc{} || end != since.data() + since.size() || since_ms < 0) {
      return respond(
          error_response({ErrorCode::invalid_argument, "since is a moment, in milliseconds since 1970",
                          "such as since=1893456000000, or leave it out for all since counting began"}));
    }
  }
  when_durable([this, respond, since_ms, tenant = in_query("tenant")] {
    const auto accounts = ledger_.used_by_queues(now_ms());
    // Where nobody says which tenants there are any name is one.
    const auto names = ledger_.tenants().tenant_names();
    const bool is_named = tenant.empty() || names.empty() || std::ranges::find(names, tenant) != names.end();
    const bool has_used =
        std::ranges::any_of(accounts.queues(), [&](const auto& one) { return one.first.first == tenant; });
    const bool has_jobs = std::ranges::any_of(ledger_.counts().groups(), [&](const auto& group) {
      return std::get<std::string>(group.first) == tenant;
    });
    if (!is_named && !has_used && !has_jobs) {
      return respond(error_response({ErrorCode::not_found, fmt::format("there is no tenant {}", tenant),
                                     "ds-submit tenants lists those there are"}));
    }
    const auto usage = usage_view(accounts, since_ms, tenant, now_ms());
    respond(usage ? json_response(*usage) : error_response(usage.error()));
  });
}

/// Read beside the actor, as job files are.
void Head::change_tenants(const gateway::HttpRequest& request, const gateway::Respond& respond) {
  const auto body = parse_body(request.body);
  if (!body) return respond(error_response(body.error()));
  const auto field = [&](const char* name) {
    const auto found = body->find(name);
    return found != body->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  auto file = field("file"), text = field("text");
  const bool has_text =
      body->contains("text") && body->at("text").is_string();  // an empty file is a wrong one
  if (!is_plain_name(file) || !has_text || text.size() > kMaxTenantsBytes) {
    return respond(error_response({ErrorCode::invalid_argument,
                                   "the body needs \"file\", a name, and \"text\", of at most 64 KiB",
                                   {}}));
  }
  const auto self = caf::actor_cast<caf::actor>(this);
  const bool queued = parts_.check_thread->post([self, file, text, respond] {
    auto parsed = parse_tenant_file(text);
    if (const auto* errors = std::get_if<std::vector<SpecError>>(&parsed))
      return respond(invalid_tenants_response(*errors, file));
    caf::anon_send(self,
                   Run{[file, text, respond](Head& head) { head.on_tenants_checked(file, text, respond); }});
  });
  if (!queued)
    respond(error_response({ErrorCode::unavailable, "the head is busy with submissions", "try again"}));
}

void Head::on_tenants_checked(const std::string& file, const std::string& text,
                              const gateway::Respond& respond) {
  if (text != ledger_.tenants_text()) {
    if (const auto room = parts_.journal->check_room(); !room) return respond(error_response(room.error()));
    spdlog::info("an operator has applied other tenants: {}", file);
    commit({event("user", "an operator has applied " + file, TenantsChanged{text})});
    on_tenants_changed();
    schedule_soon();
  }
  answer_tenants(respond);
}

}  // namespace ds::head
