#include "actors/head/command_environment.hpp"

#include <fmt/format.h>

namespace ds::head {
namespace {

constexpr std::int64_t kLongRun_ms = 600'000;

std::string host_of(const std::string& address) {
  auto host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

}  // namespace

std::vector<std::string> environment_of(const scheduler::CommandSpec& command, const job::StartProcess& order,
                                        const std::string& job, const std::string& master) {
  std::vector<std::string> variables;
  for (const auto& [name, value] : command.env) variables.push_back(fmt::format("{}={}", name, value));
  const auto& place = order.place;
  const auto add = [&](const char* name, const auto& value) {
    variables.push_back(fmt::format("{}={}", name, value));
  };
  add("RANK", place.rank);
  add("WORLD_SIZE", place.world_size);
  add("LOCAL_RANK", place.local_rank);
  add("LOCAL_WORLD_SIZE", place.local_world_size);
  add("NODE_RANK", place.node_rank);
  add("MASTER_ADDR", host_of(master));
  if (order.port != 0) add("MASTER_PORT", order.port);
  add("CUDA_VISIBLE_DEVICES", "");  // jobs can't ask for GPUs yet
  add("DS_JOB", job);
  add("DS_GENERATION", order.generation);
  return variables;
}

CommandCrash count_crash(std::uint32_t crashes, std::int64_t ran_ms) {
  return {crashes + 1, ran_ms > kLongRun_ms ? 1 : crashes + 1};
}

}  // namespace ds::head
