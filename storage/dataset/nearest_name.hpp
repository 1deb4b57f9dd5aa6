#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ds::storage {

/// The candidate that `name` was most likely meant to be, upper and lower case alike; nullopt when none is
/// near.
std::optional<std::string> find_nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace ds::storage
