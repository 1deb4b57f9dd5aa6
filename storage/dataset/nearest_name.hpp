#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ds::storage {

/// The candidate that `name` was most likely meant to be, upper and lower case alike; nullopt when none is
/// near.
std::optional<std::string> find_nearest_name(std::string_view name, std::span<const std::string> candidates);

/// For the hint of an error about a column that is not there: the nearest, and those that there are.
std::string describe_columns(std::string_view wanted, std::span<const std::string_view> names);

}  // namespace ds::storage
