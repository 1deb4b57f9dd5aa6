#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ds::scheduler {

/// What a process of a job does.
enum class Role : std::uint8_t {
  worker,  ///< trains; the only one that takes slots
  server,  ///< holds parameters and optimizer state (`strategy: parameter_server`)
  shard,   ///< reads and batches data (`data.shards`)
};

inline constexpr std::array kRoles{Role::worker, Role::server, Role::shard};

/// As in documents, messages and arguments of programs.
std::string_view to_string(Role role);
std::optional<Role> role_from(std::string_view name);

}  // namespace ds::scheduler
