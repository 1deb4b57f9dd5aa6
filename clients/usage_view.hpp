#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace ds::clients {

/// What `--since` means at `now_ms`: so long ago, such as `7d` or `24h`, or a day, `2030-01-31` (UTC). None
/// when it is neither. Pure.
std::optional<std::int64_t> parse_since(std::string_view text, std::int64_t now_ms);

/// The head's answer to `usage` as a table with its sum, and what the numbers are of. Pure.
std::string format_usage(const nlohmann::json& usage, bool coloured);

/// The `jobs` of a document: those that had workers at all and, with `since_ms`, had not ended before it; the
/// one that used most first. Of each the fields that matter here. Pure.
nlohmann::json used_by_jobs(const nlohmann::json& jobs, std::optional<std::int64_t> since_ms);
std::string format_job_usage(const nlohmann::json& jobs, bool coloured);

}  // namespace ds::clients
