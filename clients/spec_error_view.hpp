#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

namespace ds::clients {

/// Shows what is wrong with a job file, each error with the line it stands in and a caret under its column:
///
///     job.yaml:7:12: optimizer.lr: expected a number, got "fast"
///         7 | optimizer: {name: adamw, lr: fast}
///           |                              ^
///       hint: for example 1e-3
///
/// `details` is the array of the head's `invalid_job` error; lines and columns count from 1, columns in
/// characters, 0 or missing means unknown. `text` is the file as it was sent, `overrides` what `--set` said
/// beside it, which an error names instead of the file's line:
///
///     --set optimizer.lr=fast: expected a number, got "fast"
///
/// Pure.
std::string format_spec_errors(const nlohmann::json& details, std::string_view file, std::string_view text,
                               std::span<const std::string> overrides = {});

}  // namespace ds::clients
