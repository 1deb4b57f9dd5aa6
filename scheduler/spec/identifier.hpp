#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ds::scheduler {

/// Whether `name` is `[a-z0-9][a-z0-9._-]{0,62}`, the form of every name that comes from a user.
bool is_identifier(std::string_view name);

/// The candidate that `word` was most likely meant to be, or an empty string when none is near.
///
/// Near means at most one slip (a letter missing, extra, wrong, or two swapped) for each three letters of
/// `word`, and at least one; of equally near candidates the first. Only the first 64 bytes of `word` count.
std::string nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace ds::scheduler
