#include "scheduler/spec/role.hpp"

namespace ds::scheduler {

std::string_view to_string(Role role) {
  switch (role) {
    case Role::worker:
      return "worker";
    case Role::server:
      return "server";
    case Role::shard:
      return "shard";
  }
  return "unknown";
}

std::optional<Role> role_from(std::string_view name) {
  for (const Role role : kRoles) {
    if (to_string(role) == name) return role;
  }
  return std::nullopt;
}

}  // namespace ds::scheduler
